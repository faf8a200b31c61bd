"""The reading side of the tables, for the API: implements `schemas.ports.TableReader`."""

from sinks.read.reader import Reader

__all__ = ["Reader"]
