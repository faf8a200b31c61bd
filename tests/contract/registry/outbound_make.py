"""Webhooks, events and lanes for the tests of the outbound queue."""

import orjson
from sqlalchemy import delete, insert, select

from schemas.backing.registry import Registry
from schemas.backing.registry.outbound_tables import (
    FEED_CURSORS,
    LEASES,
    OUTBOUND_DELIVERIES,
    OUTBOUND_EVENTS,
    WEBHOOKS,
)
from schemas.definitions.base import read
from schemas.definitions.notification import Lane, Lease, Matched
from schemas.definitions.webhook import WebhookDefinition
from schemas.wire.entity_event import Description, EntityEvent, EventType, event_id

LANE = Lane("w1")


def emptied(registry: Registry) -> Registry:
    """Return a registry whose queue is as new: many tests share one database."""
    with registry._database.write() as connection:
        for table in (WEBHOOKS, OUTBOUND_DELIVERIES, OUTBOUND_EVENTS, FEED_CURSORS, LEASES):
            connection.execute(delete(table))
    return registry


def webhook(registry: Registry, row_id: str = "w1", *, batch: int = 3) -> str:
    """Write the row of a webhook, as far as the queue looks at it."""
    config = {"endpoint": "https://example.com/in", "headers": {"x-key": "h1dden"}}
    value = {"name": row_id, "eventFilters": [{"eventType": "entityCreated"}], "webhookConfig": config}
    definition = read(WebhookDefinition, {**value, "batchSize": batch}).to_wire()
    with registry._database.write() as connection:
        connection.execute(
            insert(WEBHOOKS).values(
                id=row_id,
                tenant_id="acme",
                name=row_id,
                definition=orjson.dumps(definition).decode(),
                status="active",
                deleted=False,
                entity_version=1,
                updated_by="t",
                version=1,
                created_at_ms=1,
                updated_at_ms=1,
            )
        )
    return row_id


def event(number: int, name: str = "acme.s") -> EntityEvent:
    made = event_id("changes", number)
    return EntityEvent(
        made, "acme", EventType.UPDATED, "stream", "id", name, number, {"n": number}, Description()
    )  # fmt: skip


def matched(*numbers: int, lanes: tuple[Lane, ...] = (LANE,)) -> list[Matched]:
    return [Matched(event(number), lanes) for number in numbers]


def held(registry: Registry, owner: str = "a") -> Lease:
    lease = registry.outbound.acquire(owner, 15)
    assert lease is not None
    return lease


def batches(registry: Registry, lane: Lane = LANE) -> list[tuple[list[int], bool, int]]:
    """Return (events, takes more, due) of a lane's deliveries, oldest first."""
    table = OUTBOUND_DELIVERIES.c
    query = select(OUTBOUND_DELIVERIES).where(table.webhook_id == lane.webhook_id, table.receiver == lane.receiver)
    with registry._database.read() as connection:
        rows = connection.execute(query.order_by(table.first_event)).all()
    return [(orjson.loads(row.events), row.takes_more, row.next_attempt_at_ms) for row in rows]
