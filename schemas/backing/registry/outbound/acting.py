"""What people asked of the notify process is done: tests, resends.

Lives here: the doing side of requests.py, which says what the arguments are. The lease's holder deletes each request in
the transaction that does it, so each is done once.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, delete, select, update

from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.outbound import queue, rows
from schemas.backing.registry.outbound.lease import fence
from schemas.backing.registry.outbound_tables import OUTBOUND_DELIVERIES, OUTBOUND_REQUESTS, WEBHOOKS
from schemas.definitions.notification import DeliveryKind, DeliveryState, Lane, Lease, RequestKind
from schemas.wire.entity_event import Description, EntityEvent, EventType, event_id

MOST = 100
"""Requests of one transaction."""
_D = OUTBOUND_DELIVERIES.c
_R = OUTBOUND_REQUESTS.c


def waiting(rim: Rim) -> bool:
    """Tell whether anything was asked."""
    with rim.database.read() as connection:
        return connection.execute(select(_R.id).limit(1)).first() is not None


def act(rim: Rim, lease: Lease) -> dict[Lane, int]:
    """Do what was asked, oldest first; return the lanes that have work now. Raises `LeaseLost`."""
    moved: dict[Lane, int] = {}
    with rim.database.write() as connection:
        fence(connection, lease)
        query = select(OUTBOUND_REQUESTS).order_by(_R.created_at_ms, _R.id).limit(MOST)
        found = connection.execute(query).all()
        now = rows.now_ms(connection, rim)
        for row in found:
            moved |= dict.fromkeys(_act(rim, connection, row, now), now)
        connection.execute(delete(OUTBOUND_REQUESTS).where(_R.id.in_([row.id for row in found])))
    return moved


def _act(rim: Rim, connection: Connection, row: Row[Any], now: int) -> list[Lane]:
    arguments = orjson.loads(row.arguments)
    mine = _D.webhook_id == row.webhook_id
    match RequestKind(row.kind):
        case RequestKind.TEST:
            return _test(rim, connection, row, arguments["deliveryId"], now)
        case RequestKind.RESEND:
            return _again(connection, _D.id == arguments["deliveryId"], mine, now)
        case RequestKind.RESEND_FAILED:
            chosen = _failed(row.webhook_id, arguments)
            return _again(connection, _D.id.in_(chosen), mine, now)


def _failed(webhook_id: str, arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401 a query
    query = select(_D.id).where(
        _D.webhook_id == webhook_id, _D.state.in_(arguments["states"]), _D.created_at_ms >= arguments["sinceMs"]
    )
    if arguments["untilMs"] is not None:
        query = query.where(_D.created_at_ms < arguments["untilMs"])
    return query.order_by(_D.created_at_ms, _D.id).limit(arguments["limit"])


def _test(rim: Rim, connection: Connection, row: Row[Any], delivery_id: str, now: int) -> list[Lane]:
    """Make an event about the webhook itself, of its own id, in a delivery that the answer named."""
    named = connection.execute(select(WEBHOOKS.c.name).where(WEBHOOKS.c.id == row.webhook_id)).scalar_one()
    full_name = f"{row.tenant_id}.{named}"
    entity = {"id": row.webhook_id, "name": named, "fullyQualifiedName": full_name, "test": True}
    event = EntityEvent(
        event_id=event_id("test", delivery_id),
        tenant_id=row.tenant_id,
        event_type=EventType.UPDATED,
        entity_type="webhook",
        entity_id=row.webhook_id,
        entity_name=full_name,
        at_ms=now,
        entity=entity,
        change=Description(),
    )
    lane = Lane(row.webhook_id)
    sequences = rows.store_events(connection, [event], now)
    values = {"tenant": row.tenant_id, "sequences": sequences, "kind": DeliveryKind.TEST}
    return [lane] if queue.add(rim, connection, lane, values, now, delivery_id) else []


def _again(connection: Connection, which: ColumnElement[bool], mine: ColumnElement[bool], now: int) -> list[Lane]:
    """Make deliveries due now, with all their tries before them."""
    values = {
        "state": DeliveryState.PENDING.value,
        "takes_more": False,
        "tries": 0,
        "next_attempt_at_ms": now,
        "updated_at_ms": now,
    }
    changed = update(OUTBOUND_DELIVERIES).where(which, mine).values(**values)
    found = connection.execute(changed.returning(_D.webhook_id, _D.receiver))
    return list({Lane(row.webhook_id, row.receiver) for row in found})
