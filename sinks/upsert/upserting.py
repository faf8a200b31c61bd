"""Rows into an upsert table: the latest version of each key as rows, older ones hidden, all in one commit.

Lives here: what a session writes for such a table, and the index that it keeps between commits. The index is true of
one snapshot. When the table's head is another it follows what upkeep did (table/moves.py), and after anything else (a
foreign commit, a new owner, a rollback) it is read again.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadata

from schemas import logs
from sinks.rows import system
from sinks.spec import Spec
from sinks.table import deletes, state
from sinks.table.deletes import Place, place_of
from sinks.table.moves import Move, Moves
from sinks.table.schema import name_in
from sinks.upsert import scalars
from sinks.upsert.index import BYTES_A_KEY, BYTES_A_NEW_KEY, Index, Version
from sinks.upsert.indexed import Indexed, Written
from sinks.upsert.merge import KEYLESS, Merged, decide
from sinks.upsert.rebuild import columns, rebuild, times
from sinks.upsert.room import Full, Held, Share
from sinks.writing import Appending, Wrote, name

_ROW = "#row"
"""A column that is in no schema: which row of the batch stands where in its file."""
log = logs.logger(__name__)


def writing_of(
    spec: Spec, first: Schema, metadata: TableMetadata, check: Callable[[], None], moves: Moves, room: Share
) -> Appending:
    """Return what turns a session's rows into files; `check` may raise to give up."""
    return Appending(first) if spec.keys is None else Upserting(first, spec.id, metadata, check, moves, room)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A batch that is written and not known to be in: its versions, its files, and which rows hide themselves."""

    merged: Merged
    files: Written
    own: Sequence[tuple[Place, int]]


class Upserting(Appending):
    """Writes batches of one table for one session.

    `moves`: what upkeep of this process does to the table meanwhile, `room`: for the index.
    """

    def __init__(
        self,
        first: Schema,
        owner_id: str,
        metadata: TableMetadata,
        check: Callable[[], None],
        moves: Moves,
        room: Share,
    ) -> None:
        super().__init__(first)
        self._owner, self._check, self._moves, self._room = owner_id, check, moves, room
        columns(metadata, first)
        self._totals = Counter(state.replaced(metadata, owner_id))
        self._indexed: Indexed | None = None
        self._waiting: _Waiting | None = None

    def kept(self) -> dict[str, str]:
        """Return what every commit's summary and the properties repeat."""
        return {state.REPLACED + self._owner: json.dumps(self._totals, sort_keys=True, separators=(",", ":"))}

    def write(self, rows: pa.Table, schema: Schema, metadata: TableMetadata, io: FileIO) -> Wrote:
        """Write the latest versions of a batch and what hides those before them; raises `Full`."""
        indexed = self._at(metadata, io)
        merged = decide(*self._facts(rows), indexed.index)
        self._hold(indexed.index, merged.fresh)
        files: list[tuple[DataFile, list[int]]] = []
        chosen = rows.append_column(_ROW, pa.array(range(rows.num_rows), pa.int64())).take(
            pa.array(merged.rows, pa.int64())
        )
        wrote = self._write(
            chosen, schema, metadata, io, lambda file, part: files.append((file, part.column(_ROW).to_pylist()))
        )
        dead = {entry.at for entry in merged.latest.values() if entry.dead}
        own = [(place_of(file), at) for file, numbers in files if dead for at, row in enumerate(numbers) if row in dead]
        older = [(indexed.places[file], at) for file, at in merged.hidden]
        self._totals.update(merged.counts)
        self._waiting = _Waiting(merged, files, own)
        hiding = deletes.write([*older, *own], metadata, io, name)
        return replace(wrote, deletes=hiding, onto=metadata.current_snapshot_id, follow=self._follow)

    def landed(self, metadata: TableMetadata, tried: frozenset[int]) -> None:
        """Bring the index to the commit that is in, and to what upkeep did; drop it when the table is elsewhere."""
        indexed, waiting = self._indexed, self._waiting
        self._waiting = None
        steps = None if indexed is None else self._moves.since(metadata, indexed.head)
        others = [] if steps is None else [snapshot_id for snapshot_id, move in steps if move is None]
        if indexed is None or steps is None or len(others) != 1 or others[0] not in tried:
            self._drop()
            return
        for snapshot_id, move in steps:
            if move is not None:
                if not self._step(indexed, snapshot_id, move):
                    return
            else:
                indexed.head = snapshot_id
                if waiting is not None:
                    indexed.put(waiting.merged.latest.items(), waiting.files)

    def _at(self, metadata: TableMetadata, io: FileIO) -> Indexed:
        """Return the index of the table's head: moved on, or read from the table."""
        if self._indexed is not None and self._moved(metadata):
            return self._indexed
        self._drop()
        head = metadata.current_snapshot()
        said = {} if head is None or head.summary is None else head.summary.additional_properties
        self._count(state.rows(said) - self._totals[KEYLESS])  # too many are known before any file is read
        began = time.perf_counter()
        made = self._indexed = rebuild(metadata, self._first, io, self._check, self._count)
        took = round(time.perf_counter() - began, 3)
        log.info("index_rebuilt", stream=self._owner, keys=len(made.index), seconds=took)
        return made

    def _follow(self, metadata: TableMetadata, io: FileIO) -> Sequence[DataFile] | None:
        """Hide the same rows in another head: upkeep has moved them. None: somebody else has changed the table."""
        indexed, waiting = self._indexed, self._waiting
        if indexed is None or waiting is None or not self._moved(metadata):
            return None
        hidden = [*indexed.older(waiting.merged.latest), *waiting.own]
        return deletes.write(hidden, metadata, io, name)

    def _moved(self, metadata: TableMetadata) -> bool:
        """Bring the index to the table's head where upkeep alone has been there since; tell whether that is so."""
        indexed = self._indexed
        steps = None if indexed is None else self._moves.since(metadata, indexed.head)
        if indexed is None or steps is None:
            return False
        moves = [(snapshot_id, move) for snapshot_id, move in steps if move is not None]
        return len(moves) == len(steps) and all(self._step(indexed, *one) for one in moves)

    def _step(self, indexed: Indexed, snapshot_id: int, move: Move) -> bool:
        if not indexed.follow(move):
            log.warning("index_not_moved", stream=self._owner, snapshot=snapshot_id)
            self._drop()
            return False
        indexed.head = snapshot_id
        self._moves.followed(snapshot_id)
        return True

    def _drop(self) -> None:
        self._indexed = None
        self._room.free()

    def _count(self, keys: int) -> None:
        self._room.take(Held(keys, keys * BYTES_A_KEY))

    def _hold(self, index: Index, fresh: int) -> None:
        """Say what the index takes with so many further keys; they are brought into order where that makes them fit."""
        for last in (False, True):
            held = Held(len(index) + fresh, index.size + fresh * BYTES_A_NEW_KEY)
            try:
                self._room.take(held)
            except Full:
                if last:
                    raise
                index.settle()
            else:
                return

    def _facts(self, rows: pa.Table) -> tuple[list[str | None], list[Version], list[bool | None]]:
        key, sequence, tombstone = (rows.column(name_in(self._first, one.name)).to_pylist() for one in system.KEYED)
        every = range(rows.num_rows)
        event, received = (
            times(rows.column(name_in(self._first, one)), every, rows.num_rows) for one in ("event_time", "received_at")
        )
        versions = [
            (*scalars.of(text), happened, came) for text, happened, came in zip(sequence, event, received, strict=True)
        ]
        return key, versions, tombstone
