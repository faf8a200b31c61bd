"""Paging: `limit` and an opaque `cursor` in, `{items, nextCursor}` out. Cursors are made and read by the registry."""

from collections.abc import Sequence
from typing import Any

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
MAX_CURSOR = 512


def page(items: Sequence[dict[str, Any]], next_cursor: str | None) -> dict[str, Any]:
    """Return the wire form of one page; `nextCursor` null = the last one."""
    return {"items": list(items), "nextCursor": next_cursor}
