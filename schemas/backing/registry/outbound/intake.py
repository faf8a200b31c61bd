"""Taking events in: events, their deliveries and the feeds' cursors in one transaction of the lease's holder.

Lives here: which delivery an event becomes part of. Not here: which events match (sinks/notify/match), sending
(queue.py). A delivery takes events until it is full or an attempt of it is begun (`takes_more`): what a message holds
never changes once somebody may have seen it under its id.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from sqlalchemy import Connection, bindparam, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from schemas import ids
from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.outbound import rows
from schemas.backing.registry.outbound.lease import fence
from schemas.backing.registry.outbound_tables import (
    FEED_CURSORS,
    OUTBOUND_DELIVERIES,
    TAKES_MORE,
    WEBHOOKS,
)
from schemas.definitions.notification import Cursor, Lane, Lease, Matched

_D = OUTBOUND_DELIVERIES.c
_CHUNK = 400
"""Lanes in one query: two parameters each."""
BATCH_AGE_MS = 60_000
"""So long a delivery takes events, though its lane is busy: whoever looks for an event's delivery relies on it."""


@dataclass(slots=True)
class _Batch:
    """A delivery that is being filled; `new`: it has no row yet."""

    id: str
    lane: Lane
    tenant_id: str
    events: list[int]
    due_ms: int
    made_ms: int
    new: bool
    takes_more: bool = True
    touched: bool = False


@dataclass(slots=True)
class _Filler:
    """Puts events into the lanes' batches; `sizes`: the batchSize of each webhook that there is."""

    rim: Rim
    now_ms: int
    linger_ms: int
    sizes: Mapping[str, int]
    open: dict[Lane, _Batch]
    done: list[_Batch] = field(default_factory=list)

    def add(self, lane: Lane, tenant_id: str, sequence: int) -> None:
        size, batch = self.sizes[lane.webhook_id], self.open.get(lane)
        old = batch is not None and batch.made_ms + BATCH_AGE_MS < self.now_ms
        if batch is None or old or len(batch.events) >= size:
            if batch is not None:
                self._close(batch)
            due_ms = self.now_ms + self.linger_ms
            batch = self.open[lane] = _Batch("", lane, tenant_id, [], due_ms, self.now_ms, new=True)
        batch.events.append(sequence)
        batch.touched = True
        if len(batch.events) >= size:
            self._close(batch)
            del self.open[lane]

    def all(self) -> list[_Batch]:
        """Return what is to be written, oldest first; new ones get ids that sort the same way."""
        found = [batch for batch in (*self.done, *self.open.values()) if batch.touched]
        made = sorted((batch for batch in found if batch.new), key=lambda batch: batch.events[0])
        found_ids = sorted(ids.uuid7_text(self.now_ms, self.rim.random_bytes(10)) for _ in made)
        for batch, row_id in zip(made, found_ids, strict=True):
            batch.id = row_id
        return found

    def _close(self, batch: _Batch) -> None:
        """Full: due at once, never later than it was."""
        batch.due_ms = min(batch.due_ms, self.now_ms)
        batch.takes_more, batch.touched = False, True
        self.done.append(batch)


def cursors(rim: Rim) -> dict[str, int]:
    """Return how far each feed was taken in."""
    with rim.database.read() as connection:
        return {row.feed: row.position for row in connection.execute(select(FEED_CURSORS))}


def take_in(
    rim: Rim, lease: Lease, taken: Sequence[Matched], moved: Sequence[Cursor], linger_s: float
) -> dict[Lane, int]:
    """Write events that have a lane, their deliveries and the cursors; return when each touched lane has work, in ms.

    A repetition (every cursor stands where it is to be moved) writes nothing. Lanes of webhooks that are gone are left
    out. Raises `LeaseLost`.
    """
    with rim.database.write() as connection:
        fence(connection, lease)
        now = rows.now_ms(connection, rim)
        if _repeated(connection, moved):
            return {}
        due = _events(rim, connection, taken, now, int(linger_s * 1000))
        _move(rim, connection, moved, now)
    return due


