"""A table whose rows are hidden by position deletes: which of its files are rewritten, and which deletes stand then.

Lives here: what deletes hide in the head, the choice of a round, and the deletes of the snapshot that the round makes.
Not here: reading and writing rows (compact.py), the commit (table/replace.py), where the rows went (table/moves.py).
After a round each file of deletes names live data files only and no row twice, so rows = records - deletes. Iceberg
spec, "Position Delete Files": one applies to files of its partition whose sequence number is not above its own; a
rewritten file and the deletes beside it get the number of their commit, later deletes a higher one.
"""

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestFile
from pyiceberg.table.metadata import TableMetadata

from sinks.table import contents, deletes, replace
from sinks.table.contents import Contents
from sinks.table.deletes import Place, place_of
from sinks.table.moves import Move
from sinks.upkeep import compact
from sinks.upkeep.compact import Small

RECLAIM = 4
"""A data file of which at least one row in so many is hidden, and may go, is rewritten: at most so many rows a hidden
row."""
Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A round: data files to rewrite, and files of deletes to make one of (paths)."""

    data: Sequence[DataFile]
    folds: frozenset[str]


@dataclass(slots=True)
class Hiding:
    """What deletes hide in a table's head; a manifest and a file of deletes is read once, for they never change."""

    _data: dict[str, tuple[Small, ...]] = field(default_factory=dict)
    _deletes: dict[str, tuple[DataFile, ...]] = field(default_factory=dict)
    _named: dict[str, Counts] = field(default_factory=dict)
    """By file of deletes: how many rows of which data file it hides."""
    _staying: dict[str, int] = field(default_factory=dict)
    """Rows of a data file that are hidden and stay in it when it is rewritten."""
    _alone: set[str] = field(default_factory=set)

    def look(self, before: Sequence[ManifestFile], io: FileIO, check: Callable[[], None]) -> None:
        """Bring it to the head that has these manifests. Raises `replace.Dropped` at other deletes than ours."""
        had, hid = self._data, self._deletes
        paths = {one.manifest_path: one for one in before}
        self._data = {
            path: had[path] if path in had else tuple(_data(one, io))
            for path, one in paths.items()
            if contents.is_data(one)
        }
        self._deletes = {
            path: hid[path] if path in hid else tuple(entry.data_file for entry in contents.live(io, one))
            for path, one in paths.items()
            if not contents.is_data(one)
        }
        there = [file for many in self._deletes.values() for file in many]
        named: dict[str, Counts] = {}
        for file in there:
            path = file.file_path
            if path not in self._named:
                check()
                named[path] = {one: len(at) for one, at in read(file, io).items()}
            else:
                named[path] = self._named[path]
        self._named = named
        live = {one.file.file_path for many in self._data.values() for one in many}
        self._staying = {path: count for path, count in self._staying.items() if path in live}
        self._alone &= live

    def hidden(self) -> dict[str, int]:
        """Return how many rows of each data file are hidden."""
        sums: defaultdict[str, int] = defaultdict(int)
        for named in self._named.values():
            for path, count in named.items():
                sums[path] += count
        return sums

    def choose(self) -> Chosen | None:
        """Return the next round: small files of one tier, else those of which much is hidden; None: all is well."""
        hidden = self.hidden()
        files = [one for many in self._data.values() for one in many]
        small = [
            one for one in files
            if one.file.file_size_in_bytes < compact.TARGET_BYTES // 2 and one.file.file_path not in self._alone
        ]  # fmt: skip
        data = compact.choose(small, hidden) or self._reclaimed(files, hidden)
        folds = self._folds()
        return Chosen(data, folds) if data or folds else None

    def _reclaimed(self, files: Iterable[Small], hidden: Counts) -> list[DataFile]:
        taken: list[DataFile] = []
        size = 0
        for one in sorted(files, key=lambda one: (one.sequence, one.file.file_path)):
            path = one.file.file_path
            may_go = hidden.get(path, 0) - self._staying.get(path, 0)
            if may_go * RECLAIM < max(1, one.file.record_count) or len(taken) >= compact.MOST_INPUTS:
                continue
            if size >= compact.TARGET_BYTES:
                break
            taken.append(one.file)
            size += one.file.file_size_in_bytes
        return taken

    def _folds(self) -> frozenset[str]:
        """Return files of deletes to make one of: as many of one partition and tier as data files join at."""
        tiers: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
        for many in self._deletes.values():
            for file in many:
                tiers[*place_of(file).group, compact.tier(file.record_count)].append(file.file_path)
        longest = max(tiers.values(), key=len, default=[])
        return frozenset(longest[: compact.MOST_INPUTS] if len(longest) >= compact.MIN_INPUTS else ())

    def positions(self, wanted: Collection[DataFile], io: FileIO, check: Callable[[], None]) -> dict[str, pa.Array]:
        """Return the hidden positions of some data files, by path. Blocks on storage."""
        paths = {file.file_path for file in wanted}
        found: defaultdict[str, list[pa.Array]] = defaultdict(list)
        for file in (one for many in self._deletes.values() for one in many):
            if paths.isdisjoint(self._named[file.file_path]):
                continue
            check()
            for path, at in read(file, io).items():
                if path in paths:
                    found[path].append(at)
        return {path: pa.concat_arrays(many) for path, many in found.items()}

    def leave(self, files: Iterable[DataFile]) -> None:
        """Do not choose these again as they are: a rewrite would make neither fewer files nor fewer rows."""
        hidden = self.hidden()
        for file in files:
            self._alone.add(file.file_path)
            self._staying[file.file_path] = hidden.get(file.file_path, 0)

    def stayed(self, counts: Counts) -> None:
        """Note how many hidden rows each new file was written with."""
        self._staying |= counts

    def settle(self, move: Move, folds: frozenset[str]) -> Callable[[TableMetadata, FileIO, Contents], replace.Settled]:
        """Return what works out the deletes of the snapshot that makes `move` and folds these files of deletes."""
        return _Settling(move, folds, dict(self._named))


