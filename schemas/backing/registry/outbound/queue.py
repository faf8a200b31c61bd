"""One turn of the engine with its database: results in, the next deliveries out, in one transaction for many lanes.

Lives here: claiming and recording. A claim closes a delivery to further events before anybody may see it (`takes_more`
false), so that an attempt after a crash sends what the first one sent. Results are grouped: one commit serves every
lane that ended a request meanwhile.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from schemas import ids
from schemas.backing.registry.objects import webhook_record
from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.outbound import rows
from schemas.backing.registry.outbound.lease import fence
from schemas.backing.registry.outbound_tables import OUTBOUND_ATTEMPTS, OUTBOUND_DELIVERIES, PENDING, WEBHOOKS
from schemas.definitions.notification import Delivery, DeliveryKind, DeliveryState, FailureDetails, Lane, Lease
from schemas.definitions.sending import Claim, Result, Told, Turn
from schemas.definitions.webhook import MASK, WebhookStatus
from schemas.wire.entity_event import Delta, Description, EntityEvent, EventType, event_id

SetStatus = Callable[[Connection, str, WebhookStatus, FailureDetails | None], bool]
_D = OUTBOUND_DELIVERIES.c
_NEXT = (
    select(OUTBOUND_DELIVERIES)
    .where(PENDING, _D.webhook_id == bindparam("b_webhook"), _D.receiver == bindparam("b_receiver"))
    .order_by(_D.next_attempt_at_ms, _D.first_event)
    .limit(bindparam("b_most"))
)
"""Made once: it is asked for each lane of each turn."""
_ENDED = {DeliveryState.DELIVERED.value, DeliveryState.RETRY_LIMIT_REACHED.value, DeliveryState.CANCELED.value}


def turn(
    rim: Rim,
    set_status: SetStatus,
    lease: Lease,
    results: Sequence[Result],
    told: Sequence[Told],
    wanted: Mapping[Lane, int],
) -> Turn:
    """Record results and statuses, then claim up to so many due deliveries of each wanted lane; raises `LeaseLost`.

    Statuses are written first: a change of definitions is made under the lock of all changes, which comes before any
    row's. Results of deliveries that are gone are left out.
    """
    begin = rim.database.change if told else rim.database.write
    with begin() as connection:
        before = {one.webhook_id: _status(connection, one.webhook_id) for one in told if one.fallback is not None}
        changed = [one for one in told if set_status(connection, one.webhook_id, one.status, one.failure)]
        fence(connection, lease)
        now = rows.now_ms(connection, rim)
        _record(rim, connection, results, now)
        moved: dict[Lane, int] = {}
        for one in changed:
            if one.fallback is not None and _fall_back(rim, connection, one, before[one.webhook_id], now):
                moved[one.fallback] = now
        found = {lane: _next(connection, lane, most + 1) for lane, most in wanted.items()}
        due = {
            lane: [one for one in deliveries[: wanted[lane]] if (one.next_attempt_at_ms or 0) <= now]
            for lane, deliveries in found.items()
        }
        claims = _claim(connection, due, now)
    again = {
        lane: deliveries[len(due[lane])].next_attempt_at_ms if len(deliveries) > len(due[lane]) else None
        for lane, deliveries in found.items()
    }
    return Turn(claims=claims, again_ms=again, moved=moved)


def add(
    rim: Rim, connection: Connection, lane: Lane, values: Mapping[str, Any], at_ms: int, row_id: str | None = None
) -> bool:
    """Write a delivery that is due now and takes no more events (a test, a fallback); False when its webhook is gone.

    `values`: tenant, sequences and kind.
    """
    query = select(WEBHOOKS.c.id).where(WEBHOOKS.c.id == lane.webhook_id).with_for_update(read=True, key_share=True)
    if connection.execute(query).first() is None:
        return False
    made = rows.new_delivery(
        row_id or ids.uuid7_text(at_ms, rim.random_bytes(10)),
        values["tenant"],
        lane,
        values["sequences"],
        at_ms=at_ms,
        due_ms=at_ms,
        kind=values["kind"],
    )
    connection.execute(insert(OUTBOUND_DELIVERIES), [made])
    return True


def _next(connection: Connection, lane: Lane, most: int) -> list[Delivery]:
    """Return the pending deliveries of a lane that are due first."""
    given = {"b_webhook": lane.webhook_id, "b_receiver": lane.receiver, "b_most": most}
    return [rows.delivery(row) for row in connection.execute(_NEXT, given)]


def _claim(connection: Connection, due: Mapping[Lane, Sequence[Delivery]], now: int) -> dict[Lane, tuple[Claim, ...]]:
    fresh = [{"b_id": one.id} for found in due.values() for one in found if one.attempts == 0]
    if fresh:
        close = update(OUTBOUND_DELIVERIES).where(_D.id == bindparam("b_id"), _D.takes_more)
        connection.execute(close.values(takes_more=False, updated_at_ms=now), fresh)
    stored = rows.events(connection, [number for found in due.values() for one in found for number in one.events])
    return {
        lane: tuple(Claim(one, tuple(stored[number] for number in one.events if number in stored)) for one in found)
        for lane, found in due.items()
        if found
    }


def _record(rim: Rim, connection: Connection, results: Sequence[Result], now: int) -> None:
    """Write results; one that is told again, because nobody knew whether it was written, changes nothing."""
    there: set[str] = set()
    for chunk in rows.chunks([result.delivery.id for result in results]):
        query = select(_D.id).where(_D.id.in_(chunk)).with_for_update(read=True, key_share=True)
        there.update(connection.execute(query).scalars())
    kept = [result for result in results if result.delivery.id in there]
    if not kept:
        return
    made = [
        rows.attempt_values(result.attempt, result.delivery.lane.webhook_id)
        for result in kept
        if result.attempt is not None
    ]
    if made:
        into = (sqlite.insert if rim.database.sqlite else postgresql.insert)(OUTBOUND_ATTEMPTS)
        connection.execute(into.on_conflict_do_nothing(index_elements=["delivery_id", "number"]), made)
    connection.execute(
        update(OUTBOUND_DELIVERIES).where(_D.id == bindparam("b_id")), [_result_values(one, now) for one in kept]
    )


def _result_values(result: Result, now: int) -> dict[str, Any]:
    was, attempt = result.delivery, result.attempt
    return {
        "b_id": was.id,
        "state": result.state.value,
        "takes_more": False,
        "attempts": was.attempts if attempt is None else attempt.number,
        "tries": was.tries if attempt is None else was.tries + 1,
        "next_attempt_at_ms": None if result.state.value in _ENDED else result.next_attempt_at_ms,
        "updated_at_ms": now,
        "last_attempt_at_ms": was.last_attempt_at_ms if attempt is None else attempt.at_ms,
        "last_status": was.last_status if attempt is None else attempt.status,
        "last_reason": result.reason,
    }


def _status(connection: Connection, webhook_id: str) -> str | None:
    found: str | None = connection.execute(select(WEBHOOKS.c.status).where(WEBHOOKS.c.id == webhook_id)).scalar()
    return found


def _fall_back(rim: Rim, connection: Connection, told: Told, before: str | None, now: int) -> bool:
    """Tell a webhook's fallback what became of it: entityUpdated of the entity as it is now, field `status`."""
    query = webhook_record.entity().where(WEBHOOKS.c.id == told.webhook_id)
    webhook = webhook_record.record(connection, connection.execute(query).one())
    entity = webhook.to_wire()
    config = entity["webhookConfig"]
    entity["webhookConfig"] = {**config, "headers": dict.fromkeys(config["headers"], MASK)}
    event = EntityEvent(
        event_id=event_id("fallback", f"{webhook.id}/{webhook.version}"),
        tenant_id=webhook.tenant,
        event_type=EventType.UPDATED,
        entity_type="webhook",
        entity_id=webhook.id,
        entity_name=webhook.full_name,
        at_ms=now,
        entity=entity,
        change=Description(updated=(Delta("status", before, told.status.value),)),
    )
    sequences = rows.store_events(connection, [event], now)
    values = {"tenant": webhook.tenant, "sequences": sequences, "kind": DeliveryKind.FALLBACK}
    return told.fallback is not None and add(rim, connection, told.fallback, values, now)
