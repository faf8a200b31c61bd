"""Small data files made into larger ones: which, and the new ones' content.

Lives here: the choice (pure), reading and writing. Not here: the commit (table/replace.py), when (keeper.py). Rows are
read by field id and written as the table is today: its schema, our partition spec, its sort order. Files join in tiers
by rows, so each row is rewritten some log(rows / rows of a commit) / log(`MIN_INPUTS`) times in all.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.manifest import DataFile, ManifestFile
from pyiceberg.table import FileScanTask
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.typedef import Record

from schemas.errors import Poison
from schemas.reasons import Reason
from sinks.table import contents, files, moves, partitions
from sinks.table.deletes import place_of
from sinks.table.moves import Move

MIN_INPUTS = 16
"""So many files of one tier and partition become one; also the factor between tiers."""
MOST_INPUTS = 256
TARGET_BYTES = 32 << 20
"""Files of half of it are left alone; a round stops at it."""
ROUND_BYTES = 256 << 20
"""Of rows in memory; a round stops past it, so it holds one file's rows more at most."""
WORTH = 8
"""Files that do not become fewer are rewritten all the same where one row in so many goes."""
_REMEMBERED = 10_000
_FILE, _AT, _HIDDEN = "#file", "#at", "#hidden"
"""Columns that are in no schema: where a row comes from, and whether a delete hides it."""
Stays = Callable[[TableMetadata, pa.Table, pa.Array], pa.Array]
"""Which rows that are hidden are written all the same: from all rows of a round, and which of them are hidden."""


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
        data = [manifest for manifest in before if contents.is_data(manifest)]
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
    for entry in contents.live(io, manifest):
        if entry.data_file.file_size_in_bytes < TARGET_BYTES // 2:
            yield Small(entry.sequence_number or 0, entry.data_file)


def choose(small: Iterable[Small], hidden: Mapping[str, int] = MappingProxyType({})) -> list[DataFile]:
    """Return the files of one round, oldest first; none while no tier of a partition has enough. Pure.

    `hidden`: how many rows of a file do not count, by path.
    """
    tiers: defaultdict[tuple[int, Record, int], list[Small]] = defaultdict(list)
    for one in small:
        rows = one.file.record_count - hidden.get(one.file.file_path, 0)
        tiers[one.file.spec_id, one.file.partition, tier(rows)].append(one)
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
    """New files and what they replace; nothing where the rows cannot become fewer files, nor much fewer rows.

    `move`, `stayed`: where the rows went, and how many hidden ones each new file has, where deletes were told.
    """

    removed: Sequence[DataFile] = ()
    added: Sequence[DataFile] = ()
    move: Move = field(default_factory=Move)
    stayed: Mapping[str, int] = field(default_factory=dict)


class Unequal(Poison):
    """The new files do not hold as many rows as the old ones: nothing is committed."""

    def __init__(self, had: int, got: int) -> None:
        super().__init__(Reason.WRITER_FAILED, f"{had} rows became {got} while small files were joined")


@dataclass(frozen=True, slots=True)
class Hidden:
    """Positions that are hidden, by data file, and which of these rows stay."""

    positions: Mapping[str, pa.Array]
    stays: Stays


def rewrite(
    metadata: TableMetadata,
    io: FileIO,
    chosen: Sequence[DataFile],
    name: Callable[[], str],
    check: Callable[[], None],
    hidden: Hidden | None = None,
) -> Rewritten:
    """Write the rows of `chosen` (as many files as fit into memory) anew; `metadata` as `state.as_made` returns it.

    `hidden`: of a table with deletes, whose hidden rows are left out. `check` may raise to give up. Raises `Unequal`,
    and what storage raises; files written by then are the caller's to delete.
    """
    made = files.plan(metadata, metadata.schema())
    parts: list[pa.Table] = []
    taken: list[DataFile] = []
    size = 0
    for file in chosen:
        check()
        rows = _read(metadata, io, file, made)
        if rows.num_rows != file.record_count:
            raise Unequal(file.record_count, rows.num_rows)
        parts.append(rows if hidden is None else _placed(rows, len(taken), hidden.positions.get(file.file_path)))
        taken.append(file)
        size += rows.nbytes
        if size >= ROUND_BYTES:
            break
    whole = pa.concat_tables(parts)
    had = whole.num_rows
    if hidden is not None:
        gone = whole.column(_HIDDEN).combine_chunks()
        whole = whole.filter(pc.or_(pc.invert(gone), hidden.stays(metadata, whole, gone)))
    count = sum(1 for _ in partitions.split(whole, metadata, made.schema)) if whole.num_rows else 0
    if count >= len(taken) and (had - whole.num_rows) * WORTH < had:
        return Rewritten()
    check()
    traced = _Traced(taken)
    added = files.write(
        whole, metadata, io, made, name, None if hidden is None else traced.note
    ) if whole.num_rows else []  # fmt: skip
    if (got := sum(file.record_count for file in added)) != whole.num_rows:
        raise Unequal(whole.num_rows, got)
    return Rewritten(taken, added, traced.move(), traced.stayed)


def _placed(rows: pa.Table, number: int, hidden: pa.Array | None) -> pa.Table:
    at = pa.arange(0, rows.num_rows)
    gone = pa.repeat(False, rows.num_rows) if hidden is None else pc.is_in(at, value_set=hidden)
    rows = rows.append_column(_FILE, pa.repeat(pa.scalar(number, pa.int32()), rows.num_rows))
    return rows.append_column(_AT, at).append_column(_HIDDEN, gone)


@dataclass(slots=True)
class _Traced:
    """Follows rows into the files that they are written to."""

    taken: Sequence[DataFile]
    made: list[tuple[DataFile, pa.Array]] = field(default_factory=list)
    stayed: dict[str, int] = field(default_factory=dict)

    def note(self, file: DataFile, rows: pa.Table) -> None:
        columns = [rows.column(name).combine_chunks() for name in (_FILE, _AT, _HIDDEN)]
        self.made.append((file, moves.coded(columns[0], columns[1])))
        self.stayed[file.file_path] = columns[2].true_count

    def move(self) -> Move:
        """Return where the rows went."""
        old, new = [place_of(file) for file in self.taken], [place_of(file) for file, _codes in self.made]
        if not self.made:
            return Move(old)
        counts = [len(codes) for _file, codes in self.made]
        return Move(
            old,
            new,
            pa.concat_arrays([codes for _file, codes in self.made]),
            pa.concat_arrays([pa.repeat(pa.scalar(at, pa.int32()), count) for at, count in enumerate(counts)]),
            pa.concat_arrays([pa.arange(0, count).cast(pa.int32()) for count in counts]),
        )


def _read(metadata: TableMetadata, io: FileIO, file: DataFile, made: files.Plan) -> pa.Table:
    """Return all rows of a file in its order, under the names and types of today; columns it has not are null."""
    scan = ArrowScan(metadata, io, made.schema, AlwaysTrue())
    return scan.to_table([FileScanTask(file)]).select(made.memory.names).cast(made.memory)
