"""An Iceberg catalog in memory: tables whose metadata moves by one swap, and the answers that get lost.

Lives here: metadata as the product's `state`, `create`, `commit` and `leftovers` ask it; files by path. Parquet
and Avro are not here: `lean` puts rows in the place of files and manifests (README.md).
Iceberg spec, "Optimistic Concurrency": https://iceberg.apache.org/spec/#optimistic-concurrency
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema

from sinks.table import commit, create, files, snapshot, state

LOST_BEFORE, LOST_AFTER, LATE, CONFLICT = "lost before", "lost after", "late", "conflict"
FAULTS = (LOST_BEFORE, LOST_AFTER, LATE, CONFLICT)
SCHEMA = Schema()
Pause = Callable[[str], None]
Row = tuple[str, int, int]
"""(topic id, partition, offset) of a clean event."""


class File(NamedTuple):
    """A data file."""

    file_path: str


class Manifest(NamedTuple):
    """The manifest of one snapshot's own files."""

    manifest_path: str
    files: tuple[str, ...]

    def fetch_manifest_entry(self, _io: Any, **_options: Any) -> list[Any]:
        return [SimpleNamespace(data_file=File(path)) for path in self.files]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of a table."""

    snapshot_id: int
    parent_snapshot_id: int | None
    sequence_number: int
    timestamp_ms: int
    summary: Any
    manifest_list: str
    kept: tuple[Manifest, ...]

    def manifests(self, _io: Any) -> list[Manifest]:
        return list(self.kept)


@dataclass(frozen=True)
class Metadata:
    """What one metadata file says."""

    table_uuid: str
    properties: Mapping[str, str]
    snapshots: tuple[Snapshot, ...] = ()
    current_snapshot_id: int | None = None
    last_updated_ms: int = 0
    last_sequence_number: int = 0
    last_column_id: int = 0
    partition_specs: tuple[PartitionSpec, ...] = (PartitionSpec(),)
    default_spec_id: int = 0

    @property
    def refs(self) -> dict[str, Any]:
        now = self.current_snapshot()
        return {} if now is None else {"main": now}

    @property
    def schemas(self) -> list[Schema]:
        return [SCHEMA]

    def schema(self) -> Schema:
        return SCHEMA

    def current_snapshot(self) -> Snapshot | None:
        return next((one for one in self.snapshots if one.snapshot_id == self.current_snapshot_id), None)


class Update(NamedTuple):
    """What one call asks the catalog for."""

    made: Snapshot
    properties: Mapping[str, str]
    expire: tuple[int, ...]
    table_uuid: str


class Lake:
    """What outlives all clients: the newest metadata of the table, files, and every commit that ever landed."""

    def __init__(self) -> None:
        self.table: Metadata | None = None
        self.files: dict[str, tuple[Row, ...]] = {}
        self.landed: list[Snapshot] = []
        self.late: list[Update] = []
        self.number = 0

    def swap(self, update: Update) -> Metadata:
        """Apply an update if what it was made from still stands; raises `CommitFailedException` otherwise."""
        before, made = self.table, update.made
        if before is None or before.table_uuid != update.table_uuid:
            raise CommitFailedException("another table")
        if before.current_snapshot_id != made.parent_snapshot_id:
            raise CommitFailedException("branch main has moved")
        kept = tuple(one for one in before.snapshots if one.snapshot_id not in update.expire)
        self.table = replace(
            before, properties={**before.properties, **update.properties}, snapshots=(*kept, made),
            current_snapshot_id=made.snapshot_id, last_updated_ms=made.timestamp_ms,
            last_sequence_number=max(before.last_sequence_number, made.sequence_number),
        )  # fmt: skip
        self.landed.append(made)
        return self.table

    def foreign(self) -> None:
        """Commit as somebody else does: a snapshot that says nothing of offsets."""
        if self.table is not None:
            self.number += 1
            made = _next(self.table, self.number, {}, self.table.last_updated_ms, ())
            self.swap(Update(made, {}, (), self.table.table_uuid))

    def roll_back(self, steps: int) -> bool:
        """Go back to an own earlier snapshot, as an operator does; tell whether there was one."""
        own = [] if self.table is None else [one for one in self.table.snapshots if one.summary.additional_properties]
        if self.table is None or len(own) <= steps:
            return False
        self.table = replace(self.table, current_snapshot_id=own[-1 - steps].snapshot_id)
        return True

    def deliver(self) -> None:
        """Let a call land whose sender has given up on it."""
        if self.late:
            try:
                self.swap(self.late.pop(0))
            except CommitFailedException:
                return

    def rows(self) -> list[Row]:
        """Read the table; KeyError on a file that is gone."""
        now = None if self.table is None else self.table.current_snapshot()
        return [row for made in (() if now is None else now.kept) for path in made.files for row in self.files[path]]


class Table:
    """A table as one client has loaded it."""

    def __init__(self, catalog: "Catalog", metadata: Metadata) -> None:
        self._catalog, self.metadata, self.io, self.metadata_location = catalog, metadata, catalog.io, ""

    def refresh(self) -> "Table":
        self.metadata = self._catalog.load_table(("", "")).metadata
        return self

    def schema(self) -> Schema:
        return SCHEMA

    def name(self) -> tuple[str, str]:
        return "acme", "t"

    def current_snapshot(self) -> Snapshot | None:
        return self.metadata.current_snapshot()


class Storage:
    """The object store; deleting is what leftovers are for."""

    properties: Mapping[str, str] = {}

    def __init__(self, lake: Lake, pause: Pause) -> None:
        self.lake, self.pause = lake, pause

    def delete(self, path: str) -> None:
        self.pause("delete")
        self.lake.files.pop(path, None)


class Catalog:
    """One client of the lake; `faults` are what happens to its next calls, in order."""

    def __init__(self, lake: Lake, pause: Pause) -> None:
        self._lake, self._pause = lake, pause
        self.io = Storage(lake, pause)
        self.faults: list[str] = []

    def load_table(self, _identifier: tuple[str, str]) -> Table:
        self._pause("load")
        if self._lake.table is None:
            raise NoSuchTableError("t")
        return Table(self, self._lake.table)

    def create_namespace(self, _name: str) -> None:
        return None

    def create_table(self, _identifier: Any, _schema: Schema, **options: Any) -> Table:
        self._pause("create")
        if self._lake.table is not None:
            raise TableAlreadyExistsError("t")
        self._lake.table = Metadata("uuid", dict(options["properties"]))
        self._pause("created")
        if self.faults and self.faults.pop(0) == LOST_AFTER:
            raise ConnectionError("no answer")
        return Table(self, self._lake.table)

    def commit_table(self, _table: Table, _requirements: Any, updates: Update) -> Any:
        self._pause("swap")
        fault = self.faults.pop(0) if self.faults else ""
        if fault == CONFLICT:
            self._lake.foreign()
        if fault == LATE:
            self._lake.late.append(updates)
        if fault in (LOST_BEFORE, LATE):
            raise ConnectionError("no answer")
        metadata = self._lake.swap(updates)
        self._pause("swapped")
        if fault == LOST_AFTER:
            raise TimeoutError("no answer")
        return SimpleNamespace(metadata=metadata, metadata_location="")

    def _delete_old_metadata(self, *_args: Any) -> None:
        return None


def _next(before: Metadata, number: int, summary: Mapping[str, str], now_ms: int, files: tuple[str, ...]) -> Snapshot:
    parent = before.current_snapshot()
    kept = () if parent is None else parent.kept
    return Snapshot(
        number, before.current_snapshot_id, before.last_sequence_number + 1, max(now_ms, before.last_updated_ms),
        SimpleNamespace(additional_properties=dict(summary)), f"list-{number}",
        (*kept, Manifest(f"manifest-{number}", files)) if files else kept,
    )  # fmt: skip


def build(
    metadata: Any, io: Any, files: Sequence[File], _schema: Schema, facts: Mapping[str, str], owner_id: str,
    wanted: state.Offsets, now_ms: int, also: Mapping[str, str] = MappingProxyType({}),
    unsent: frozenset[int] = frozenset(), _deletes: Sequence[Any] = (),
) -> Any:  # fmt: skip
    """Take the place of `snapshot.build`: offsets go to the same two places, rows stand for manifests."""
    storage: Storage = io._io
    storage.pause("write manifests")
    storage.lake.number += 1
    kept = {state.OFFSETS + owner_id: state.dump(wanted), **also}
    made = _next(metadata, storage.lake.number, {**facts, **kept}, now_ms, tuple(file.file_path for file in files))
    dead = tuple(snapshot.expired(metadata, unsent))
    own = {**kept, state.SEQUENCE + owner_id: str(made.sequence_number)}
    return SimpleNamespace(
        snapshot_id=made.snapshot_id, expires=False, updates=Update(made, own, dead, metadata.table_uuid),
        requirements=(),
    )  # fmt: skip


def _write(rows: Any, _metadata: Any, io: Any, _plan: Any, _name: Any, _placed: Any = None) -> list[File]:
    storage: Storage = io._io
    storage.lake.number += 1
    path = f"file-{storage.lake.number}"
    io.written.append(path)
    storage.pause("write file")
    storage.lake.files[path] = rows.rows
    storage.pause("file written")
    return [File(path)]


@contextmanager
def lean(build: Callable[..., Any] = build, once: Callable[..., Any] = commit._once) -> Iterator[None]:
    """Let sessions write rows in the place of files, and tables expire snapshots early; seams of the mutations."""
    with (
        mock.patch.object(files, "plan", lambda _metadata, schema: SimpleNamespace(schema=schema)),
        mock.patch.object(files, "write", _write),
        mock.patch.object(snapshot, "build", build),
        mock.patch.object(snapshot, "EXPIRE_AT", 6),
        mock.patch.object(snapshot, "KEEP_SNAPSHOTS", 3),
        mock.patch.object(commit, "_once", once),
        mock.patch.object(create, "spec_of", return_value=None),
        mock.patch.object(create, "order_of", return_value=None),
        mock.patch.object(create, "arranged", lambda table, _wanted, _first: table),
    ):
        yield
