"""Where a group's state lies: a store of ordered keys whose writes are all or nothing, RocksDB on disk.

Lives here: the port and its RocksDB. Not here: what keys mean and when they are written (table.py). The simulation puts
a store in memory in its place (tests/fakes/store.py); one contract suite runs on both.
https://github.com/rocksdict/RocksDict
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import rocksdict

_BLOCK_CACHE = 64 << 20
_WRITE_BUFFER = 32 << 20
FIGURES = {
    "tables": "total-sst-files-size",
    "memtables": "cur-size-all-mem-tables",
    "cache": "block-cache-usage",
    "pending": "estimate-pending-compaction-bytes",
    "keys": "estimate-num-keys",
    "compactions": "num-running-compactions",
    "flushes": "num-running-flushes",
    "stopped": "is-write-stopped",
    "slowed": "actual-delayed-write-rate",
}
"""What is told of a store: our word, RocksDB's property (its DB::Properties)."""


class Store(Protocol):
    """An open store; one process has it open at a time."""

    def many(self, keys: list[bytes]) -> list[bytes | None]:
        """Return the values of `keys`, in order; None = absent."""

    def write(self, entries: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Write entries in order, all or nothing; None removes."""

    def scan(self, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield entries from the first key that is not below `start`, in the order of keys."""

    def figures(self) -> Mapping[str, int]:
        """Return what it says of itself, by `FIGURES`; nothing where there is nothing to say."""

    def close(self) -> None:
        """Close it; what was written stays."""

    def destroy(self) -> None:
        """Close it and throw away what was written."""


Opener = Callable[[Path], Store]
"""Opens or makes the store in a folder; blocks."""


class RocksStore:
    """RocksDB in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        options = rocksdict.Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(_WRITE_BUFFER)
        options.set_max_write_buffer_number(3)
        blocks = rocksdict.BlockBasedOptions()
        blocks.set_bloom_filter(10, False)
        blocks.set_block_cache(rocksdict.Cache(_BLOCK_CACHE))
        options.set_block_based_table_factory(blocks)
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._db: Any = rocksdict.Rdict(str(folder), options)

    def many(self, keys: list[bytes]) -> list[bytes | None]:
        """Return the values of `keys`, in order; None = absent."""
        found: list[bytes | None] = self._db.get(keys)
        return found

    def write(self, entries: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Write entries in order, all or nothing; None removes."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in entries:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        self._db.write(batch)

    def scan(self, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield entries from the first key that is not below `start`, in the order of keys."""
        iterator = self._db.iter()
        iterator.seek(start)
        while iterator.valid():
            yield iterator.key(), iterator.value()
            iterator.next()

    def figures(self) -> Mapping[str, int]:
        """Return what it says of itself, by `FIGURES`."""
        return {name: self._db.property_int_value(f"rocksdb.{named}") or 0 for name, named in FIGURES.items()}

    def close(self) -> None:
        """Close it; what was written stays."""
        self._db.close()

    def destroy(self) -> None:
        """Close it and throw away what was written."""
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)
