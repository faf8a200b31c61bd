"""The memory that the indexes of one process may take together.

Lives here: the account of it, and what is said when it is full. Each table's thread keeps its own line up to date.
"""

import threading
from dataclasses import dataclass

from schemas.errors import Poison
from schemas.reasons import Reason

MIB = 1 << 20
DEFAULT_INDEX_BYTES = 1 << 30
SETTING = "HOOKBERG_UPSERT_INDEX_BYTES"


@dataclass(frozen=True, slots=True)
class Held:
    """What one table's index holds: keys, and the bytes of memory that they take."""

    keys: int = 0
    bytes: int = 0


class Full(Poison):
    """The keys of a table do not fit into the memory that indexes may take."""

    def __init__(self, wanted: Held, others: int, most_bytes: int) -> None:
        super().__init__(
            Reason.UPSERT_INDEX_FULL,
            f"{wanted.keys:,} keys take {_mib(wanted.bytes)} of memory, other upsert tables of this writer "
            f"{_mib(others)}; {SETTING} allows {_mib(most_bytes)}. Raise it and start the writer again, run more "
            "writers, or write the events with `writeMode: append` and read the `latest` view. Nothing is lost: the "
            "stream goes on where its table stands once there is room",
        )


def _mib(size: int) -> str:
    return f"{size / MIB:,.1f} MiB"


class Room:
    """`most_bytes`: of all tables together. May be used by all threads."""

    def __init__(self, most_bytes: int = DEFAULT_INDEX_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held: dict[Share, Held] = {}
        self._lock = threading.Lock()

    def share(self) -> "Share":
        """Return what one table takes of it: nothing yet."""
        return Share(self)

    def take(self, share: "Share", held: Held) -> None:
        """Set what a share holds; raises `Full`, and leaves what it held, where that is too much."""
        with self._lock:
            others = sum(one.bytes for other, one in self._held.items() if other is not share)
            if others + held.bytes > self._most_bytes:
                raise Full(held, others, self._most_bytes)
            self._held[share] = held

    def free(self, share: "Share") -> None:
        """Forget what a share holds."""
        with self._lock:
            self._held.pop(share, None)

    def held(self, share: "Share") -> Held | None:
        """Return what a share holds; None: nothing."""
        with self._lock:
            return self._held.get(share)


class Share:
    """One table's part of a `Room`."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def take(self, held: Held) -> None:
        """Set what the table's index holds; raises `Full`, and leaves what it held, where that is too much."""
        self._room.take(self, held)

    def free(self) -> None:
        """Say that there is no index any more."""
        self._room.free(self)

    @property
    def held(self) -> Held | None:
        """What the index holds; None: there is none."""
        return self._room.held(self)
