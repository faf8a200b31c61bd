"""Millions of positions with their event ids in 16 bytes each: columns of integers, sorted by Arrow.

Lives here: packing and comparing. An id is kept as its 64-bit hash of this process: two lists are compared, nothing is
stored. Pure.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator

import pyarrow as pa

ITEM_BITS = 14
MAX_ITEM = (1 << ITEM_BITS) - 1
"""A delivery has at most 10,000 items (rule 5 of the data path)."""
_WIDTH = 8


def pack(offset: int, item: int) -> int:
    """Return offset and item as one integer that sorts as they do."""
    return offset << ITEM_BITS | item


def unpack(key: int) -> tuple[int, int]:
    """Return (offset, item) of a packed key."""
    return key >> ITEM_BITS, key & MAX_ITEM


def of_id(event_id: str | None) -> int:
    """Return an id as an integer."""
    return 0 if event_id is None else hash(event_id)


class Marks:
    """Positions (packed) and ids, in any order until `sort`."""

    __slots__ = ("ids", "keys")

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self.keys, self.ids = array("q"), array("q")
        for key, mark in pairs:
            self.add(key, mark)

    def add(self, key: int, mark: int) -> None:
        """Add one position with its id."""
        self.keys.append(key)
        self.ids.append(mark)

    def __len__(self) -> int:
        return len(self.keys)

    def sort(self) -> "Marks":
        """Bring them into order of position, then id; return self."""
        table = pa.table({"key": _arrow(self.keys), "id": _arrow(self.ids)})
        table = table.sort_by([("key", "ascending"), ("id", "ascending")])
        self.keys, self.ids = _array(table.column("key")), _array(table.column("id"))
        return self

    def has(self, key: int, mark: int) -> bool:
        """Tell whether the pair is there (sorted marks)."""
        at = bisect_left(self.keys, key)
        while at < len(self.keys) and self.keys[at] == key:
            if self.ids[at] == mark:
                return True
            at += 1
        return False

    def count_at(self, key: int) -> int:
        """Return how many stand at one position (sorted marks)."""
        return bisect_left(self.keys, key + 1) - bisect_left(self.keys, key)

    def count(self, start: int, end: int) -> int:
        """Return how many stand at offsets `start`..`end`-1 (sorted marks)."""
        return bisect_left(self.keys, pack(end, 0)) - bisect_left(self.keys, pack(start, 0))


def differences(one: Marks, other: Marks) -> Iterator[tuple[int, int, int]]:
    """Yield (key, times in `one`, times in `other`) for each pair that is not equally often in both (sorted marks)."""
    left, right = 0, 0
    while left < len(one) or right < len(other):
        a = (one.keys[left], one.ids[left]) if left < len(one) else None
        b = (other.keys[right], other.ids[right]) if right < len(other) else None
        pair = a if b is None or (a is not None and a <= b) else b
        if pair is None:
            return
        before_left, before_right = left, right
        while left < len(one) and (one.keys[left], one.ids[left]) == pair:
            left += 1
        while right < len(other) and (other.keys[right], other.ids[right]) == pair:
            right += 1
        if left - before_left != right - before_right:
            yield pair[0], left - before_left, right - before_right


def _arrow(values: "array[int]") -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])


def _array(column: pa.ChunkedArray) -> "array[int]":
    made = array("q")
    for chunk in column.chunks:
        start = chunk.offset * _WIDTH
        made.frombytes(memoryview(chunk.buffers()[1])[start : start + len(chunk) * _WIDTH])
    return made
