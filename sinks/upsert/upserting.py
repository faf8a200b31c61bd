"""Rows into an upsert table: the latest version of each key as rows, older ones hidden, all in one commit.

Lives here: what a session writes for such a table, and the index that it keeps between commits. The index is true of
one snapshot; when the table's head is another (a foreign commit, a lost answer, a new owner), it is read again.
"""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

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
from sinks.table.schema import name_in
from sinks.upsert import scalars
from sinks.upsert.index import Version
from sinks.upsert.merge import HERE, Merged, decide
from sinks.upsert.rebuild import Indexed, columns, rebuild, times
from sinks.writing import Appending, Wrote, name

_ROW = "#row"
"""A column that is in no schema: which row of the batch stands where in its file."""
log = logs.logger(__name__)


def writing_of(spec: Spec, first: Schema, metadata: TableMetadata, check: Callable[[], None]) -> Appending:
    """Return what turns a session's rows into files; `check` may raise to give up."""
    return Appending(first) if spec.keys is None else Upserting(first, spec.id, metadata, check)


class Upserting(Appending):
    """Writes batches of one table for one session."""

    def __init__(self, first: Schema, owner_id: str, metadata: TableMetadata, check: Callable[[], None]) -> None:
        super().__init__(first)
        self._owner, self._check = owner_id, check
        columns(metadata, first)
        self._totals = Counter(state.replaced(metadata, owner_id))
        self._indexed: Indexed | None = None
        self._waiting: tuple[Merged, list[tuple[DataFile, list[int]]]] | None = None

    def kept(self) -> dict[str, str]:
        """Return what every commit's summary and the properties repeat."""
        return {state.REPLACED + self._owner: json.dumps(self._totals, sort_keys=True, separators=(",", ":"))}

    def write(self, rows: pa.Table, schema: Schema, metadata: TableMetadata, io: FileIO) -> Wrote:
        """Write the latest versions of a batch and what hides those before them."""
        head = metadata.current_snapshot_id
        if self._indexed is None or self._indexed.head != head:
            began = time.perf_counter()
            self._indexed = rebuild(metadata, self._first, io, self._check)
            took = round(time.perf_counter() - began, 3)
            log.info("index_rebuilt", stream=self._owner, keys=len(self._indexed.index), seconds=took)
        merged = decide(*self._facts(rows), self._indexed.index)
        files: list[tuple[DataFile, list[int]]] = []
        chosen = rows.append_column(_ROW, pa.array(range(rows.num_rows), pa.int64())).take(
            pa.array(merged.rows, pa.int64())
        )
        wrote = self._write(
            chosen, schema, metadata, io, lambda file, part: files.append((file, part.column(_ROW).to_pylist()))
        )
        hidden: list[tuple[Place, int]] = [(self._indexed.places[file], at) for file, at in merged.hidden]
        dead = {entry.at for entry in merged.latest.values() if entry.dead}
        for file, numbers in files if dead else ():
            hidden += ((place_of(file), at) for at, row in enumerate(numbers) if row in dead)
        self._totals.update(merged.counts)
        self._waiting = merged, files
        return replace(wrote, deletes=deletes.write(hidden, metadata, io, name), onto=head)

    def landed(self, metadata: TableMetadata) -> None:
        """Bring the index to the commit that is in; drop it when the table has moved on since."""
        indexed, waiting = self._indexed, self._waiting
        self._waiting = None
        current = metadata.current_snapshot()
        if indexed is None or current is None or current.parent_snapshot_id != indexed.head:
            self._indexed = None
            return
        indexed.head = current.snapshot_id
        if waiting is None:
            return
        merged, files = waiting
        where: dict[int, tuple[int, int]] = {}
        for file, rows in files:
            number = len(indexed.places)
            indexed.places.append(place_of(file))
            where.update((row, (number, at)) for at, row in enumerate(rows))
        for key, entry in merged.latest.items():
            if entry.file == HERE:
                number, at = where[entry.at]
                indexed.index.put(key, entry._replace(file=number, at=at))

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
