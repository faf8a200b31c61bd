"""State of one group on disk, written after a commit only, and what open transactions would write (rule 7).

Lives here: keys of positions and marks, look-ups through the overlay, the sweep. Not here: producing (transaction.py),
reading the changelog (recovery.py), where bytes lie (store.py), what a value means (streams/seen.py).
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import NamedTuple

from streams import seen
from streams.engine.store import Opener, RocksStore, Store
from streams.seen import Seen

POSITION, MARK, META = b"\x01", b"\x02", b"\x04"
CHANGELOG_ID = META + b"changelog"
_NUMBER = struct.Struct("<q")
_PLACE = struct.Struct(">i")
_STAND = struct.Struct("<qq")


class Stand(NamedTuple):
    """Where the stage stands in a raw partition: the next offset, and partition time in ms."""

    next_offset: int
    time_ms: int


Partition = tuple[str, int]
"""(topic id, partition) of a raw topic."""


def position_key(partition: Partition) -> bytes:
    """Return the key of a raw partition's stand in the changelog and on disk."""
    return POSITION + partition[0].encode() + _PLACE.pack(partition[1])


def partition_of(key: bytes) -> Partition:
    """Read a key that `position_key` made."""
    return key[1:-4].decode(), _PLACE.unpack(key[-4:])[0]


def mark_key(partition: int) -> bytes:
    """Return the key of the mark of a changelog partition."""
    return MARK + _NUMBER.pack(partition)


def pack_stand(stand: Stand) -> bytes:
    """Return a stand as the changelog holds it."""
    return _STAND.pack(*stand)


class Writes:
    """What one transaction will write to disk: states by key (None removes) and stands; `gone`: stands it removes."""

    __slots__ = ("gone", "stands", "states")

    def __init__(self) -> None:
        self.gone: list[Partition] = []
        self.states: dict[bytes, bytes | None] = {}
        self.stands: dict[Partition, Stand] = {}


