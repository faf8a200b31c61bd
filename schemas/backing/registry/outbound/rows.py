"""Rows of the queue: how a delivery, an attempt and its events are stored and read.

Lives here: rows from values and back. Not here: transactions.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Row, insert, select

from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.outbound_tables import OUTBOUND_EVENTS
from schemas.definitions.notification import Attempt, Delivery, DeliveryKind, DeliveryState, Lane
from schemas.errors import Poison
from schemas.logs import logger
from schemas.wire.entity_event import EntityEvent, decode, encode

_CHUNK = 500
"""Parameters of one query."""
_LOG = logger(__name__)


def now_ms(connection: Connection, rim: Rim) -> int:
    """Return the time in ms, which never goes back in this queue: deliveries of a lane are due in their order."""
    newest = select(OUTBOUND_EVENTS.c.created_at_ms).order_by(OUTBOUND_EVENTS.c.sequence.desc()).limit(1)
    return max(rim.now_ms(), connection.execute(newest).scalar() or 0)


def store_events(connection: Connection, events: Iterable[EntityEvent], at_ms: int) -> list[int]:
    """Write events under the next sequences, which are returned; the transaction is fenced."""
    newest = select(OUTBOUND_EVENTS.c.sequence).order_by(OUTBOUND_EVENTS.c.sequence.desc()).limit(1)
    first = int(connection.execute(newest).scalar() or 0) + 1
    rows = [
        {
            "sequence": first + number,
            "tenant_id": event.tenant_id,
            "event_id": event.event_id,
            "document": encode(event).decode(),
            "created_at_ms": at_ms,
        }
        for number, event in enumerate(events)
    ]
    if rows:
        connection.execute(insert(OUTBOUND_EVENTS), rows)
    return list(range(first, first + len(rows)))


def events(connection: Connection, sequences: Collection[int]) -> dict[int, EntityEvent]:
    """Return stored events by sequence; what is gone or cannot be read is absent."""
    found: dict[int, EntityEvent] = {}
    wanted = sorted(set(sequences))
    for chunk in chunks(wanted):
        query = select(OUTBOUND_EVENTS.c.sequence, OUTBOUND_EVENTS.c.document)
        for row in connection.execute(query.where(OUTBOUND_EVENTS.c.sequence.in_(chunk))):
            try:
                found[row.sequence] = decode(row.document)
            except Poison as exc:
                _LOG.error("outbound_event_unreadable", sequence=row.sequence, error=exc.message)
    return found


def new_delivery(
    row_id: str,
    tenant_id: str,
    lane: Lane,
    sequences: Sequence[int],
    *,
    at_ms: int,
    due_ms: int,
    kind: DeliveryKind = DeliveryKind.EVENT,
    takes_more: bool = False,
) -> dict[str, Any]:
    """Return the row of a new delivery."""
    return {
        "id": row_id,
        "tenant_id": tenant_id,
        "webhook_id": lane.webhook_id,
        "receiver": lane.receiver,
        "kind": kind.value,
        "state": DeliveryState.PENDING.value,
        "events": orjson.dumps(list(sequences)).decode(),
        "first_event": sequences[0],
        "takes_more": takes_more,
        "attempts": 0,
        "tries": 0,
        "next_attempt_at_ms": due_ms,
        "created_at_ms": at_ms,
        "updated_at_ms": at_ms,
    }


def delivery(row: Row[Any]) -> Delivery:
    """Return the delivery of a row."""
    return Delivery(
        id=row.id,
        tenant_id=row.tenant_id,
        lane=Lane(row.webhook_id, row.receiver),
        kind=DeliveryKind(row.kind),
        state=DeliveryState(row.state),
        events=tuple(orjson.loads(row.events)),
        attempts=row.attempts,
        tries=row.tries,
        next_attempt_at_ms=row.next_attempt_at_ms,
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms,
        last_attempt_at_ms=row.last_attempt_at_ms,
        last_status=row.last_status,
        last_reason=row.last_reason,
    )


def attempt_values(attempt: Attempt, webhook_id: str) -> dict[str, Any]:
    """Return the row of an attempt."""
    return {
        "delivery_id": attempt.delivery_id,
        "number": attempt.number,
        "webhook_id": webhook_id,
        "at_ms": attempt.at_ms,
        "duration_ms": attempt.duration_ms,
        "url": attempt.url,
        "status": attempt.status,
        "reason": attempt.reason,
        "request": orjson.dumps(dict(attempt.request)).decode(),
        "response": orjson.dumps(dict(attempt.response)).decode(),
    }


def chunks(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """Cut values into parts that one query takes."""
    return (values[at : at + _CHUNK] for at in range(0, len(values), _CHUNK))
