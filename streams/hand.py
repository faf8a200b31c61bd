"""What the process has in hand: which records it decides right now, told to whoever starts after it was killed.

Lives here: a few bytes of shared memory over a file, which outlive the process whatever ends it (SIGKILL, SIGSEGV, the
OOM killer); a store into it costs no system call. Not here: what a successor makes of it (poison.py).
MAP_SHARED: https://man7.org/linux/man-pages/man2/mmap.2.html
"""

import mmap
import struct
from pathlib import Path
from typing import NamedTuple

_HELD = struct.Struct("<?22siqq")


class Held(NamedTuple):
    """Records that were being decided: offsets `first`..`end`-1 of a raw partition (topic id, number)."""

    partition: tuple[str, int]
    first: int
    end: int


class Hand:
    """The file's owner in this process; `left` is what the process before died with, None when its hand was empty.

    It stays in the file until the first `drop`, so a start that ends before then counts for nothing.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            file.truncate(_HELD.size)
            self._shared = mmap.mmap(file.fileno(), _HELD.size)
        self.left = self._read()

    def take(self, partition: tuple[str, int], first: int, end: int) -> None:
        """Say that offsets `first`..`end`-1 are being decided."""
        _HELD.pack_into(self._shared, 0, True, partition[0].encode(), partition[1], first, end)

    def drop(self) -> None:
        """Say that nothing is being decided."""
        self._shared[0] = 0

    def close(self) -> None:
        """Let go of the memory."""
        self._shared.close()

    def _read(self) -> Held | None:
        held, topic_id, partition, first, end = _HELD.unpack_from(self._shared)
        if not held:
            return None
        return Held((topic_id.rstrip(b"\0").decode("ascii", "replace"), partition), first, end)
