"""Files that no snapshot holds any more: found when snapshots vanish, written down, deleted after a grace period.

Lives here: what is dead, and the deletion. Not here: what is written down (journal.py). A file is deleted only when it
was dead when its snapshot vanished, still is now, the grace period is over, and it lies in the table's own location.
Everything that a snapshot, so a branch or a tag, holds is looked up anew each time. Rule 21; Iceberg spec, "Snapshot
Retention Policy".
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.io import FileIO
from pyiceberg.manifest import ManifestFile, read_manifest_list
from pyiceberg.table.metadata import TableMetadata

from schemas import logs
from sinks.table import leftovers
from sinks.upkeep import journal as journals
from sinks.upkeep.journal import Batch, Journal

BATCH_FILES = 2_000
"""At most so many files are deleted in one look."""
VANISHED = 100
EVERY_MS = 600_000
"""Dead files are looked for once so many snapshots have vanished, or so long after the last time."""
log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """The paths that the snapshots of a table hold."""

    lists: frozenset[str]
    manifests: frozenset[str]
    files: frozenset[str]

    def __contains__(self, path: object) -> bool:
        """Tell whether a snapshot holds this file."""
        return path in self.lists or path in self.manifests or path in self.files


def held(metadata: TableMetadata, io: FileIO, check: Callable[[], None]) -> Held:
    """Return what all snapshots hold, those of branches and tags as well. Reads every manifest; blocks on storage."""
    found: dict[str, ManifestFile] = {}
    for snapshot in metadata.snapshots:
        check()
        found |= {manifest.manifest_path: manifest for manifest in snapshot.manifests(io)}
    files: set[str] = set()
    for manifest in found.values():
        check()
        files.update(entry.data_file.file_path for entry in manifest.fetch_manifest_entry(io, discard_deleted=True))
    return Held(frozenset(one.manifest_list for one in metadata.snapshots), frozenset(found), frozenset(files))


def is_due(journal: Journal, metadata: TableMetadata, now_ms: int) -> bool:
    """Tell whether it is time to look for what died with the snapshots that vanished."""
    vanished = len(journal.vanished(metadata))
    return vanished >= VANISHED or (vanished > 0 and now_ms - journal.collected_ms >= EVERY_MS)


def collect(
    journal: Journal,
    metadata: TableMetadata,
    io: FileIO,
    now_ms: int,
    name: Callable[[], str],
    check: Callable[[], None],
) -> None:
    """Write down the files that died with the snapshots that vanished; the journal is saved."""
    vanished = journal.vanished(metadata)
    there = held(metadata, io, check)
    dead: dict[str, int] = {}
    for path in vanished.values():
        check()
        dead |= _of(path, there, dead, io)
    inside = [(path, size) for path, size in dead.items() if path not in there and is_inside(metadata, path)]
    for first in range(0, len(inside), BATCH_FILES):
        part = inside[first : first + BATCH_FILES]
        batch = Batch(f"{journals.BATCH}{name()}.json", now_ms, len(part), sum(size for _path, size in part))
        journals.write_batch(metadata, io, batch.name, [path for path, _size in part])
        journal.batches.append(batch)
    for number in vanished:
        del journal.known[number]
    journal.collected_ms = now_ms
    journals.save(journal, metadata, io)


def _of(list_path: str, there: Held, seen: dict[str, int], io: FileIO) -> dict[str, int]:
    """Return what a vanished snapshot's list leads to, with sizes, but for manifests that a snapshot holds."""
    found = {list_path: 0}
    try:
        listed = list(read_manifest_list(io.new_input(list_path)))
    except FileNotFoundError:
        return {}
    for manifest in listed:
        path = manifest.manifest_path
        if path in there.manifests or path in seen:
            continue
        found[path] = manifest.manifest_length
        try:
            entries = manifest.fetch_manifest_entry(io, discard_deleted=False)
        except FileNotFoundError:
            continue
        found |= {entry.data_file.file_path: entry.data_file.file_size_in_bytes for entry in entries}
    return found


def is_inside(metadata: TableMetadata, path: str) -> bool:
    """Tell whether a file lies in the table's own location."""
    return path.startswith(metadata.location.rstrip("/") + "/") and "/../" not in path


def due(journal: Journal, now_ms: int, grace_ms: int) -> Batch | None:
    """Return the oldest batch whose grace period is over."""
    ripe = [batch for batch in journal.batches if batch.at_ms + grace_ms <= now_ms]
    return min(ripe, key=lambda batch: batch.at_ms, default=None)


def delete(journal: Journal, batch: Batch, metadata: TableMetadata, io: FileIO, check: Callable[[], None]) -> int:
    """Delete a batch's files that are still dead and forget it; returns how many. `metadata`: read just now."""
    if str(metadata.table_uuid) != journal.table_uuid:
        raise NoSuchTableError("the table is another one now")
    paths = [path for path in journals.read_batch(metadata, io, batch) if is_inside(metadata, path)]
    there = held(metadata, io, check)
    gone = [path for path in paths if path not in there]
    _delete(io, gone, check)
    journal.batches.remove(batch)
    journals.save(journal, metadata, io)
    leftovers.delete(io, [journals.path_of(metadata, batch.name)])
    return len(gone)


def _delete(io: FileIO, paths: Iterable[str], check: Callable[[], None]) -> None:
    for path in paths:
        check()
        leftovers.delete(io, [path])


def forget(metadata: TableMetadata, io: FileIO) -> None:
    """Delete what is written down for deletion, and the journal: the table is about to be dropped. Best effort."""
    try:
        book = journals.load(metadata, io)
        dead = [path for batch in book.batches for path in journals.read_batch(metadata, io, batch)]
    except Exception as error:  # noqa: BLE001 the table is dropped all the same
        log.warning("dead_files_left", table=metadata.location, error=str(error))
        return
    own = [*journals.SLOTS, *(batch.name for batch in book.batches)]
    leftovers.delete(io, [path for path in dead if is_inside(metadata, path)])
    leftovers.delete(io, [journals.path_of(metadata, name) for name in own])
