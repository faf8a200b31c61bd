"""Reading odd JSON without ever raising: what vendors' `facts` and `event_key` are made of.

Lives here: text, time and pointer look-ups. Total on purpose: a missing or odd member is None, never an error.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

_MAX_TEXT = 512
_MAX_MS = 253_402_300_800_000
_MS = 1000


class _WithId(msgspec.Struct):
    id: str


_ID = msgspec.json.Decoder(_WithId)


def body_id(body: bytes) -> str | None:
    """Return the top-level member `id` of a JSON object when it is a text; None for anything else.

    Skips every other member without making objects of it (about 1 ms a MB).
    """
    try:
        return _ID.decode(body).id or None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def text(item: Mapping[str, Any], *names: str) -> str | None:
    """Return the first member among `names` that is a text or an integer, as text of at most 512 characters."""
    for name in names:
        value = item.get(name)
        if isinstance(value, bool):
            continue
        if isinstance(value, int | str) and value != "":
            return str(value)[:_MAX_TEXT]
    return None


def inner(item: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object member, or an empty mapping."""
    value = item.get(name)
    return value if isinstance(value, Mapping) else {}


def epoch_ms(value: Any) -> int | None:  # noqa: ANN401 JSON
    """Read epoch seconds or an RFC 3339 time with an offset as ms since the epoch; None when it is neither."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        ms = value * _MS
        return int(ms) if 0 <= ms < _MAX_MS else None
    if not isinstance(value, str) or len(value) > 40:  # noqa: PLR2004 longer than any RFC 3339 time
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    ms = moment.timestamp() * _MS
    return round(ms) if 0 <= ms < _MAX_MS else None
