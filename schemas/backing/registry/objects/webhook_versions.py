"""The history of outbound webhooks: the entity as each version showed it, the newest MAX_VERSIONS of a webhook."""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, delete, insert, select

from schemas.backing.registry.outbound_tables import WEBHOOK_VERSIONS
from schemas.backing.registry.record import Page, PageRequest, cursor_read, cursor_text
from schemas.definitions import entity_version
from schemas.errors import Refused
from schemas.reasons import Reason

MAX_VERSIONS = 200
_V = WEBHOOK_VERSIONS.c


def keep(connection: Connection, webhook_id: str, number: int, document: Mapping[str, Any], at_ms: int) -> None:
    """Keep the entity as it is from this version on; what is past the bound goes, oldest first."""
    text = orjson.dumps(document).decode()
    connection.execute(
        insert(WEBHOOK_VERSIONS).values(
            webhook_id=webhook_id, entity_version=number, document=text, updated_at_ms=at_ms
        )
    )
    past = select(_V.entity_version).where(_V.webhook_id == webhook_id).order_by(_V.entity_version.desc())
    oldest = connection.execute(past.offset(MAX_VERSIONS).limit(1)).scalar()
    if oldest is not None:
        connection.execute(delete(WEBHOOK_VERSIONS).where(_V.webhook_id == webhook_id, _V.entity_version <= oldest))


def page_of(connection: Connection, webhook_id: str, page: PageRequest) -> Page[Mapping[str, Any]]:
    """Return versions of a webhook, the newest first."""
    query = select(WEBHOOK_VERSIONS).where(_V.webhook_id == webhook_id).order_by(_V.entity_version.desc())
    if page.cursor is not None:
        query = query.where(_V.entity_version < cursor_read(page.cursor, int)[0])
    rows = connection.execute(query.limit(page.limit + 1)).all()
    more = cursor_text(rows[page.limit - 1].entity_version, "") if len(rows) > page.limit else None
    return Page(tuple(orjson.loads(row.document) for row in rows[: page.limit]), more)


def one(connection: Connection, webhook_id: str, text: str) -> Mapping[str, Any]:
    """Return the version that a caller names (`0.3`); raise `Refused(not_found)`."""
    number = entity_version.read(text)
    query = select(_V.document).where(_V.webhook_id == webhook_id, _V.entity_version == number)
    found = connection.execute(query).scalar() if number is not None else None
    if found is None:
        raise Refused(Reason.NOT_FOUND, f"no version {text[:20]!r}: the newest {MAX_VERSIONS} are kept")
    document: Mapping[str, Any] = orjson.loads(found)
    return document
