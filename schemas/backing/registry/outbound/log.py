"""The log of outbound deliveries as people read it: lists, one delivery with its events and attempts.

Lives here: reads alone, of the rows that are the queue. Not here: figures (statistics.py), what is asked of the notify
process (requests.py), writing (intake.py and its neighbours). Every query begins with a webhook of the caller's tenant.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select

from schemas.backing.registry.objects.repository import Rim, page_of
from schemas.backing.registry.outbound import rows
from schemas.backing.registry.outbound_tables import OUTBOUND_ATTEMPTS, OUTBOUND_DELIVERIES, OUTBOUND_EVENTS, WEBHOOKS
from schemas.backing.registry.record import Page, PageRequest
from schemas.definitions.notification import Attempt, Delivery, DeliveryKind, DeliveryState
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.entity_event import EntityEvent

MAX_ATTEMPTS = 100
"""Attempts of one delivery that are shown, the newest."""
LINGER_MS = 60_000
"""A batch may be so much older than an event in it (the bound of HOOKBERG_NOTIFY_LINGER_S)."""
_D = OUTBOUND_DELIVERIES.c


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries of a list: made in `since_ms` <= t < `until_ms`, None = any.

    `answer`: the last answer's class, 1 to 5, 0 = there was none. `event_id`: those that hold the event.
    `failed`: those that were given up or canceled, or whose last attempt failed.
    """

    state: DeliveryState | None = None
    kind: DeliveryKind | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    event_id: str | None = None
    answer: int | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """One delivery with what it holds and how it went: attempts oldest first, the newest hundred."""

    delivery: Delivery
    events: tuple[EntityEvent, ...]
    attempts: tuple[Attempt, ...]


def page(rim: Rim, tenant: str, webhook_id: str, wanted: Wanted, asked: PageRequest) -> Page[Delivery]:
    """Return deliveries of a webhook, newest first; raises `Refused(not_found)`."""
    with rim.database.read() as connection:
        webhook_of(connection, tenant, webhook_id)
        query = select(OUTBOUND_DELIVERIES).where(_D.webhook_id == webhook_id)
        if wanted.event_id is not None:
            held = _holding(connection, tenant, wanted.event_id)
            if held is None:
                return Page((), None)
            query = query.where(held)
        query = _narrowed(query, wanted)
        return page_of(connection, query, _D.created_at_ms, _D.id, asked, rows.delivery, newest_first=True)


def one(rim: Rim, tenant: str, webhook_id: str, delivery_id: str) -> Told:
    """Return a delivery of a webhook, its events and attempts; raises `Refused(not_found)`."""
    with rim.database.read() as connection:
        delivery = delivery_of(connection, tenant, webhook_id, delivery_id)
        stored = rows.events(connection, delivery.events)
        attempts = select(OUTBOUND_ATTEMPTS).where(OUTBOUND_ATTEMPTS.c.delivery_id == delivery_id)
        newest = attempts.order_by(OUTBOUND_ATTEMPTS.c.number.desc()).limit(MAX_ATTEMPTS)
        made = [_attempt(row) for row in connection.execute(newest)]
    known = tuple(stored[sequence] for sequence in delivery.events if sequence in stored)
    return Told(delivery, known, tuple(reversed(made)))


def matching(
    connection: Connection, webhook_id: str, states: Collection[DeliveryState], since_ms: int, until_ms: int | None
) -> int:
    """Count deliveries of a webhook in these states that were made in the time."""
    return int(connection.execute(_in_time(select(func.count()), webhook_id, states, since_ms, until_ms)).scalar_one())


def webhook_of(connection: Connection, tenant: str, webhook_id: str) -> Row[Any]:
    """Return the row of a tenant's webhook, one that is deleted too; raises `Refused(not_found)`."""
    query = select(WEBHOOKS).where(WEBHOOKS.c.id == webhook_id, WEBHOOKS.c.tenant_id == tenant)
    row = connection.execute(query).first()
    if row is None:
        raise Refused(Reason.NOT_FOUND, f"no webhook {webhook_id[:80]!r} here")
    return row


def delivery_of(connection: Connection, tenant: str, webhook_id: str, delivery_id: str) -> Delivery:
    """Return a delivery of a tenant's webhook; raises `Refused(not_found)`."""
    webhook_of(connection, tenant, webhook_id)
    query = select(OUTBOUND_DELIVERIES).where(_D.id == delivery_id, _D.webhook_id == webhook_id)
    row = connection.execute(query).first()
    if row is None:
        raise Refused(Reason.NOT_FOUND, f"no delivery {delivery_id[:80]!r} of this webhook: it may be past the log")
    return rows.delivery(row)


def _in_time(
    query: Select[Any],
    webhook_id: str,
    states: Collection[DeliveryState],
    since_ms: int,
    until_ms: int | None,
) -> Select[Any]:
    query = query.where(
        _D.webhook_id == webhook_id,
        _D.state.in_([state.value for state in states]),
        _D.created_at_ms >= since_ms,
    )
    return query if until_ms is None else query.where(_D.created_at_ms < until_ms)


def _narrowed(query: Select[Any], wanted: Wanted) -> Select[Any]:
    if wanted.state is not None:
        query = query.where(_D.state == wanted.state.value)
    if wanted.failed:
        tried = _D.last_attempt_at_ms.is_not(None)
        query = query.where(
            or_(
                _D.state.in_([DeliveryState.RETRY_LIMIT_REACHED.value, DeliveryState.CANCELED.value]),
                and_(_D.state == DeliveryState.PENDING.value, tried),
            )
        )
    if wanted.kind is not None:
        query = query.where(_D.kind == wanted.kind.value)
    if wanted.since_ms is not None:
        query = query.where(_D.created_at_ms >= wanted.since_ms)
    if wanted.until_ms is not None:
        query = query.where(_D.created_at_ms < wanted.until_ms)
    if wanted.answer == 0:
        query = query.where(_D.last_attempt_at_ms.is_not(None), _D.last_status.is_(None))
    elif wanted.answer is not None:
        query = query.where(_D.last_status >= wanted.answer * 100, _D.last_status < (wanted.answer + 1) * 100)
    return query


def _holding(connection: Connection, tenant: str, event_id: str) -> ColumnElement[bool] | None:
    """Return the condition that a delivery holds the event; None when there is no such event.

    Sequences stand in a JSON array; no delivery of an event is older than the batch that it joined could be.
    """
    events = OUTBOUND_EVENTS.c
    query = select(events.sequence, events.created_at_ms).where(events.tenant_id == tenant, events.event_id == event_id)
    found = connection.execute(query.limit(10)).all()
    if not found:
        return None
    forms = [
        _D.events.like(form)
        for row in found
        for form in (f"[{row.sequence}]", f"[{row.sequence},%", f"%,{row.sequence},%", f"%,{row.sequence}]")
    ]
    return and_(_D.created_at_ms >= min(row.created_at_ms for row in found) - LINGER_MS, or_(*forms))


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(
        delivery_id=row.delivery_id,
        number=row.number,
        at_ms=row.at_ms,
        duration_ms=row.duration_ms,
        url=row.url,
        status=row.status,
        reason=row.reason,
        request=orjson.loads(row.request),
        response=orjson.loads(row.response),
    )
