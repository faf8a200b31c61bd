"""Secret URLs of sources: 256 random bits shown once, SHA-256 kept, at most two alive (spec section 5)."""

import base64
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.record import UrlRecord
from schemas.backing.registry.tables import SOURCE_URLS
from schemas.definitions.key import digest
from schemas.errors import Refused
from schemas.reasons import Reason

MAX_ALIVE = 2
_BYTES = 32


def add(connection: Connection, rim: Rim, source_id: str) -> tuple[str, str]:
    """Make a URL token; returns (url id, token). Raises `Refused(in_use)` past two alive."""
    if len(of(connection, source_id)) >= MAX_ALIVE:
        raise Refused(Reason.IN_USE, f"the source has {MAX_ALIVE} URLs: revoke one first")
    token = base64.urlsafe_b64encode(rim.random_bytes(_BYTES)).decode().rstrip("=")
    url_id = rim.new_id()
    connection.execute(
        insert(SOURCE_URLS).values(id=url_id, source_id=source_id, digest=digest(token), created_at_ms=rim.now_ms())
    )
    return url_id, token


def revoke(connection: Connection, source_id: str, url_id: str) -> None:
    """Remove a URL; raises `Refused(not_found)`."""
    gone = delete(SOURCE_URLS).where(SOURCE_URLS.c.source_id == source_id, SOURCE_URLS.c.id == url_id)
    if connection.execute(gone).rowcount != 1:
        raise Refused(Reason.NOT_FOUND, f"the source has no URL {url_id[:80]!r}")


def of(connection: Connection, source_id: str, last_used: Mapping[str, int] | None = None) -> tuple[UrlRecord, ...]:
    """Return the URLs of a source, oldest first, with their last use when `last_used` is given."""
    query = select(SOURCE_URLS).where(SOURCE_URLS.c.source_id == source_id)
    rows: list[Row[Any]] = list(connection.execute(query.order_by(SOURCE_URLS.c.created_at_ms, SOURCE_URLS.c.id)))
    return tuple(UrlRecord(row.id, row.created_at_ms, (last_used or {}).get(row.id)) for row in rows)
