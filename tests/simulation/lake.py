"""An Iceberg catalog in memory: tables whose metadata moves by one swap, with the answers that get lost.

Lives here: metadata as the product's `state`, `create` and `commit` ask it, requirements, snapshots with their rows.
Files and manifests are not here: `lean` puts a snapshot made of rows in the place of Parquet and Avro (README.md).
Iceberg spec, "Optimistic Concurrency": https://iceberg.apache.org/spec/#optimistic-concurrency
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any
from unittest import mock

from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.schema import Schema

from sinks import session
from sinks.table import snapshot

LOST_BEFORE, LOST_AFTER, LATE, CONFLICT, AWAY = "lost before", "lost after", "late", "conflict", "away"
Pause = Callable[[str], None]
Row = tuple[str, int, int, str]
"""(topic id, partition, offset, event id)."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of a table: its rows are its parent's and those of its files."""

    snapshot_id: int
    parent_snapshot_id: int | None
    sequence_number: int
    timestamp_ms: int
    summary: Any
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Metadata:
    """What one metadata file says."""

    table_uuid: str
    properties: Mapping[str, str]
    snapshots: tuple[Snapshot, ...] = ()
    current_snapshot_id: int | None = None
    last_updated_ms: int = 0
    last_sequence_number: int = 0
    made: Schema = field(default_factory=Schema)

    @property
    def refs(self) -> dict[str, Any]:
        return {} if self.current_snapshot_id is None else {"main": self.current_snapshot()}

    @property
    def schemas(self) -> list[Schema]:
        return [self.made]

    def current_snapshot(self) -> Snapshot | None:
        return next((one for one in self.snapshots if one.snapshot_id == self.current_snapshot_id), None)

    def rows(self) -> tuple[Row, ...]:
        now = self.current_snapshot()
        return () if now is None else now.rows


@dataclass(frozen=True, slots=True)
class Update:
    """What a commit asks for."""

    table_uuid: str
    parent: int | None
    properties: Mapping[str, str]
    summary: Mapping[str, str]
    rows: tuple[Row, ...]
    now_ms: int
    expire: tuple[int, ...]


class Table:
    """A table as one client has loaded it."""

    def __init__(self, catalog: "Catalog", identifier: tuple[str, str], metadata: Metadata) -> None:
        self._catalog, self._identifier, self.metadata = catalog, identifier, metadata
        self.io = catalog
        self.metadata_location = ""

    def refresh(self) -> "Table":
        self.metadata = self._catalog.load_table(self._identifier).metadata
        return self

    def schema(self) -> Schema:
        return self.metadata.made

    def name(self) -> tuple[str, str]:
        return self._identifier


class Lake:
    """What the catalog keeps: the newest metadata of each table, and every commit that ever landed."""

    def __init__(self) -> None:
        self.tables: dict[tuple[str, str], Metadata] = {}
        self.landed: dict[tuple[str, str], list[Snapshot]] = {}
        self.files: list[tuple[Row, ...]] = []
        self.late: list[tuple[tuple[str, str], Update]] = []
        self._number = 0

    def swap(self, identifier: tuple[str, str], update: Update) -> Metadata:
        """Apply an update if its requirements hold; raises `CommitFailedException` otherwise."""
        before = self.tables[identifier]
        if before.table_uuid != update.table_uuid or before.current_snapshot_id != update.parent:
            raise CommitFailedException("branch main has moved")
        self._number += 1
        made = Snapshot(
            self._number, update.parent, before.last_sequence_number + 1, update.now_ms,
            SimpleNamespace(additional_properties=dict(update.summary)), before.rows() + update.rows,
        )  # fmt: skip
        self.landed.setdefault(identifier, []).append(made)
        kept = tuple(one for one in before.snapshots if one.snapshot_id not in update.expire)
        after = self.tables[identifier] = replace(
            before, properties={**before.properties, **update.properties}, snapshots=(*kept, made),
            current_snapshot_id=made.snapshot_id, last_updated_ms=update.now_ms,
            last_sequence_number=made.sequence_number,
        )  # fmt: skip
        return after

    def deliver_late(self) -> bool:
        """Let a request land whose sender has given up on it; return whether it changed something."""
        if not self.late:
            return False
        try:
            self.swap(*self.late.pop(0))
        except CommitFailedException:
            return False
        return True

    def foreign(self, identifier: tuple[str, str], now_ms: int) -> None:
        """Commit as somebody else does: a snapshot that says nothing of offsets."""
        before = self.tables[identifier]
        self.swap(identifier, Update(before.table_uuid, before.current_snapshot_id, {}, {}, (), now_ms, ()))

    def roll_back(self, identifier: tuple[str, str], steps: int) -> bool:
        """Go back to an own earlier snapshot, as an operator does; return whether there was one."""
        before = self.tables[identifier]
        own = [one for one in before.snapshots if one.summary.additional_properties]
        if len(own) <= steps:
            return False
        self.tables[identifier] = replace(before, current_snapshot_id=own[-1 - steps].snapshot_id)
        return True