def _data(manifest: ManifestFile, io: FileIO) -> Iterable[Small]:
    return (Small(entry.sequence_number or 0, entry.data_file) for entry in contents.live(io, manifest))


def read(file: DataFile, io: FileIO) -> dict[str, pa.Array]:
    """Return what a file of deletes hides; raises `replace.Dropped` where it is not one of positions, in Parquet."""
    if file.content != DataFileContent.POSITION_DELETES or file.file_format != FileFormat.PARQUET:
        raise replace.Dropped("another writer has put deletes in that are no positions in Parquet")
    return deletes.by_file(file, io)


@dataclass(slots=True)
class _Settling:
    """Whatever hides rows of replaced files goes, and comes again with what it hides still, at its new place.

    Rows that were hidden when the files were rewritten are gone; what was deleted since is not, nor what stays hidden.
    """

    move: Move
    folds: frozenset[str]
    named: dict[str, Counts]

    def __call__(self, metadata: TableMetadata, io: FileIO, held: Contents) -> replace.Settled:
        there, live = held.delete_files(), held.files()
        if not self.folds <= there.keys():
            raise replace.Dropped("files of deletes are not in the table any more")
        old = {place.path: number for number, place in enumerate(self.move.old)}
        gone, hidden = set(), defaultdict(list)
        for path, file in there.items():
            if path not in self.folds and path in self.named and old.keys().isdisjoint(self.named[path]):
                continue
            found = read(file, io)
            self.named[path] = {one: len(at) for one, at in found.items()}
            if path in self.folds or not old.keys().isdisjoint(found):
                gone.add(path)
                for one, at in found.items():
                    hidden[one].append(at)
        after = self._after(hidden, old, live)
        return replace.Settled(frozenset(gone), deletes.put(after, metadata, io, lambda: str(uuid.uuid4())))

    def _after(
        self, hidden: Mapping[str, list[pa.Array]], old: Counts, live: Mapping[str, DataFile]
    ) -> list[tuple[Place, pa.Array]]:
        """Return what stays hidden, by data file. What names a file that is not there any more is left out."""
        after: list[tuple[Place, pa.Array]] = []
        moved: list[tuple[pa.Array, pa.Array]] = []
        for path, many in hidden.items():
            at = pc.unique(pa.concat_arrays(many))
            if path in old:
                to_file, to_at = self.move.find(pa.repeat(pa.scalar(old[path], pa.int32()), len(at)), at)
                moved.append((to_file.drop_null(), to_at.drop_null()))
            elif path in live:
                after.append((place_of(live[path]), at.take(pc.sort_indices(at))))
        if moved:
            to_file, to_at = (pa.concat_arrays(columns) for columns in zip(*moved, strict=True))
            for number, place in enumerate(self.move.new):
                at = to_at.filter(pc.equal(to_file, number)).cast(pa.int64())
                after.append((place, at.take(pc.sort_indices(at))))
        return after
