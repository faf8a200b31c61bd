"""How an entity's JSON is told: bounded, without secrets.

Lives here: bounds and what is hidden. Not here: which changes are events (changed.py). An address to call is a secret
where it holds a token (Slack's, Teams'): of those only scheme and host are told.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

MAX_BYTES = 256 << 10
"""Of an entity's JSON; a larger one is told by the members of `_KEPT`."""
HIDDEN = "***"
_KEPT = (
    "id", "type", "name", "fullyQualifiedName", "displayName", "description", "href", "version", "updatedAt",
    "updatedBy", "deleted", "owner", "owners", "followers", "domain", "domains", "tags", "service",
)  # fmt: skip
_MOST_KEPT = 16 << 10
"""Bytes of one kept member of an entity that is too large."""


def bounded(entity: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an entity of at most about MAX_BYTES: as it is, or its main members and `truncated`."""
    if size(entity) <= MAX_BYTES:
        return entity
    kept = {name: entity[name] for name in _KEPT if name in entity and size(entity[name]) <= _MOST_KEPT}
    return {**kept, "truncated": True}


def size(value: Any) -> int:  # noqa: ANN401 JSON
    """Return the bytes of a value as JSON; one that cannot be written (nested past all sense) is past every bound."""
    try:
        return len(orjson.dumps(value))
    except TypeError:
        return 1 << 62


def address(url: Any) -> Any:  # noqa: ANN401 JSON
    """Return scheme and host of an address; what is none stays hidden, and nothing stays nothing."""
    if url is None:
        return None
    try:
        parts = urlsplit(str(url))
        host = parts.hostname
    except ValueError:
        return HIDDEN
    if not host:
        return HIDDEN
    port = "" if (found := _port(str(url))) is None else f":{found}"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{port}/{HIDDEN}"


def _port(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        return None
