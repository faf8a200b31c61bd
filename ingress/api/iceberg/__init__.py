"""The analysts' door: a read-only Iceberg REST catalog at `/iceberg/v1`."""

from ingress.api.iceberg.door import add_iceberg

__all__ = ["add_iceberg"]
