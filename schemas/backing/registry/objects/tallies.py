"""Counters of the edge: absolute per (process start, source), upserted, summed when read (rule 24).

Lives here: storing and summing. Volatile: no change rows, no revision. A flush that is sent twice changes nothing.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection, Row, func, select
from sqlalchemy.dialects import postgresql, sqlite

from schemas.backing.registry.objects.refusals import Refusals
from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.tables import SOURCES, TALLIES

MAX_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Tally:
    """What a source has seen over all process starts; times in ms since the epoch, None = never.

    `shed`: those of the accepted of which a marker alone is stored.
    """

    accepted: int = 0
    handshakes: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    last_event_at_ms: int | None = None
    secret_last_used: Mapping[str, int] = field(default_factory=dict)
    shed: int = 0


@dataclass(frozen=True, slots=True)
class Tallies:
    """The repository of counters."""

    rim: Rim

    def flush(self, process_start: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Upsert the counters of one process start.

        A row: `{source_id, accepted, handshakes, refused: {reason: n}, last_event_at_ms, secret_last_used: {id: ms},
        shed}`, all but source_id may be absent. ValueError past 10,000 rows.
        """
        if len(rows) > MAX_ROWS:
            raise ValueError(f"a flush has at most {MAX_ROWS} rows")
        if not rows:
            return
        values = sorted((_values(process_start, row) for row in rows), key=lambda value: str(value["source_id"]))
        make = sqlite.insert if self.rim.database.sqlite else postgresql.insert
        statement = make(TALLIES)
        new = {name: statement.excluded[name] for name in values[0] if name not in {"source_id", "process_start"}}
        upsert = statement.on_conflict_do_update(index_elements=["source_id", "process_start"], set_=new)
        with self.rim.database.write() as connection:
            connection.execute(upsert, values)

    def read(self, source_id: str) -> Tally:
        """Return the sums of a source; zeros when it never saw anything."""
        with self.rim.database.read() as connection:
            return read_tally(connection, source_id)

    def losses(self, source_ids: Collection[str]) -> dict[str, tuple[int, int]]:
        """Return how many deliveries of these sources were accepted, and how many of them shed; silent ones: absent."""
        if not source_ids:
            return {}
        sums = func.sum(TALLIES.c.accepted).label("accepted"), func.sum(TALLIES.c.shed).label("shed")
        query = select(TALLIES.c.source_id, *sums).where(TALLIES.c.source_id.in_(sorted(source_ids)))
        with self.rim.database.read() as connection:
            rows = connection.execute(query.group_by(TALLIES.c.source_id)).all()
        return {row.source_id: (int(row.accepted), int(row.shed)) for row in rows}

    def all(self, tenant: str) -> dict[str, Tally]:
        """Return the sums of a tenant's sources by source id; those that never saw anything are absent."""
        query = select(TALLIES).join(SOURCES, SOURCES.c.id == TALLIES.c.source_id).where(SOURCES.c.tenant_id == tenant)
        found: dict[str, list[Row[Any]]] = {}
        with self.rim.database.read() as connection:
            for row in connection.execute(query):
                found.setdefault(row.source_id, []).append(row)
        return {source_id: _summed(rows) for source_id, rows in found.items()}


@dataclass(frozen=True, slots=True)
class TallyFlusher:
    """Implements ports.TallySink: flushes in a thread."""

    tallies: Tallies
    refusals: Refusals

    async def flush(self, process_start: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Upsert one row per source; raises `Refused(registry_away)`: flush again later, counters are absolute."""
        await asyncio.to_thread(self.tallies.flush, process_start, rows)

    async def keep(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add refused requests to their sources' rings; raises `Refused(registry_away)`: send them again later."""
        await asyncio.to_thread(self.refusals.keep, rows)


def read_tally(connection: Connection, source_id: str) -> Tally:
    """Sum the rows of one source inside a transaction."""
    return _summed(connection.execute(select(TALLIES).where(TALLIES.c.source_id == source_id)))


def _summed(rows: Iterable[Row[Any]]) -> Tally:
    accepted = handshakes = shed = 0
    refused: dict[str, int] = {}
    used: dict[str, int] = {}
    last: int | None = None
    for row in rows:
        accepted += row.accepted
        handshakes += row.handshakes
        shed += row.shed
        for reason, n in orjson.loads(row.refused).items():
            refused[reason] = refused.get(reason, 0) + n
        for secret_id, at_ms in orjson.loads(row.secrets).items():
            used[secret_id] = max(used.get(secret_id, 0), at_ms)
        if row.last_event_at_ms is not None:
            last = max(last or 0, row.last_event_at_ms)
    return Tally(accepted, handshakes, refused, last, used, shed)


def _values(process_start: str, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "source_id": row["source_id"],
        "process_start": process_start,
        "accepted": row.get("accepted", 0),
        "handshakes": row.get("handshakes", 0),
        "refused": orjson.dumps(dict(row.get("refused", {}))).decode(),
        "secrets": orjson.dumps(dict(row.get("secret_last_used", {}))).decode(),
        "last_event_at_ms": row.get("last_event_at_ms"),
        "shed": row.get("shed", 0),
    }
