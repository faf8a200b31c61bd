"""Rows of outbound webhooks, deliveries, events and attempts, written past the queue: for tests of what reads them."""

from typing import Any

import orjson
from sqlalchemy import insert

from schemas.backing.registry import Registry
from schemas.backing.registry.outbound_tables import OUTBOUND_ATTEMPTS, OUTBOUND_DELIVERIES, OUTBOUND_EVENTS, WEBHOOKS
from schemas.wire.entity_event import Description, EntityEvent, EventType, encode, event_id


def webhook(registry: Registry, row_id: str, *, tenant: str = "acme", **values: Any) -> str:
    definition = {"name": row_id, "batchSize": 3, "enabled": values.pop("enabled", True)}
    row = {"status": "active", "deleted": False, **values}
    with registry._database.write() as connection:
        connection.execute(
            insert(WEBHOOKS).values(
                id=row_id, tenant_id=tenant, name=row_id, definition=orjson.dumps(definition).decode(),
                entity_version=1, updated_by="t", version=1, created_at_ms=1, updated_at_ms=1, **row,
            )
        )  # fmt: skip
    return row_id


def event(registry: Registry, sequence: int, at_ms: int = 1, *, tenant: str = "acme") -> str:
    made = EntityEvent(
        event_id("changes", sequence), tenant, EventType.UPDATED, "stream", "id", "acme.s", at_ms, {"n": sequence},
        Description(),
    )  # fmt: skip
    with registry._database.write() as connection:
        connection.execute(
            insert(OUTBOUND_EVENTS).values(
                sequence=sequence, tenant_id=tenant, event_id=made.event_id, document=encode(made).decode(),
                created_at_ms=at_ms,
            )
        )  # fmt: skip
    return made.event_id


def delivery(registry: Registry, row_id: str, webhook_id: str = "w1", **values: Any) -> str:
    row = {
        "tenant_id": "acme", "receiver": "", "kind": "event", "state": "pending", "events": [1], "attempts": 0,
        "tries": 0, "created_at_ms": 1, "updated_at_ms": 1, **values,
    }  # fmt: skip
    row["first_event"], row["takes_more"] = row["events"][0], False
    row["events"] = orjson.dumps(row["events"]).decode()
    known = {name: value for name, value in row.items() if name in OUTBOUND_DELIVERIES.c}
    with registry._database.write() as connection:
        connection.execute(insert(OUTBOUND_DELIVERIES).values(id=row_id, webhook_id=webhook_id, **known))
    return row_id


def attempt(
    registry: Registry, delivery_id: str, number: int, at_ms: int, status: int | None, took: int = 5, of: str = "w1"
) -> None:
    with registry._database.write() as connection:
        connection.execute(
            insert(OUTBOUND_ATTEMPTS).values(
                delivery_id=delivery_id, number=number, webhook_id=of, at_ms=at_ms, duration_ms=took,
                url="https://r.example", status=status, reason=None, request='{"body":"b"}', response="{}",
            )
        )  # fmt: skip
