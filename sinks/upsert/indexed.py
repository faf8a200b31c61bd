"""An index beside what it is true of: the files that its entries name by number, and one snapshot of the table.

Lives here: bringing it from one snapshot to the next. Not here: reading it from a table (rebuild.py).
"""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.manifest import DataFile

from sinks.table.deletes import Place, place_of
from sinks.table.moves import Move
from sinks.upsert.index import Entry, Index
from sinks.upsert.merge import HERE

Written = Sequence[tuple[DataFile, Sequence[int]]]
"""Files of one batch, each with the batch's rows in their order there."""


class Indexed:
    """`index` is true of snapshot `head` (None: of a table without one); `places`: data files by number."""

    def __init__(self, index: Index, files: Iterable[Place], head: int | None) -> None:
        self.index, self.head = index, head
        self.places: dict[int, Place] = {}
        self._next = 0
        for place in files:
            self._number(place)

    def _number(self, place: Place) -> int:
        number = self._next
        self.places[number] = place
        self._next += 1
        return number

    def older(self, keys: Iterable[bytes]) -> Iterator[tuple[Place, int]]:
        """Yield where the shown rows of these keys are."""
        for key in keys:
            entry = self.index.get(key)
            if entry is not None and not entry.dead:
                yield self.places[entry.file], entry.at

    def put(self, latest: Iterable[tuple[bytes, Entry]], files: Written) -> None:
        """Take the rows of a batch that is in; entries of `HERE` name the batch's rows."""
        where: dict[int, tuple[int, int]] = {}
        for file, rows in files:
            number = self._number(place_of(file))
            where.update((row, (number, at)) for at, row in enumerate(rows))
        for key, entry in latest:
            if entry.file == HERE:
                number, at = where[entry.at]
                self.index.put(key, entry._replace(file=number, at=at))

    def follow(self, move: Move) -> bool:
        """Go where rows went; False where one of ours went nowhere: then the index is of no use any more."""
        if not move.old:
            return True
        theirs = {place.path: number for number, place in enumerate(move.old)}
        ours = {number: theirs[place.path] for number, place in self.places.items() if place.path in theirs}
        first = self._next

        def to(files: pa.Array, at: pa.Array) -> tuple[pa.Array, pa.Array]:
            rows = pc.index_in(files, value_set=pa.array(ours, pa.int32()))
            file, new_at = move.find(pa.array(ours.values(), pa.int32()).take(rows), at)
            return pc.add(file, pa.scalar(first, pa.int32())), new_at

        if not self.index.move(ours, to):
            return False
        for number in ours:
            del self.places[number]
        for place in move.new:
            self._number(place)
        return True
