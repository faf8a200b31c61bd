"""Identifiers: UUIDv7 for what we make, UUIDv5 for what a vendor named.

Lives here: how ids are derived, never where randomness comes from (passed in). RFC 9562 sections 5.5 and 5.7.
"""

import hashlib
import uuid
from enum import StrEnum

_NAMESPACE = uuid.UUID("6f1f7bb4-3a0e-5b0a-9f0e-0d3c1a2b4c5d").bytes
_V7_TIME_BITS = 48
_RANDOM_BYTES = 10
_HEX = 32
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""A hex digit with its two upper bits made `10` (RFC 9562 section 4.1)."""


class IdKind(StrEnum):
    """Where an event's id comes from; part of the id, so that kinds never meet."""

    VENDOR = "vendor"
    EXPLICIT = "explicit"
    WEAK = "weak"
    HASH = "hash"
    DELIVERY = "delivery"


def uuid7(epoch_ms: int, random_bytes: bytes) -> uuid.UUID:
    """Make a UUIDv7 from a time in ms and 10 random bytes: sorts by time (RFC 9562 section 5.7)."""
    if len(random_bytes) != _RANDOM_BYTES or not 0 <= epoch_ms < 1 << _V7_TIME_BITS:
        raise ValueError("uuid7 takes a 48-bit time in ms and 10 random bytes")
    value = epoch_ms << 80 | int.from_bytes(random_bytes)
    value = value & ~(0xF000 << 64) & ~(0xC000 << 48) | 0x7000 << 64 | 0x8000 << 48
    return uuid.UUID(int=value)


def uuid7_text(epoch_ms: int, random_bytes: bytes) -> str:
    """Return `str(uuid7(...))`, without the object."""
    text = (epoch_ms.to_bytes(6) + random_bytes).hex()
    if len(text) != _HEX:
        raise ValueError("uuid7 takes a 48-bit time in ms and 10 random bytes")
    return f"{text[:8]}-{text[8:12]}-7{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:]}"


def uuid7_epoch_ms(value: uuid.UUID) -> int:
    """Return the time in ms that a UUIDv7 holds."""
    return value.int >> 80


def event_id(source_id: str, kind: IdKind, vendor_event_id: str) -> str:
    """Derive an event's id: UUIDv5 of (source id, kind, vendor's id); the same event has the same id for ever."""
    named = "\0".join((source_id, kind, vendor_event_id))  # noqa: FLY002 faster: formatting an enum member is a call
    digest = hashlib.sha1(  # noqa: S324 UUIDv5 is defined over SHA-1; nothing is secured by it
        _NAMESPACE + named.encode("utf-8", "surrogatepass")
    ).digest()
    return event_id_of_digest(digest)


def run_id(event_id_: str, assignment_id: str) -> str:
    """Derive a run's id: UUIDv5 of (event id, assignment): the same event under the same assignment is one run."""
    return _named("run", event_id_, assignment_id)


def chat_id(tenant: str, role: str, source_identifier: str) -> str:
    """Derive a chat's id: UUIDv5 of (workspace, role, source identifier): what belongs together, in order."""
    return _named("chat", tenant, role, source_identifier)


def _named(*parts: str) -> str:
    """Return the UUIDv5 of parts; the first is no UUID, so that these ids and those of events never meet."""
    named = "\0".join(parts).encode("utf-8", "surrogatepass")
    return event_id_of_digest(hashlib.sha1(_NAMESPACE + named).digest())  # noqa: S324 as above


def event_id_of_digest(digest: bytes) -> str:
    """Format the first 16 bytes of a SHA-1 digest as a UUIDv5 (faster than uuid.uuid5: no object)."""
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"
