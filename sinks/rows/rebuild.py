"""A row back into the payload it came from: typed columns + `_extra` + `_raw`.

Lives here: the inverse of parse.py, and the proof that nothing is lost (tests/property/sinks). Members that were null
are gone, numbers have equal value (1.0 may come back as 1), so have times in UTC; everything else is as sent.
"""

import json
from collections.abc import Mapping
from typing import Any

from sinks.columns.shape import Branch, Kind, Leaf
from sinks.rows import forms
from sinks.rows.salvage import WHOLE


def rebuild(values: Mapping[str, Any] | None, extra: str | None, raw: str | None, shape: Branch) -> Any:  # noqa: ANN401 JSON
    """Return the payload of one row, read as Python values; raises ValueError if a JSON text does not parse.

    What `_extra` and `_raw` name stands in place of what a column says. Decimals come back as `Decimal`.
    """
    kept: dict[str, Any] = {} if raw is None else json.loads(raw)
    if WHOLE in kept:
        return json.loads(kept[WHOLE])
    payload = _typed(values or {}, shape)
    for pointer, value in (({} if extra is None else json.loads(extra)) | kept).items():
        put(payload, pointer, value)
    return payload


def put(payload: dict[str, Any], pointer: str, value: Any) -> None:  # noqa: ANN401 JSON
    """Set the member at a JSON pointer, making the objects on the way."""
    *way, last = (step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])
    for step in way:
        payload = payload.setdefault(step, {})
    payload[last] = value


def _typed(values: Mapping[str, Any], shape: Branch) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, column in shape.fields.items():
        value = values.get(name)
        if value is None:
            continue
        if isinstance(column, Branch):
            made[name] = _typed(value, column)
        else:
            made[name] = _plain(value, column)
    return made


def _plain(value: Any, column: Leaf) -> Any:  # noqa: ANN401 JSON
    match column:
        case Kind.JSON:
            return json.loads(value)
        case Kind.TIME:
            return forms.text_of(value)
        case Kind.DATE:
            return value.isoformat()
    return value
