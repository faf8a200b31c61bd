"""What streams are doing, as their writers say: volatile, no change rows, no revision."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Row, select
from sqlalchemy.dialects import postgresql, sqlite

from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.tables import STREAM_STATES, STREAMS
from schemas.definitions.stream import State


@dataclass(frozen=True, slots=True)
class TableUpkeep:
    """What the last look at a stream's tables found: files and snapshots that are there, times in ms, None = never.

    Small: may still be joined. Dead: in no snapshot, to be deleted after the grace period. `error`: why the last look
    did not come to its end. `removed_rows`: since the tables' start, because they were older than `retentionDays`.
    `delete_files`: that hide rows.
    """

    snapshots: int = 0
    files: int = 0
    small_files: int = 0
    live_bytes: int = 0
    dead_files: int = 0
    dead_bytes: int = 0
    looked_at_ms: int | None = None
    compacted_at_ms: int | None = None
    error: str | None = None
    removed_rows: int = 0
    delete_files: int = 0


@dataclass(frozen=True, slots=True)
class StreamState:
    """One stream's state; `positions`: next offset by clean topic id and partition; freshness of the last minute.

    Times in ms since the epoch or seconds, sizes in bytes; None = not known. `overflow`: fields kept as JSON because
    the table has its most columns. `discarded`: events since the table's start that the contract takes no row of;
    `drift`: JSON pointers of members that it gives no column. `index_keys`, `index_bytes`: what the writer keeps in
    memory for an upsert table.
    """

    stream_id: str
    state: State
    reason: str | None = None
    message: str | None = None
    owner: str | None = None
    generation: int = 0
    rows: int = 0
    snapshot_id: int | None = None
    sequence_number: int | None = None
    committed_at_ms: int | None = None
    positions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    lag_records: int | None = None
    lag_s: float | None = None
    freshness_p50_s: float | None = None
    freshness_p95_s: float | None = None
    files: int | None = None
    bytes: int | None = None
    overflow: int | None = None
    discarded: int | None = None
    drift: tuple[str, ...] = ()
    upkeep: TableUpkeep | None = None
    index_keys: int | None = None
    index_bytes: int | None = None
    updated_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class States:
    """The repository of stream states."""

    rim: Rim

    def put(self, many: Sequence[StreamState]) -> None:
        """Store states; one of an older generation than the stored one is dropped (a stale owner)."""
        if not many:
            return
        newest = {state.stream_id: state for state in many}
        values = [
            {
                "stream_id": state.stream_id,
                "generation": state.generation,
                "state": state.state.value,
                "document": orjson.dumps(state, option=orjson.OPT_NON_STR_KEYS).decode(),
                "updated_at_ms": state.updated_at_ms,
            }
            for _, state in sorted(newest.items())
        ]
        statement = (sqlite.insert if self.rim.database.sqlite else postgresql.insert)(STREAM_STATES)
        upsert = statement.on_conflict_do_update(
            index_elements=["stream_id"],
            set_={name: statement.excluded[name] for name in values[0] if name != "stream_id"},
            where=STREAM_STATES.c.generation <= statement.excluded.generation,
        )
        with self.rim.database.write() as connection:
            connection.execute(upsert, values)

    def get(self, stream_id: str) -> StreamState | None:
        """Return a stream's state; None before its writer said anything."""
        with self.rim.database.read() as connection:
            row = connection.execute(select(STREAM_STATES).where(STREAM_STATES.c.stream_id == stream_id)).first()
        return None if row is None else _state(row)

    def many(self, stream_ids: Collection[str]) -> dict[str, StreamState]:
        """Return the states of these streams by id, whosever they are; those without one are absent."""
        if not stream_ids:
            return {}
        query = select(STREAM_STATES).where(STREAM_STATES.c.stream_id.in_(sorted(stream_ids)))
        with self.rim.database.read() as connection:
            return {row.stream_id: _state(row) for row in connection.execute(query)}

    def all(self, tenant: str) -> dict[str, StreamState]:
        """Return the states of a tenant's streams by stream id; streams without one are absent."""
        query = select(STREAM_STATES).join(STREAMS, STREAMS.c.id == STREAM_STATES.c.stream_id)
        with self.rim.database.read() as connection:
            return {
                row.stream_id: _state(row) for row in connection.execute(query.where(STREAMS.c.tenant_id == tenant))
            }


def _state(row: Row[Any]) -> StreamState:
    document = orjson.loads(row.document)
    known = {name: document[name] for name in StreamState.__dataclass_fields__ if name in document}
    told = document.get("upkeep")
    return StreamState(
        **{
            **known,
            "state": State(document["state"]),
            "drift": tuple(document.get("drift", ())),
            "upkeep": None if told is None else TableUpkeep(**told),
        }
    )
