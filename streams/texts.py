"""Texts out of what senders wrote: any encoder takes them, pointers find them, times print as RFC 3339.

Lives here: text and nothing of events. Pure and total.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

MAX_TEXT = 1024
Path = tuple[str, ...]
"""A JSON pointer taken apart (RFC 6901)."""
_US = 1_000_000


def clean_text(text: str, limit: int = MAX_TEXT) -> str:
    """Return text that any encoder takes: at most `limit` characters, lone surrogates written as escapes."""
    text = text[:limit]
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def pointer_parts(pointer: str) -> Path:
    """Take a JSON pointer apart."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


@lru_cache(maxsize=256)
def paths(pointers: tuple[str, ...]) -> tuple[Path, ...]:
    """Take the JSON pointers of a vendor apart, once."""
    return tuple(pointer_parts(pointer) for pointer in pointers)


def without(value: Any, pointers: tuple[str, ...]) -> Any:  # noqa: ANN401 JSON
    """Return `value` without the members that the JSON pointers name; copies only along their paths."""
    for path in paths(pointers):
        value = _without(value, path)
    return value


def _without(value: Any, path: Path) -> Any:  # noqa: ANN401 JSON
    if not path or not isinstance(value, dict) or path[0] not in value:
        return value
    copy = dict(value)
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = _without(copy[path[0]], path[1:])
    return copy


def at(value: Any, path: Path) -> str | None:  # noqa: ANN401 JSON
    """Return the text or integer at a path, None for anything else."""
    for name in path:
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and len(name) < 9 and int(name) < len(value):  # noqa: PLR2004
            value = value[int(name)]
        else:
            return None
    return scalar(value)


def scalar(value: Any) -> str | None:  # noqa: ANN401 JSON
    """Return a text that is not empty or an integer as text, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return None
    return str(value)


def rfc3339(us: int) -> str:
    """Return a time in µs since the epoch as RFC 3339 in UTC: ms, or µs where there are any."""
    second, rest = divmod(us, _US)
    return f"{_second(second)}.{rest:06d}Z" if rest % 1000 else f"{_second(second)}.{rest // 1000:03d}Z"


@lru_cache(maxsize=4096)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
