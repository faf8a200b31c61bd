"""Composition roots: one file a process, each puts settings, clock and the I/O tier together and runs one room.

The real clock lives here. Nothing here decides anything about events.
"""
