"""Where rows went when upkeep replaced their files: told by it, followed by a writer that knows its rows by place.

Lives here: one such move, and the ones of a table that its writer may still have to follow. In memory only: which of
them happened is what the table's snapshots say, and whoever does not know one of them reads the table instead.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.table.metadata import TableMetadata

from sinks.table.deletes import Place

MOST_ROWS = 8_000_000
"""Of all moves that wait to be followed: 16 bytes each; past it the oldest are forgotten."""
_SHIFT = 32


@dataclass(frozen=True, slots=True)
class Move:
    """Rows of files that were replaced, and where each is now; a row of such a file that is not here is gone.

    `codes` are unique: number in `old` in the high half, position in the low one; the row's new place stands at the
    same place of `to_file` (number in `new`) and `to_at`.
    """

    old: Sequence[Place] = ()
    new: Sequence[Place] = ()
    codes: pa.Array = field(default_factory=lambda: pa.array([], pa.int64()))
    to_file: pa.Array = field(default_factory=lambda: pa.array([], pa.int32()))
    to_at: pa.Array = field(default_factory=lambda: pa.array([], pa.int32()))

    def find(self, files: pa.Array, at: pa.Array) -> tuple[pa.Array, pa.Array]:
        """Return the new (file, position) of rows by their old ones, null for a row that is gone."""
        rows = pc.index_in(coded(files, at), value_set=self.codes)
        return self.to_file.take(rows), self.to_at.take(rows)


def coded(files: pa.Array, at: pa.Array) -> pa.Array:
    """Return rows as one number each."""
    return pc.bit_wise_or(pc.shift_left(files.cast(pa.int64()), _SHIFT), at.cast(pa.int64()))


class Moves:
    """Of one table. `offer` is upkeep's, `since` and `followed` its writer's; neither waits for the other."""

    def __init__(self) -> None:
        self._known: dict[int, Move] = {}
        self._lock = threading.Lock()

    def offer(self, snapshot_id: int, move: Move) -> None:
        """Say what a snapshot does, before the catalog is asked for it: whether it came to be the table says."""
        with self._lock:
            self._known[snapshot_id] = move
            rows = sum(len(one.codes) for one in {id(one): one for one in self._known.values()}.values())
            while rows > MOST_ROWS and len(self._known) > 1:
                first = next(iter(self._known))
                rows -= len(self._known.pop(first).codes)

    def since(self, metadata: TableMetadata, head: int | None) -> list[tuple[int, Move | None]] | None:
        """Return the snapshots from `head` on to the table's, oldest first, with their moves; None: not one line.

        A snapshot that is not upkeep's of this process has no move.
        """
        by_id = {snapshot.snapshot_id: snapshot for snapshot in metadata.snapshots}
        found: list[tuple[int, Move | None]] = []
        at = metadata.current_snapshot_id
        with self._lock:
            while at != head:
                snapshot = None if at is None else by_id.get(at)
                if at is None or snapshot is None:
                    return None
                found.append((at, self._known.get(at)))
                at = snapshot.parent_snapshot_id
        return found[::-1]

    def followed(self, snapshot_id: int) -> None:
        """Forget a move and those offered before it: none of these can come to be any more."""
        with self._lock:
            if snapshot_id not in self._known:
                return
            for one in list(self._known):
                del self._known[one]
                if one == snapshot_id:
                    return
