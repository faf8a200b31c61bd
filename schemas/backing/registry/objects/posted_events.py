"""Events that somebody told us of (`POST /events`): kept once an id, counted in one order, for a bounded time.

Lives here: rows. A sequence is given under the lock of `Database.change`, so a reader that goes by it misses none, and
is never given twice, whatever was removed meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from schemas.backing.registry.objects.repository import Rim, alive
from schemas.backing.registry.outbound_tables import FEED_CURSORS, POSTED_EVENTS
from schemas.backing.registry.record import Page, PageRequest, cursor_read, cursor_text
from schemas.definitions.posted import FEED, Posted
from schemas.wire.entity_event import EntityEvent, encode

MAX_PAGE = 1_000
_IDS = 500
_MOST = (1 << 63) - 1
_P = POSTED_EVENTS.c


@dataclass(frozen=True, slots=True)
class PostedEvents:
    """The repository of posted events."""

    rim: Rim

    def add(self, tenant: str, events: Sequence[EntityEvent]) -> int:
        """Keep events in their order and return how many are new; an id that is known already keeps its first event.

        Raises `Refused(not_found)` when the tenant is gone.
        """
        now = self.rim.now_ms()
        wanted = {event.event_id: event for event in reversed(events)}
        with self.rim.database.change() as connection:
            alive(connection, tenant)
            known = _known(connection, tenant, list(wanted))
            new = [event_id for event_id in dict.fromkeys(one.event_id for one in events) if event_id not in known]
            first = _newest(connection) + 1
            rows = [
                {
                    "sequence": first + number,
                    "tenant_id": tenant,
                    "event_id": event_id,
                    "document": encode(wanted[event_id]).decode(),
                    "created_at_ms": now,
                }
                for number, event_id in enumerate(new)
            ]
            if rows:
                connection.execute(insert(POSTED_EVENTS), rows)
        return len(rows)

    def after(self, sequence: int, limit: int) -> tuple[Posted, ...]:
        """Return up to `limit` (1..1000) rows of all tenants after a sequence, oldest first."""
        query = select(POSTED_EVENTS).where(_P.sequence > sequence).order_by(_P.sequence)
        with self.rim.database.read() as connection:
            return tuple(_row(row) for row in connection.execute(query.limit(max(1, min(limit, MAX_PAGE)))))

    def page(self, tenant: str, page: PageRequest, since_ms: int) -> Page[Posted]:
        """Return a tenant's rows that were kept since a time, oldest first."""
        query = select(POSTED_EVENTS).where(_P.tenant_id == tenant, _P.created_at_ms >= since_ms)
        if page.cursor is not None:
            query = query.where(_P.sequence > min(cursor_read(page.cursor, int)[0], _MOST))
        with self.rim.database.read() as connection:
            rows = connection.execute(query.order_by(_P.sequence).limit(page.limit + 1)).all()
        more = cursor_text(rows[page.limit - 1].sequence, "") if len(rows) > page.limit else None
        return Page(tuple(_row(row) for row in rows[: page.limit]), more)

    def prune(self, before_ms: int, limit: int) -> int:
        """Remove up to `limit` rows that are older than a time and were read by the feed; return how many."""
        with self.rim.database.write() as connection:
            old = select(_P.sequence).where(_P.created_at_ms < before_ms, _P.sequence <= _taken(connection))
            found = connection.execute(old.order_by(_P.sequence).limit(limit)).scalars().all()
            for at in range(0, len(found), _IDS):
                connection.execute(delete(POSTED_EVENTS).where(_P.sequence.in_(found[at : at + _IDS])))
        return len(found)


def _known(connection: Connection, tenant: str, event_ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for at in range(0, len(event_ids), _IDS):
        query = select(_P.event_id).where(_P.tenant_id == tenant, _P.event_id.in_(event_ids[at : at + _IDS]))
        found |= set(connection.execute(query).scalars())
    return found


def _newest(connection: Connection) -> int:
    """Return the last sequence that was ever given."""
    last = connection.execute(select(func.max(_P.sequence))).scalar()
    return max(int(last or 0), _taken(connection))


def _taken(connection: Connection) -> int:
    """Return how far the feed is: also where sequences go on after the newest row was removed."""
    query = select(FEED_CURSORS.c.position).where(FEED_CURSORS.c.feed == FEED)
    return int(connection.execute(query).scalar() or 0)


def _row(row: Row[Any]) -> Posted:
    return Posted(row.sequence, row.tenant_id, row.event_id, row.document, row.created_at_ms)
