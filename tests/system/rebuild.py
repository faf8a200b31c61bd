"""Rebuilds a payload from a row, by what the table itself says: typed `payload` struct, `_extra`, `_raw`.

`_extra` holds what has no column, `_raw` what does not fit its column: JSON objects from JSON pointer (RFC 6901) to the
value as sent; pointer "" of `_raw` is the whole payload as text. A text column holds JSON when its doc says so.
"""

from datetime import date, datetime
from typing import Any

from pyiceberg.schema import Schema
from pyiceberg.types import NestedField, StringType, StructType

from tests.system import payload as exact

JSON_TEXT = "JSON text"


class Rebuilder:
    """Knows from the table's schema which text columns hold JSON."""

    def __init__(self, schema: Schema) -> None:
        found = schema.find_field("payload").field_type
        assert isinstance(found, StructType), found
        self._payload = found

    def payload(self, row: dict[str, Any]) -> Any:
        """Return the payload of a row, numbers from JSON text as exact decimals."""
        raw = exact.parse(row["_raw"]) if row["_raw"] is not None else {}
        if "" in raw:
            return exact.parse(raw[""])
        made = _typed(row["payload"] or {}, self._payload)
        extra = exact.parse(row["_extra"]) if row["_extra"] is not None else {}
        assert not extra.keys() & raw.keys(), "a member is kept twice"
        for pointer, value in (extra | raw).items():
            _put(made, pointer, value)
        return made


def _typed(values: dict[str, Any], struct: StructType) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for field in struct.fields:
        value = values.get(field.name)
        if value is not None:
            out[field.name] = _value(value, field)
    return out


def _value(value: Any, field: NestedField) -> Any:
    if isinstance(field.field_type, StructType):
        return _typed(value, field.field_type)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(field.field_type, StringType) and (field.doc or "").startswith(JSON_TEXT):
        return exact.parse(value)
    return value


def _put(made: dict[str, Any], pointer: str, value: Any) -> None:
    *way, last = (step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])
    for step in way:
        made = made.setdefault(step, {})
    assert isinstance(made.get(last), datetime | None), f"{pointer} is kept twice"  # a time's text, with its offset
    made[last] = value
