"""Reading odd JSON without ever raising: what vendors' `facts` and `event_key` are made of.

Lives here: text, time and pointer look-ups. Total on purpose: a missing or odd member is None, never an error.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

_MAX_TEXT = 512
_MAX_MS = 253_402_300_800_000
_MS = 1000
_MAX_DIGITS = 13
_HOST = re.compile(r"https?://([A-Za-z0-9.-]{1,253})")


def finder(*path: str) -> Callable[[bytes], str | None]:
    """Make a look-up of one text in a JSON body by its member names; None for anything else.

    Skips every other member without making objects of it (about 1 ms a MB).
    """
    shape: Any = str
    for name in reversed(path):
        shape = msgspec.defstruct("Found", [("found", shape)], rename={"found": name})
    decoder = msgspec.json.Decoder(shape)

    def find(body: bytes) -> str | None:
        try:
            found: Any = decoder.decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        for _ in path:
            found = found.found
        return str(found) or None

    return find


def body_key(*path: str) -> Callable[[Mapping[str, str], bytes], str | None]:
    """Make an `event_key` that is one text of the JSON body, named by its members."""
    find = finder(*path)

    def event_key(_headers: Mapping[str, str], body: bytes) -> str | None:
        return find(body)

    return event_key


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


def at(item: Mapping[str, Any], *path: str) -> str | None:
    """Return the text or integer under nested member names, as `text` does."""
    for name in path[:-1]:
        item = inner(item, name)
    return text(item, path[-1])


def joined(separator: str, *parts: str | None) -> str | None:
    """Return all parts in one text, None when one is missing: half an id is none."""
    return None if any(part is None for part in parts) else separator.join(part or "" for part in parts)


def dotted(first: str | None, second: str | None) -> str | None:
    """Return `first.second`, or the first alone."""
    return f"{first}.{second}" if first and second else first


def first(item: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the first object of an array member, or an empty mapping."""
    value = item.get(name)
    return value[0] if isinstance(value, list) and value and isinstance(value[0], Mapping) else {}


def host(url: str | None) -> str | None:
    """Return the host of a URL."""
    found = _HOST.match(url or "")
    return found[1].lower() if found else None


def whole_ms(value: Any) -> int | None:  # noqa: ANN401 JSON
    """Read ms since the epoch, None when it is no such integer."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < _MAX_MS else None


def digits_ms(value: Any) -> int | None:  # noqa: ANN401 JSON
    """Read epoch seconds that stand in a text (or are a number) as ms."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < _MAX_DIGITS:
        value = int(value)
    return epoch_ms(value) if isinstance(value, int) else None


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
