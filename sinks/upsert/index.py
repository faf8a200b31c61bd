"""Where the latest version of each key is: key -> file, position in it, version; tombstones too.

Lives here: the structure, in memory, 49 bytes a key. Pure. Sorted arrays for what is known for long, a dict for what
came since; a key that is in the arrays is changed in place. A key is its 128-bit hash (BLAKE2b), so two keys never meet
in practice: 2^64 keys for even odds.
"""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from sinks.upsert import scalars

BYTES_A_KEY = 49
BYTES_A_NEW_KEY, BYTES_AN_ODD = 400, 200
"""Of a key that waits in the dict, and besides of one whose sequence is no whole number of 64 bits."""
NEW = 1 << 16
"""Keys in the dict before they go into the arrays; more where the arrays are larger, so that sorting stays cheap."""
_SHARE = 8
_DEAD = 4
_LOW, _HIGH = -(2**63), 2**63 - 1
_TYPES = {"hi": "q", "lo": "q", "file": "i", "at": "i", "rank": "b", "value": "q", "event": "q", "received": "q"}
_ARROW = {"q": pa.int64(), "i": pa.int32(), "b": pa.int8()}
_KEY = struct.Struct("=qq")
Version = tuple[int, Any, int, int]
"""(rank, sequence, event time, receive time), the times in µs: compared in this order."""


class Entry(NamedTuple):
    """The latest version of a key; `dead`: it deleted the key."""

    file: int
    at: int
    dead: bool
    version: Version


def hashed(key: str) -> bytes:
    """Return the 16 bytes that a key is known by."""
    return blake2b(key.encode(), digest_size=16).digest()