class FirstSeenTable:
    """Faust's idea of a table for event ids: `read`, `[key]`, changelog. One RocksDB for the group."""

    def __init__(self, name: str, folder: Path, opener: Opener = RocksStore) -> None:
        self.name = name
        self._folder, self._opener = folder / name, opener
        self._store: Store | None = None
        self.open_writes: tuple[Writes, ...] = ()
        self.stands: dict[Partition, Stand] = {}
        self._cursor = seen.PREFIX

    def open(self) -> None:
        """Open or make the database; blocks."""
        self._store = self._opener(self._folder)
        self.stands = {partition_of(key): Stand(*_STAND.unpack(value)) for key, value in self._stored(POSITION)}

    def close(self) -> None:
        """Close the database."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def wipe(self) -> None:
        """Throw the database away and make a new one: the changelog holds everything."""
        self._opened.destroy()
        self.open()

    @property
    def _opened(self) -> Store:
        if self._store is None:
            raise RuntimeError("the table is not open")
        return self._store

    def figures(self) -> Mapping[str, int]:
        """Return what the database says of itself; nothing while it is closed."""
        return {} if self._store is None else self._store.figures()

    # ---- look-ups: the open transactions first, then the disk
    def read(self, keys: Iterable[bytes]) -> "View":
        """Return a view in which `keys` are read already; other keys are read when they are asked for."""
        return View(self, keys)

    def pending(self, key: bytes) -> tuple[bool, bytes | None]:
        """Return whether an open transaction writes `key`, and what (None = removes it)."""
        for writes in self.open_writes:
            if key in writes.states:
                return True, writes.states[key]
        return False, None

    def many(self, keys: list[bytes]) -> list[bytes | None]:
        """Return the stored values of `keys`, in order."""
        return self._opened.many(keys)

    def stand(self, partition: Partition) -> Stand | None:
        """Return where the stage stands, open transactions included."""
        for writes in self.open_writes:
            if partition in writes.stands:
                return writes.stands[partition]
        return self.stands.get(partition)

    # ---- writes, after a commit only
    def apply(self, writes: Writes, marks: Mapping[int, int]) -> None:
        """Write a committed transaction: states, stands and marks in one batch."""
        self._opened.write(
            chain(
                writes.states.items(),
                ((position_key(partition), pack_stand(stand)) for partition, stand in writes.stands.items()),
                _marks(marks),
            )
        )

    def restore(self, entries: Iterable[tuple[bytes, bytes | None]], marks: Mapping[int, int]) -> None:
        """Write changelog records as they were read, with the marks they reach, in one batch."""
        kept = [(key, value) for key, value in entries if key[:1] != MARK]
        self._opened.write(chain(kept, _marks(marks)))
        for key, value in kept:
            if key[:1] == POSITION and value is not None:
                self.stands[partition_of(key)] = Stand(*_STAND.unpack(value))
            elif key[:1] == POSITION:
                self.stands.pop(partition_of(key), None)

    def marks(self, partitions: int) -> dict[int, int]:
        """Return how far each changelog partition is in the database."""
        found = self.many([mark_key(number) for number in range(partitions)])
        return {number: _NUMBER.unpack(value)[0] for number, value in enumerate(found) if value is not None}

    def changelog_id(self) -> str | None:
        """Return the topic id of the changelog that the database was made from."""
        value = self.many([CHANGELOG_ID])[0]
        return None if value is None else value.decode()

    def set_changelog_id(self, topic_id: str) -> None:
        """Remember the topic id of the changelog."""
        self._opened.write([(CHANGELOG_ID, topic_id.encode())])

    def everything(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all stands and states as the changelog holds them."""
        return chain(self._stored(POSITION), self._stored(seen.PREFIX))

    def follow(self, topic_id: str, partitions: int) -> None:
        """Take the changelog `topic_id`, to be read from its beginning, for the one that the database is made from."""
        self._opened.write(
            [(CHANGELOG_ID, topic_id.encode()), *((mark_key(number), None) for number in range(partitions))]
        )

    def committed(self, writes: Writes) -> None:
        """Take over the stands of a transaction that is on disk."""
        self.stands.update(writes.stands)
        for partition in writes.gone:
            self.stands.pop(partition, None)

    def under(self, prefix: bytes) -> Iterator[bytes]:
        """Yield the stored keys that begin with `prefix`, in order."""
        return (key for key, _ in self._stored(prefix))

    # ---- the sweep
    def sweep(self, examine: int) -> Iterator[tuple[bytes, Seen]]:
        """Yield at most `examine` stored states, going on where the last sweep ended, round and round."""
        entries = self._opened.scan(self._cursor)
        for key, value in islice(entries, examine):
            if key[:1] != seen.PREFIX:
                self._cursor = seen.PREFIX
                return
            yield key, Seen.unpack(value)
        after = next(entries, None)
        self._cursor = seen.PREFIX if after is None else after[0]

    def _stored(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return takewhile(lambda entry: entry[0].startswith(prefix), self._opened.scan(prefix))


def _marks(marks: Mapping[int, int]) -> Iterator[tuple[bytes, bytes]]:
    return ((mark_key(number), _NUMBER.pack(offset)) for number, offset in marks.items())


class View:
    """What is known while one batch is decided, without a pause; `look` sees what `remember` was told (rule 12)."""

    __slots__ = ("_own", "_read", "_table")

    def __init__(self, table: FirstSeenTable, keys: Iterable[bytes]) -> None:
        self._table = table
        self._own: dict[bytes, Seen] = {}
        self._read: dict[bytes, bytes | None] = {}
        self.fetch(keys)

    def fetch(self, keys: Iterable[bytes]) -> None:
        """Read keys from disk at once; what an open transaction writes is not asked for."""
        missing = set(keys)
        for writes in self._table.open_writes:
            missing = missing.difference(writes.states)
        if missing:
            asked = list(missing)
            self._read.update(zip(asked, self._table.many(asked), strict=True))

    def look(self, key: bytes) -> Seen | None:
        """Return what is remembered under `key`."""
        own = self._own.get(key)
        if own is not None:
            return own
        if key in self._read:
            value = self._read[key]
        else:
            pending, value = self._table.pending(key)
            if not pending:
                self.fetch((key,))
                value = self._read[key]
        return None if value is None else Seen.unpack(value)

    def remember(self, key: bytes, state: Seen) -> None:
        """Let the next look-ups of this batch see `state`."""
        self._own[key] = state

    def remembered(self) -> dict[bytes, Seen]:
        """Return a copy of what `remember` was told."""
        return dict(self._own)

    def forget(self, before: dict[bytes, Seen]) -> None:
        """Go back to what `remembered` returned."""
        self._own = before
