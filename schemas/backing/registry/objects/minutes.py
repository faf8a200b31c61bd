"""What became of each source's events, minute by minute, and until when that is complete.

Lives here: storing absolute values, reading a source's window, letting old minutes go. Volatile like the tallies: no
change rows, no revision. A row that is told twice changes nothing; an older one never replaces a newer one. Not here:
how minutes are counted (streams/windows.py). Implements ports.MinuteBook.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Row, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.tables import LEDGERS_COUNTED, SOURCE_MINUTES, SOURCES, TALLIES, TENANTS
from schemas.definitions.minute import Complete, LastEvent, MinuteCounts

MAX_ROWS = 1_000
"""Of one telling."""
_KEY = ("source_id", "minute", "ledger_id", "partition", "first_offset")


@dataclass(frozen=True, slots=True)
class Minutes:
    """The repository of minutes."""

    rim: Rim

    def tell(self, rows: Sequence[MinuteCounts], complete: Sequence[Complete] = ()) -> None:
        """Store minutes and how far ledgers are counted, in one transaction; of sources and tenants that are gone none.

        ValueError past 1,000 rows.
        """
        if len(rows) > MAX_ROWS:
            raise ValueError(f"a telling has at most {MAX_ROWS} rows")
        make = sqlite.insert if self.rim.database.sqlite else postgresql.insert
        wanted, tenants = sorted({row.source_id for row in rows}), sorted({mark.tenant for mark in complete})
        with self.rim.database.write() as connection:
            alive = set(connection.execute(select(SOURCES.c.id).where(SOURCES.c.id.in_(wanted))).scalars())
            values = sorted((_values(row) for row in rows if row.source_id in alive), key=_order)
            if values:
                into = make(SOURCE_MINUTES)
                new, newer = into.excluded, into.excluded.last_offset > SOURCE_MINUTES.c.last_offset
                connection.execute(
                    into.on_conflict_do_update(
                        index_elements=list(_KEY),
                        set_={"last_offset": new.last_offset, "counts": new.counts},
                        where=newer,
                    ),
                    values,
                )
            known = set(connection.execute(select(TENANTS.c.id).where(TENANTS.c.id.in_(tenants))).scalars())
            marks = [
                {"ledger_id": mark.ledger, "tenant_id": mark.tenant, "complete_minute": mark.minute}
                for mark in sorted(complete, key=lambda mark: mark.ledger)
                if mark.tenant in known
            ]
            if marks:
                at = make(LEDGERS_COUNTED)
                connection.execute(
                    at.on_conflict_do_update(
                        index_elements=["ledger_id"],
                        set_={"complete_minute": at.excluded.complete_minute},
                        where=at.excluded.complete_minute > LEDGERS_COUNTED.c.complete_minute,
                    ),
                    marks,
                )

    def read(self, source_id: str, since: int, until: int) -> tuple[MinuteCounts, ...]:
        """Return the rows of a source's minutes `since`..`until`-1, ascending; a minute may have several."""
        query = select(SOURCE_MINUTES).where(
            SOURCE_MINUTES.c.source_id == source_id, SOURCE_MINUTES.c.minute >= since, SOURCE_MINUTES.c.minute < until
        )
        with self.rim.database.read() as connection:
            return tuple(_read(row) for row in connection.execute(query.order_by(SOURCE_MINUTES.c.minute)))

    def complete(self, tenant: str) -> int | None:
        """Return the minute before which all of a tenant's minutes are closed and stored; None while nobody counts."""
        query = select(func.max(LEDGERS_COUNTED.c.complete_minute)).where(LEDGERS_COUNTED.c.tenant_id == tenant)
        with self.rim.database.read() as connection:
            found: int | None = connection.execute(query).scalar()
        return found

    def prune(self, before: int) -> int:
        """Let go of the minutes before `before`; return how many rows went."""
        with self.rim.database.write() as connection:
            return connection.execute(delete(SOURCE_MINUTES).where(SOURCE_MINUTES.c.minute < before)).rowcount

    def last_events(self, source_ids: Iterable[str]) -> dict[str, LastEvent]:
        """Return when sources were made, changed, and last took an event at the edge; gone ones are absent."""
        newest = func.max(TALLIES.c.last_event_at_ms).label("received_at_ms")
        query = (
            select(SOURCES.c.id, SOURCES.c.created_at_ms, SOURCES.c.updated_at_ms, newest)
            .select_from(SOURCES.outerjoin(TALLIES, TALLIES.c.source_id == SOURCES.c.id))
            .where(SOURCES.c.id.in_(list(source_ids)))
            .group_by(SOURCES.c.id)
        )
        with self.rim.database.read() as connection:
            return {
                row.id: LastEvent(row.created_at_ms, row.updated_at_ms, row.received_at_ms)
                for row in connection.execute(query)
            }


def _values(row: MinuteCounts) -> dict[str, Any]:
    counts = {"types": row.types, "otherTypes": row.other_types, "otherTimes": row.other_times}
    return {
        "source_id": row.source_id,
        "minute": row.minute,
        "ledger_id": row.ledger,
        "partition": row.partition,
        "first_offset": row.first,
        "last_offset": row.last,
        "counts": orjson.dumps({name: value for name, value in counts.items() if value}).decode(),
    }


def _order(values: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(values[name] for name in _KEY)


def _read(row: Row[Any]) -> MinuteCounts:
    counts = orjson.loads(row.counts)
    return MinuteCounts(
        row.source_id,
        row.minute,
        row.ledger_id,
        row.partition,
        row.first_offset,
        row.last_offset,
        counts.get("types", {}),
        counts.get("otherTypes", {}),
        counts.get("otherTimes", {}),
    )