def _events(rim: Rim, connection: Connection, taken: Sequence[Matched], now: int, linger_ms: int) -> dict[Lane, int]:
    lanes = {lane for matched in taken for lane in matched.lanes}
    if not lanes:
        return {}
    sizes = _sizes(connection, {lane.webhook_id for lane in lanes})
    kept = [
        (matched.event, wanted)
        for matched in taken
        if (wanted := [lane for lane in dict.fromkeys(matched.lanes) if lane.webhook_id in sizes])
    ]
    filler = _Filler(
        rim, now, linger_ms, sizes, _open(connection, [lane for lane in lanes if lane.webhook_id in sizes])
    )
    sequences = rows.store_events(connection, (event for event, _ in kept), now)
    for sequence, (event, wanted) in zip(sequences, kept, strict=True):
        for lane in wanted:
            filler.add(lane, event.tenant_id, sequence)
    batches = filler.all()
    _write(connection, batches, now)
    due: dict[Lane, int] = {}
    for batch in batches:
        due[batch.lane] = min(batch.due_ms, due.get(batch.lane, batch.due_ms))
    return due


def _sizes(connection: Connection, webhook_ids: Collection[str]) -> dict[str, int]:
    query = select(WEBHOOKS.c.id, WEBHOOKS.c.definition).where(WEBHOOKS.c.id.in_(sorted(webhook_ids)))
    query = query.with_for_update(read=True, key_share=True)  # none of them is deleted until its deliveries are written
    return {row.id: int(orjson.loads(row.definition).get("batchSize", 10)) for row in connection.execute(query)}


def _open(connection: Connection, lanes: Sequence[Lane]) -> dict[Lane, _Batch]:
    """Return the deliveries that take more, one a lane at most."""
    found: dict[Lane, _Batch] = {}
    columns = (_D.id, _D.webhook_id, _D.receiver, _D.tenant_id, _D.events, _D.next_attempt_at_ms, _D.created_at_ms)
    for at in range(0, len(lanes), _CHUNK):
        pairs = [(lane.webhook_id, lane.receiver) for lane in lanes[at : at + _CHUNK]]
        query = select(*columns).where(TAKES_MORE, tuple_(_D.webhook_id, _D.receiver).in_(pairs))
        for row in connection.execute(query):
            lane = Lane(row.webhook_id, row.receiver)
            sequences = orjson.loads(row.events)
            found[lane] = _Batch(
                row.id, lane, row.tenant_id, sequences, row.next_attempt_at_ms, row.created_at_ms, new=False
            )
    return found


def _write(connection: Connection, batches: Sequence[_Batch], now: int) -> None:
    new = [
        rows.new_delivery(
            batch.id,
            batch.tenant_id,
            batch.lane,
            batch.events,
            at_ms=now,
            due_ms=batch.due_ms,
            takes_more=batch.takes_more,
        )
        for batch in batches
        if batch.new
    ]
    if new:
        connection.execute(insert(OUTBOUND_DELIVERIES), new)
    grown = [
        {
            "b_id": batch.id,
            "events": orjson.dumps(batch.events).decode(),
            "takes_more": batch.takes_more,
            "next_attempt_at_ms": batch.due_ms,
            "updated_at_ms": now,
        }
        for batch in batches
        if not batch.new
    ]
    if grown:
        connection.execute(update(OUTBOUND_DELIVERIES).where(_D.id == bindparam("b_id")), grown)


def _repeated(connection: Connection, moved: Sequence[Cursor]) -> bool:
    if not moved:
        return False
    query = select(FEED_CURSORS).where(FEED_CURSORS.c.feed.in_([cursor.feed for cursor in moved]))
    stored = {row.feed: row.position for row in connection.execute(query)}
    return all(stored.get(cursor.feed) == cursor.position for cursor in moved)


def _move(rim: Rim, connection: Connection, moved: Sequence[Cursor], now: int) -> None:
    values = [
        {"feed": one.feed, "tenant_id": one.tenant_id, "position": one.position, "updated_at_ms": now}
        for one in sorted(moved, key=lambda one: (one.feed, one.position))
    ]
    if not values:
        return
    into = (sqlite.insert if rim.database.sqlite else postgresql.insert)(FEED_CURSORS)
    new = into.excluded
    connection.execute(
        into.on_conflict_do_update(
            index_elements=["feed"],
            set_={"position": new.position, "updated_at_ms": new.updated_at_ms},
            where=new.position > FEED_CURSORS.c.position,
        ),
        values,
    )
