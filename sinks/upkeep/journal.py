"""What upkeep must not forget over a kill: which snapshots there were, and which files are to be deleted when.

Lives here: the record of one table, kept beside its metadata. Not here: what is dead (collect.py). A snapshot stands in
it before it expires, for it is saved more often than snapshots expire; so whoever takes the table next finds what died
meanwhile. Two files are written in turn, each with a number: one that a kill has cut short is not read, the other is.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pyiceberg.io import FileIO
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.metadata import TableMetadata

from schemas import logs

SLOTS = ("hookberg-upkeep-a.json", "hookberg-upkeep-b.json")
BATCH = "hookberg-dead-"
log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """Files that no snapshot held any more at `at_ms`; their paths stand in the file `name` beside the metadata."""

    name: str
    at_ms: int
    files: int
    bytes: int


@dataclass(slots=True)
class Journal:
    """One table's; `known`: manifest list by snapshot id, of those that are there or whose files are not collected."""

    table_uuid: str
    number: int = 0
    known: dict[int, str] = field(default_factory=dict)
    batches: list[Batch] = field(default_factory=list)
    collected_ms: int = 0
    saved: dict[int, str] = field(default_factory=dict)

    def note(self, metadata: TableMetadata) -> bool:
        """Take note of the snapshots that are there; tell whether one is new."""
        self.known |= {one.snapshot_id: one.manifest_list for one in metadata.snapshots}
        return self.known != self.saved

    def vanished(self, metadata: TableMetadata) -> dict[int, str]:
        """Return the manifest lists of snapshots that are there no more."""
        there = {one.snapshot_id for one in metadata.snapshots}
        return {number: path for number, path in self.known.items() if number not in there}


def path_of(metadata: TableMetadata, name: str) -> str:
    """Return the place of one of upkeep's own files."""
    return load_location_provider(metadata.location, metadata.properties).new_metadata_location(name)


def load(metadata: TableMetadata, io: FileIO) -> Journal:
    """Return a table's journal, an empty one where there is none. Blocks on storage; raises what it raises."""
    table_uuid = str(metadata.table_uuid)
    found = [one for slot in SLOTS if (one := _read(metadata, io, slot)) and one.get("table") == table_uuid]
    if not found:
        return Journal(table_uuid)
    newest = max(found, key=lambda one: int(one["number"]))
    known = {int(number): str(path) for number, path in newest["known"].items()}
    return Journal(
        table_uuid,
        int(newest["number"]),
        known,
        [Batch(one["name"], one["at_ms"], one["files"], one["bytes"]) for one in newest["batches"]],
        int(newest["collected_ms"]),
        dict(known),
    )


def save(journal: Journal, metadata: TableMetadata, io: FileIO) -> None:
    """Write the journal over the older of its two files. Blocks on storage; raises what it raises."""
    number = journal.number + 1
    _write(metadata, io, SLOTS[number % 2], {
        "table": journal.table_uuid,
        "number": number,
        "known": {str(snapshot): path for snapshot, path in journal.known.items()},
        "batches": [{"name": b.name, "at_ms": b.at_ms, "files": b.files, "bytes": b.bytes} for b in journal.batches],
        "collected_ms": journal.collected_ms,
    })  # fmt: skip
    journal.number, journal.saved = number, dict(journal.known)


def write_batch(metadata: TableMetadata, io: FileIO, name: str, paths: Sequence[str]) -> None:
    """Write the paths of a batch, before the journal names it."""
    _write(metadata, io, name, {"table": str(metadata.table_uuid), "paths": list(paths)})


def read_batch(metadata: TableMetadata, io: FileIO, batch: Batch) -> list[str]:
    """Return the paths of a batch; none where its file is gone or another table's."""
    found = _read(metadata, io, batch.name)
    if found is None or found.get("table") != str(metadata.table_uuid):
        return []
    return [str(path) for path in found["paths"]]


def _read(metadata: TableMetadata, io: FileIO, name: str) -> dict[str, Any] | None:
    path = path_of(metadata, name)
    try:
        with io.new_input(path).open() as stream:
            text = stream.read()
    except FileNotFoundError:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        log.warning("upkeep_file_unreadable", path=path)
        return None
    return found if isinstance(found, dict) else None


def _write(metadata: TableMetadata, io: FileIO, name: str, value: dict[str, Any]) -> None:
    text = json.dumps(value, separators=(",", ":")).encode()
    with io.new_output(path_of(metadata, name)).create(overwrite=True) as stream:
        stream.write(text)