class Catalog:
    """One client of the lake; `faults` are what happens to its next commits, in order."""

    def __init__(self, lake: Lake, pause: Pause, schema: Schema) -> None:
        self._lake, self._pause, self._schema = lake, pause, schema
        self.faults: list[str] = []

    def load_table(self, identifier: tuple[str, str]) -> Table:
        self._pause("load")
        if self.faults and self.faults[0] == AWAY:
            self.faults.pop(0)
            raise ConnectionError("the catalog is away")
        if identifier not in self._lake.tables:
            raise NoSuchTableError(str(identifier))
        return Table(self, identifier, self._lake.tables[identifier])

    def create_namespace(self, _name: str) -> None:
        return None

    def create_table(self, identifier: tuple[str, str], _schema: Schema, **options: Any) -> Table:
        self._pause("create")
        if identifier in self._lake.tables:
            raise TableAlreadyExistsError(str(identifier))
        self._lake.tables[identifier] = Metadata("uuid", dict(options["properties"]), made=self._schema)
        self._pause("created")
        if self.faults and self.faults[0] == LOST_AFTER:
            self.faults.pop(0)
            raise ConnectionError("no answer")
        return Table(self, identifier, self._lake.tables[identifier])

    def commit_table(self, table: Table, _requirements: Any, updates: Update) -> Any:
        self._pause("swap")
        fault = self.faults.pop(0) if self.faults else ""
        if fault == CONFLICT:
            self._lake.foreign(table.name(), updates.now_ms)
        elif fault == LATE:
            self._lake.late.append((table.name(), updates))
        if fault in (LOST_BEFORE, LATE, AWAY):
            raise ConnectionError("no answer")
        metadata = self._lake.swap(table.name(), updates)
        self._pause("swapped")
        if fault == LOST_AFTER:
            raise TimeoutError("no answer")
        return SimpleNamespace(metadata=metadata, metadata_location="")

    def _delete_old_metadata(self, *_args: Any) -> None:
        return None

    def wrote(self, rows: tuple[Row, ...]) -> None:
        """Keep a data file."""
        self._pause("write file")
        self._lake.files.append(rows)
        self._pause("file written")


def build(
    metadata: Metadata, _io: Any, files: Sequence[tuple[Row, ...]], _schema: Schema, facts: Mapping[str, str],
    kept: Mapping[str, str], now_ms: int,
) -> tuple[Update, tuple[()]]:  # fmt: skip
    """Take the place of `snapshot.build`: the same offsets to the same two places, rows in the place of manifests."""
    rows = tuple(row for file in files for row in file)
    summary = {**facts, **kept}
    now = max(now_ms, metadata.last_updated_ms)
    dead = tuple(snapshot.expired(metadata))  # type: ignore[arg-type]
    return (
        Update(metadata.table_uuid, metadata.current_snapshot_id, kept, summary, rows, now, dead),
        (),
    )


def _write(rows: Any, _metadata: Metadata, io: Any, _plan: Any, _name: Any) -> list[tuple[Row, ...]]:
    io.wrote(rows.rows)
    return [rows.rows]


@contextmanager
def lean() -> Iterator[None]:
    """Let sessions write rows in the place of files, and tables expire snapshots early."""
    with (
        mock.patch.object(session.files, "plan", lambda _metadata, schema: SimpleNamespace(schema=schema)),
        mock.patch.object(session.files, "write", _write),
        mock.patch.object(snapshot, "build", build),
        mock.patch.object(snapshot, "EXPIRE_AT", 6),
        mock.patch.object(snapshot, "KEEP_SNAPSHOTS", 3),
    ):
        yield
