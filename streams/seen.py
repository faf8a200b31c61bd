"""What the stage remembers of an event id: where it was first seen, when, as what, with which content (rule 12).

Lives here: the state's key and value as bytes, and how long it counts. Not here: where it is kept (engine/table.py).
Pure: no Kafka, no disk, no clock.
"""

import hashlib
import struct
from functools import lru_cache

import msgspec

from schemas.wire.position import Position

PREFIX = b"\x03"
_VALUE = struct.Struct("<22siqiqB8s")
_HEALED = 2
"""The class byte: 0 quarantined, 1 clean, 2 clean after it was in quarantine."""
_SOURCE = 8
_DAY_MS = 86_400_000
MAX_WINDOW_MS = 30 * _DAY_MS
QUARANTINE_MS = 90 * _DAY_MS
"""An id in quarantine lives as long as its row in the quarantine table (spec section 2)."""


class Seen(msgspec.Struct, frozen=True, gc=False):
    """The first copy of an event: its position, partition time in ms, class and 8-byte fingerprint.

    `healed`: it was in quarantine, or came by a redrive. Its row there outlives the window, and so must it: whoever
    redrives that row once more, however late, adds nothing.
    """

    first: Position
    time_ms: int
    clean: bool
    fingerprint: bytes
    healed: bool = False

    def pack(self) -> bytes:
        """Return the value as RocksDB and the changelog hold it."""
        topic_id, partition, offset, item = self.first
        kind = _HEALED if self.healed else self.clean
        return _VALUE.pack(topic_id.encode(), partition, offset, item, self.time_ms, kind, self.fingerprint)

    @classmethod
    def unpack(cls, value: bytes) -> "Seen":
        """Read a value; struct.error on anything that `pack` did not make."""
        topic_id, partition, offset, item, time_ms, kind, fingerprint = _VALUE.unpack(value)
        position = Position(topic_id.rstrip(b"\0").decode(), partition, offset, item)
        return cls(position, time_ms, kind != 0, fingerprint, kind == _HEALED)

    def counts(self, now_ms: int, window_ms: int) -> bool:
        """Tell whether the copy is still inside its window at partition time `now_ms`."""
        return now_ms - self.time_ms <= (window_ms if self.clean and not self.healed else QUARANTINE_MS)


def key(source_id: str, event_id: str) -> bytes:
    """Return the key of an event: source first, so that the sweep knows the window."""
    return PREFIX + source_prefix(source_id) + bytes.fromhex(event_id.replace("-", ""))


@lru_cache(maxsize=100_000)
def source_prefix(source_id: str) -> bytes:
    """Return 8 bytes that stand for a source inside keys."""
    return hashlib.blake2b(source_id.encode("utf-8", "surrogatepass"), digest_size=_SOURCE).digest()


def source_of(state_key: bytes) -> bytes:
    """Return the source's 8 bytes of a key."""
    return state_key[len(PREFIX) : len(PREFIX) + _SOURCE]