class Index:
    """Latest versions by hashed key; made empty or from `Loading`."""

    def __init__(self, columns: dict[str, Any] | None = None, odd: dict[bytes, Any] | None = None) -> None:
        self._columns: dict[str, Any] = columns or {name: array(kind) for name, kind in _TYPES.items()}
        self._odd = odd or {}
        self._new: dict[bytes, Entry] = {}

    def __len__(self) -> int:
        return len(self._columns["hi"]) + len(self._new)

    @property
    def odd(self) -> int:
        """Return how many keys have a sequence that is no whole number of 64 bits: those cost some 200 bytes more."""
        return len(self._odd)

    @property
    def size(self) -> int:
        """Return how many bytes of memory it takes, about."""
        return BYTES_A_KEY * len(self._columns["hi"]) + BYTES_A_NEW_KEY * len(self._new) + BYTES_AN_ODD * len(self._odd)

    def get(self, key: bytes) -> Entry | None:
        """Return a key's latest version; None: never met."""
        found = self._new.get(key)
        if found is not None:
            return found
        row = self._row(key)
        if row is None:
            return None
        column = self._columns
        rank = column["rank"][row]
        value = self._odd[key] if key in self._odd else column["value"][row]
        version = (rank & ~_DEAD, value, column["event"][row], column["received"][row])
        return Entry(column["file"][row], column["at"][row], bool(rank & _DEAD), version)

    def put(self, key: bytes, entry: Entry) -> None:
        """Set a key's latest version."""
        row = None if key in self._new else self._row(key)
        if row is None:
            self._new[key] = entry
            if len(self._new) >= max(NEW, len(self._columns["hi"]) // _SHARE):
                self.settle()
            return
        self._odd.pop(key, None)
        value = _plain(entry.version[1])
        if value is None:
            self._odd[key] = entry.version[1]
        column = self._columns
        column["file"][row], column["at"][row] = entry.file, entry.at
        column["rank"][row] = entry.version[0] | (_DEAD if entry.dead else 0)
        column["value"][row] = value or 0
        column["event"][row], column["received"][row] = entry.version[2:]

    def move(self, files: Collection[int], to: Callable[[pa.Array, pa.Array], tuple[pa.Array, pa.Array]]) -> bool:
        """Give all entries of `files` other places; False, and nothing changes, where one of them has none.

        `to` returns the new (file, position) of many by their old ones, null for none.
        """
        file, at = (_arrow(self._columns[name], "i") for name in ("file", "at"))
        chosen = pc.is_in(file, value_set=pa.array(sorted(files), pa.int32()))
        waiting = [(key, entry) for key, entry in self._new.items() if entry.file in files]
        new_file, new_at = to(
            pa.concat_arrays([file.filter(chosen), pa.array([entry.file for _key, entry in waiting], pa.int32())]),
            pa.concat_arrays([at.filter(chosen), pa.array([entry.at for _key, entry in waiting], pa.int32())]),
        )
        if new_file.null_count or new_at.null_count:
            return False
        known = len(new_file) - len(waiting)
        if known:
            self._columns["file"] = _array(pc.replace_with_mask(file, chosen, new_file[:known]), "i")
            self._columns["at"] = _array(pc.replace_with_mask(at, chosen, new_at[:known]), "i")
        places = zip(new_file[known:].to_pylist(), new_at[known:].to_pylist(), strict=True)
        for (key, entry), (number, row) in zip(waiting, places, strict=True):
            self._new[key] = entry._replace(file=number, at=row)
        return True

    def _row(self, key: bytes) -> int | None:
        hi, lo = _KEY.unpack(key)
        his, los = self._columns["hi"], self._columns["lo"]
        at = bisect_left(his, hi)
        while at < len(his) and his[at] == hi:
            if los[at] == lo:
                return at
            at += 1
        return None

    def settle(self) -> None:
        """Bring the dict's keys into the arrays, where they take an eighth of the memory."""
        loading = Loading()
        loading.take(self._columns, self._odd)
        for key, entry in self._new.items():
            loading.add(key, entry)
        self._columns, self._odd = loading.sorted()
        self._new = {}


class Loading:
    """Gathers versions in any order; of each key the latest stays, of equal ones that which is no deletion.

    For a table shows no row of a key that was deleted after it; of two equal deletions either will do.
    """

    def __init__(self) -> None:
        self._columns: dict[str, Any] = {name: array(kind) for name, kind in _TYPES.items()}
        self._odd: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._columns["hi"])

    def add(self, key: bytes, entry: Entry) -> None:
        """Add one version."""
        self.extend(
            entry.file, [entry.at], key, [entry.version[:2]], [entry.dead], *([one] for one in entry.version[2:])
        )

    def extend(
        self, file: int, at: Sequence[int], keys: bytes, sequences: Sequence[scalars.Sequence] | None,
        dead: Sequence[bool], event: Sequence[int], received: Sequence[int],
    ) -> None:  # fmt: skip
        """Add versions of one file; `keys`: their hashes behind one another; `sequences` None: none has one."""
        column, rows = self._columns, len(at)
        pairs = array("q", keys)
        column["hi"] += pairs[::2]
        column["lo"] += pairs[1::2]
        column["file"] += array("i", [file]) * rows
        column["at"].extend(at)
        column["event"].extend(event)
        column["received"].extend(received)
        if sequences is None:
            column["value"] += array("q", [0]) * rows
            column["rank"].extend([_DEAD if one else 0 for one in dead])
            return
        first = len(column["value"])
        for number, ((rank, value), gone) in enumerate(zip(sequences, dead, strict=True)):
            plain = _plain(value)
            if plain is None:
                self._odd[first + number] = value
            column["value"].append(plain or 0)
            column["rank"].append(rank | (_DEAD if gone else 0))

    def take(self, columns: dict[str, Any], odd: dict[bytes, Any]) -> None:
        """Take over an index's arrays, sorted as they are."""
        self._columns = columns
        if odd:
            places = {
                _KEY.pack(hi, lo): row for row, (hi, lo) in enumerate(zip(columns["hi"], columns["lo"], strict=True))
            }
            self._odd = {places[key]: value for key, value in odd.items()}

    def done(self) -> Index:
        """Return the index; what was gathered is its own then."""
        return Index(*self.sorted())

    def sorted(self) -> tuple[dict[str, Any], dict[bytes, Any]]:
        """Return what an index is made of; nothing is left here."""
        arrow = {name: _arrow(self._columns[name], kind) for name, kind in _TYPES.items()}
        order = pc.sort_indices(
            pa.table({"hi": arrow["hi"], "lo": arrow["lo"]}), [("hi", "ascending"), ("lo", "ascending")]
        )
        order = self._latest(order, arrow)
        odd = {}
        if self._odd:
            kept = set(order.to_pylist())
            hi, lo = self._columns["hi"], self._columns["lo"]
            odd = {_KEY.pack(hi[row], lo[row]): value for row, value in self._odd.items() if row in kept}
        columns = {}
        for name, kind in _TYPES.items():
            columns[name] = _array(arrow.pop(name).take(order), kind)
            self._columns.pop(name)
        return columns, odd

    def _latest(self, order: pa.Array, arrow: dict[str, pa.Array]) -> pa.Array:
        """Return the order without the older versions of keys that stand in it more than once."""
        if len(order) < 2:  # noqa: PLR2004
            return order
        hi, lo = arrow["hi"].take(order), arrow["lo"].take(order)
        again = pc.and_(pc.equal(hi[1:], hi[:-1]), pc.equal(lo[1:], lo[:-1]))
        places = pc.indices_nonzero(again).to_pylist()
        if not places:
            return order
        gone: set[int] = set()
        for first, last in _runs(places):
            rows = order[first : last + 1].to_pylist()
            best = max(rows, key=lambda row: (self._version(row), not self._columns["rank"][row] & _DEAD, row))
            gone.update(first + number for number, row in enumerate(rows) if row != best)
        mask = array("b", b"\1" * len(order))
        for place in gone:
            mask[place] = 0
        return order.filter(_arrow(mask, "b").cast(pa.bool_()))

    def _version(self, row: int) -> Version:
        column = self._columns
        value = self._odd[row] if row in self._odd else column["value"][row]
        return column["rank"][row] & ~_DEAD, value, column["event"][row], column["received"][row]


def _runs(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield (first, last) of rows of one key; `places`: rows that the next one has the key of."""
    first = last = places[0]
    for place in places[1:]:
        if place != last + 1:
            yield first, last + 1
            first = place
        last = place
    yield first, last + 1


def _plain(value: Any) -> int | None:  # noqa: ANN401 a sequence's
    return value if isinstance(value, int) and _LOW <= value <= _HIGH else None


def _arrow(values: Any, kind: str) -> pa.Array:  # noqa: ANN401 an array
    return pa.Array.from_buffers(_ARROW[kind], len(values), [None, pa.py_buffer(values)])


def _array(column: pa.Array, kind: str) -> Any:  # noqa: ANN401 an array
    made = array(kind)
    width = made.itemsize
    start = column.offset * width
    made.frombytes(memoryview(column.buffers()[1])[start : start + len(column) * width])
    return made
