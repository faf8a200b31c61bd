"""A store in memory: what a disk keeps when its process is killed, and what it loses when the power goes.

Implements streams.engine.store.Store; tests/contract/engine runs one suite on it and on RocksDB.
"""

from collections.abc import Iterable, Iterator, Mapping


class Disk:
    """What outlives a process: the entries, and the writes that a power cut may still undo."""

    def __init__(self) -> None:
        self.entries: dict[bytes, bytes] = {}
        self.before: list[dict[bytes, bytes | None]] = []
        self.locked = False

    def copy(self) -> "Disk":
        """Return an equal disk that nobody has open."""
        made = Disk()
        made.entries = dict(self.entries)
        made.before = list(self.before)
        return made

    def cut(self, writes: int) -> None:
        """Undo the last writes, newest first: what was not synced yet."""
        for _ in range(min(writes, len(self.before))):
            for key, value in self.before.pop().items():
                if value is None:
                    self.entries.pop(key, None)
                else:
                    self.entries[key] = value


class MemoryStore:
    """Implements Store over a disk."""

    def __init__(self, disk: Disk) -> None:
        if disk.locked:
            raise OSError("another process has the store open")
        disk.locked = True
        self._disk = disk

    def figures(self) -> Mapping[str, int]:
        return {}

    def many(self, keys: list[bytes]) -> list[bytes | None]:
        return [self._disk.entries.get(key) for key in keys]

    def write(self, entries: Iterable[tuple[bytes, bytes | None]]) -> None:
        undo: dict[bytes, bytes | None] = {}
        disk = self._disk
        for key, value in list(entries):
            undo.setdefault(key, disk.entries.get(key))
            if value is None:
                disk.entries.pop(key, None)
            else:
                disk.entries[key] = value
        disk.before.append(undo)

    def scan(self, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(key for key in self._disk.entries if key >= start):
            yield key, self._disk.entries[key]

    def close(self) -> None:
        self._disk.locked = False

    def destroy(self) -> None:
        self.close()
        self._disk.entries.clear()
        self._disk.before.clear()
