"""Small data files made into larger ones: which, and the new ones' content.

Lives here: the choice (pure), reading and writing. Not here: the commit (table/replace.py), when (keeper.py). Rows are
read by field id and written as the table is today: its schema, our partition spec, its sort order. Files join in tiers
by rows, so each row is rewritten some log(rows / rows of a commit) / log(`MIN_INPUTS`) times in all.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.manifest import DataFile, ManifestFile
from pyiceberg.table import FileScanTask
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.typedef import Record

from schemas.errors import Poison
from schemas.reasons import Reason
from sinks.table import files, partitions, replace

MIN_INPUTS = 16
"""So many files of one tier and partition become one; also the factor between tiers."""
MOST_INPUTS = 256
TARGET_BYTES = 32 << 20
"""Files of half of it are left alone; a round stops at it."""
ROUND_BYTES = 256 << 20
"""Of rows in memory; a round stops past it, so it holds one file's rows more at most."""
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Small:
    """A data file that may join others, and the sequence number it came with."""

    sequence: int
    file: DataFile


@dataclass(slots=True)
class Inventory:
    """The small files of a table's head; a manifest is read once, for manifests never change."""

    _known: dict[str, tuple[Small, ...]] = field(default_factory=dict)
    left_alone: set[str] = field(default_factory=set)
    """Paths that a round could not make smaller."""

    def look(self, before: Sequence[ManifestFile], io: FileIO) -> list[Small]:
        """Return the small data files of these manifests. Blocks on storage."""
        data = [manifest for manifest in before if replace.is_data(manifest)]
        known = {}
        for manifest in data:
            path = manifest.manifest_path
            known[path] = self._known[path] if path in self._known else tuple(_small(manifest, io))
        self._known = known
        return [one for many in known.values() for one in many if one.file.file_path not in self.left_alone]

    def leave(self, paths: Iterable[str]) -> None:
        """Leave files alone until the process ends, or so many are left alone that all are looked at again."""
        if len(self.left_alone) > _REMEMBERED:
            self.left_alone.clear()
        self.left_alone.update(paths)


def _small(manifest: ManifestFile, io: FileIO) -> Iterable[Small]:
    for entry in replace.live(io, manifest):
        if entry.data_file.file_size_in_bytes < TARGET_BYTES // 2:
            yield Small(entry.sequence_number or 0, entry.data_file)


def choose(small: Iterable[Small]) -> list[DataFile]:
    """Return the files of one round, oldest first; none while no tier of a partition has enough. Pure."""
    tiers: defaultdict[tuple[int, Record, int], list[Small]] = defaultdict(list)
    for one in small:
        tiers[one.file.spec_id, one.file.partition, tier(one.file.record_count)].append(one)
    for many in sorted(tiers.values(), key=len, reverse=True):
        chosen = _bounded(sorted(many, key=lambda one: (one.sequence, one.file.file_path)))
        if chosen:
            return chosen
    return []


def tier(rows: int) -> int:
    """Return the tier of a file of so many rows: `MIN_INPUTS` files of one make a file of a higher one."""
    return int(math.log(max(1, rows)) / math.log(MIN_INPUTS) + 1e-9)


def _bounded(many: Sequence[Small]) -> list[DataFile]:
    taken: list[DataFile] = []
    size = 0
    for one in many[:MOST_INPUTS]:
        if size >= TARGET_BYTES:
            break
        taken.append(one.file)
        size += one.file.file_size_in_bytes
    return taken if len(taken) >= MIN_INPUTS or (size >= TARGET_BYTES and len(taken) > 1) else []


@dataclass(frozen=True, slots=True)
class Rewritten:
    """New files and what they replace; nothing where the rows cannot become fewer files."""

    removed: Sequence[DataFile]
    added: Sequence[DataFile]


class Unequal(Poison):
    """The new files do not hold as many rows as the old ones: nothing is committed."""

    def __init__(self, had: int, got: int) -> None:
        super().__init__(Reason.WRITER_FAILED, f"{had} rows became {got} while small files were joined")


def rewrite(
    metadata: TableMetadata,
    io: FileIO,
    chosen: Sequence[DataFile],
    name: Callable[[], str],
    check: Callable[[], None],
    *,
    keep: Callable[[pa.Table], pa.Table] = lambda rows: rows,
    deletes: Mapping[str, Collection[DataFile]] | None = None,
    fewer: bool = True,
) -> Rewritten:
    """Write the rows of `chosen` (as many files as fit into memory) anew; `metadata` as `state.as_made` returns it.

    `keep` takes rows away, on purpose. `deletes`: files of position deletes by data file. `fewer`: write nothing unless
    files become fewer. `check` may raise to give up. Raises `Unequal`, and what storage raises; files written by then
    are the caller's to delete.
    """
    made = files.plan(metadata, metadata.schema())
    parts: list[pa.Table] = []
    taken: list[DataFile] = []
    size = had = 0
    for file in chosen:
        check()
        rows = _read(metadata, io, file, (deletes or {}).get(file.file_path, ()), made)
        if not (deletes or {}).get(file.file_path) and rows.num_rows != file.record_count:
            raise Unequal(file.record_count, rows.num_rows)
        parts.append(keep(rows))
        had += parts[-1].num_rows
        taken.append(file)
        size += parts[-1].nbytes
        if size >= ROUND_BYTES:
            break
    whole = pa.concat_tables(parts)
    if not whole.num_rows:
        return Rewritten(taken, ())
    if fewer and sum(1 for _ in partitions.split(whole, metadata, made.schema)) >= len(taken):
        return Rewritten((), ())
    check()
    added = files.write(whole, metadata, io, made, name)
    if (got := sum(file.record_count for file in added)) != had:
        raise Unequal(had, got)
    return Rewritten(taken, added)


def _read(
    metadata: TableMetadata, io: FileIO, file: DataFile, deletes: Collection[DataFile], made: files.Plan
) -> pa.Table:
    """Return a file's rows under the names and types of today; columns it has not are null."""
    scan = ArrowScan(metadata, io, made.schema, AlwaysTrue())
    return scan.to_table([FileScanTask(file, delete_files=set(deletes))]).select(made.memory.names).cast(made.memory)
