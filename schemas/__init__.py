"""The agreement between the rooms: names, records, definitions, reasons, settings.

Everything outside `schemas.backing` is pure: no socket, no disk, no clock. See schemas/README.md.
"""
