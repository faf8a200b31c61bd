"""How a stream looks in answers: its definition, what is wanted of it, its state, and its status in figures."""

from datetime import datetime
from typing import Any, Literal

from ingress.api.call import Call
from ingress.api.resources import shapes
from ingress.api.resources.stream_state import state_of, trouble_of
from schemas.backing.registry import StreamRecord, StreamState, TableUpkeep
from schemas.definitions.base import Definition
from schemas.definitions.stream import State, StreamDefinition


class Trouble(Definition):
    """Why a stream failed."""

    reason: str
    message: str | None


class StreamAnswer(StreamDefinition):
    """A stream; `topics` are resolved."""

    id: str
    tenant_id: str
    version: int
    created_at: datetime
    updated_at: datetime
    desired: Literal["running", "stopped"]
    state: State
    error: Trouble | None


class Upkeep(Definition):
    """What the writer's last look at the stream's tables found, and when it last joined small files.

    `smallFiles` may still be joined; `deadFiles` are in no snapshot and wait for their deletion; `removedRows` are gone
    since the tables' start because of `retentionDays`.
    """

    snapshots: int
    files: int
    small_files: int
    delete_files: int
    live_bytes: int
    dead_files: int
    dead_bytes: int
    removed_rows: int
    last_look_at: datetime | None
    last_compaction_at: datetime | None
    error: str | None


class UpsertIndex(Definition):
    """What the writer keeps in memory of a table of `writeMode: upsert`: keys ever met, and their bytes."""

    keys: int
    size_bytes: int


class StatusAnswer(Definition):
    """A stream's state in figures; null = not known (yet)."""

    id: str
    name: str
    desired: Literal["running", "stopped"]
    state: State
    error: Trouble | None
    generation: int
    rows: int
    last_commit_at: datetime | None
    snapshot_id: str | None
    freshness_p50_seconds: float | None
    freshness_p95_seconds: float | None
    lag_events: int | None
    lag_seconds: float | None
    positions: dict[str, dict[str, int]]
    expires_at: datetime | None
    files: int | None
    size_bytes: int | None
    overflow: int | None
    discarded: int | None
    drift: tuple[str, ...]
    upkeep: Upkeep | None
    upsert_index: UpsertIndex | None
    updated_at: datetime | None


def wire(call: Call, record: StreamRecord, said: StreamState | None) -> dict[str, Any]:
    """Return a stream as answered."""
    return {
        **record.definition.to_wire(),
        "id": record.id,
        "tenantId": record.tenant,
        "version": record.version,
        "createdAt": shapes.instant(record.created_at_ms),
        "updatedAt": shapes.instant(record.updated_at_ms),
        "desired": record.desired,
        "state": state_of(record, said, call.env.view.current().topics).value,
        "error": trouble_of(record, said),
    }


def status(call: Call, record: StreamRecord, said: StreamState | None) -> dict[str, Any]:
    """Return a stream's status; snapshot ids are text, because JavaScript cannot hold 64 bits."""
    known = said or StreamState(record.id, State.CREATED)
    return {
        "id": record.id,
        "name": record.name,
        "desired": record.desired,
        "state": state_of(record, said, call.env.view.current().topics).value,
        "error": trouble_of(record, said),
        "generation": record.generation,
        "rows": known.rows,
        "lastCommitAt": shapes.instant(known.committed_at_ms),
        "snapshotId": None if known.snapshot_id is None else str(known.snapshot_id),
        "freshnessP50Seconds": known.freshness_p50_s,
        "freshnessP95Seconds": known.freshness_p95_s,
        "lagEvents": known.lag_records,
        "lagSeconds": known.lag_s,
        "positions": known.positions,
        "expiresAt": None,
        "files": known.files,
        "sizeBytes": known.bytes,
        "overflow": known.overflow,
        "discarded": known.discarded,
        "drift": known.drift,
        "upkeep": None if known.upkeep is None else _upkeep(known.upkeep),
        "upsertIndex": None
        if known.index_keys is None
        else {"keys": known.index_keys, "sizeBytes": known.index_bytes or 0},
        "updatedAt": None if said is None else shapes.instant(said.updated_at_ms),
    }


def _upkeep(said: TableUpkeep) -> dict[str, Any]:
    return {
        "snapshots": said.snapshots,
        "files": said.files,
        "smallFiles": said.small_files,
        "deleteFiles": said.delete_files,
        "liveBytes": said.live_bytes,
        "deadFiles": said.dead_files,
        "deadBytes": said.dead_bytes,
        "removedRows": said.removed_rows,
        "lastLookAt": shapes.instant(said.looked_at_ms),
        "lastCompactionAt": shapes.instant(said.compacted_at_ms),
        "error": said.error,
    }
