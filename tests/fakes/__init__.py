"""Fakes of the ports (schemas/ports.py), one file a port: type-checked like the real things."""
