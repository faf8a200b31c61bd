"""Rebuilds a payload from a row: typed `payload` struct, `_extra`, `_raw`."""

from typing import Any

from pyiceberg.schema import Schema


class Rebuilder:
    """Knows from the table's schema which text columns hold JSON."""

    def __init__(self, schema: Schema) -> None:
        self._payload = schema.find_field("payload").field_type

    def payload(self, row: dict[str, Any]) -> Any:
        """Return the payload of a row."""
        return row["payload"]
