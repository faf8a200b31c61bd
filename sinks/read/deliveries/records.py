"""Records of the four topics as the lookups see them: what was stored, became clean, failed, was decided.

Lives here: decoding and where a record's raw offset stands. Pure: messages in, values out. A record that cannot be read
is nobody's.
"""

import math
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple, cast

import msgspec
from confluent_kafka import Message

from schemas.errors import Poison
from schemas.ids import uuid7_epoch_ms
from schemas.wire import quarantine, raw
from schemas.wire.position import Position
from schemas.wire.quarantine import Quarantine
from schemas.wire.raw import HB_DELIVERY_ID, HB_SOURCE_ID, HB_TENANT, RawMeta

_EARLIER = -1
_UUID7 = 7


class Stored(NamedTuple):
    """A raw record: where it stands, what its headers say, the broker's time, the size of its body."""

    topic: str
    position: Position
    meta: RawMeta
    stored_ms: int
    size: int


class _Place(msgspec.Struct):
    topicId: str  # noqa: N815 wire name
    partition: int
    offset: int
    item: int


class _Head(msgspec.Struct):
    """What is read of a clean event; the payload is passed over."""

    eventId: str  # noqa: N815 wire name
    eventType: str  # noqa: N815
    receivedAt: str  # noqa: N815
    eventTime: str  # noqa: N815
    deliveryId: str  # noqa: N815
    source: str
    position: _Place
    vendorEventId: str | None = None  # noqa: N815
    correlationId: str | None = None  # noqa: N815
    schema: str | None = None


_read_head = msgspec.json.Decoder(_Head).decode


class Clean(NamedTuple):
    """A clean event, and the offset at which it stands in its clean topic; -1: told by a table, not by the topic."""

    at: int
    event_id: str
    event_type: str
    event_time: str
    received_at: str
    vendor_event_id: str | None
    correlation_id: str | None
    schema: str | None
    delivery_id: str
    position: Position

    @property
    def received_ms(self) -> float:
        """Return when it was received, in ms since the epoch; infinity for what is no time: younger than every cut."""
        try:
            return datetime.fromisoformat(self.received_at).timestamp() * 1000
        except (ValueError, OverflowError):
            return math.inf


class Note(NamedTuple):
    """That a quarantined item became clean: where it stands, which copy was clean, when, of which delivery."""

    position: Position
    by: Position
    at_us: int
    delivery_id: str


def time_of(delivery_id: str) -> int | None:
    """Return the time in ms that a delivery id holds; None for a text that never was one (UUIDv7, lower case)."""
    try:
        value = uuid.UUID(delivery_id)
    except ValueError:
        return None
    return uuid7_epoch_ms(value) if value.version == _UUID7 and str(value) == delivery_id else None


def header(message: Message, name: str) -> bytes:
    """Return a Kafka header's value, b"" without it."""
    pairs = cast("Iterable[tuple[str, Any]]", message.headers() or ())
    return next((value or b"" for key, value in pairs if key == name), b"")


def delivery_id(message: Message) -> str:
    """Return the delivery id of a raw record."""
    return header(message, HB_DELIVERY_ID).decode("utf-8", "replace")


def source_id(message: Message) -> str:
    """Return the source id of a raw record."""
    return header(message, HB_SOURCE_ID).decode("utf-8", "replace")


def tenant(message: Message) -> str:
    """Return the tenant of a raw record."""
    return header(message, HB_TENANT).decode("utf-8", "replace")


def stored(message: Message, topic_id: str) -> Stored | None:
    """Read a raw record; None when its headers cannot be read."""
    try:
        meta = raw.decode(cast("Iterable[tuple[str, bytes | None]]", message.headers() or ()))
    except (Poison, ValueError):
        return None
    position = Position(topic_id, int(message.partition() or 0), int(message.offset() or 0), 0)
    return Stored(message.topic() or "", position, meta, message.timestamp()[1], len(message.value() or b""))


def clean(message: Message) -> Clean | None:
    """Read a clean event; None for what is none."""
    try:
        head = _read_head(message.value() or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    place = head.position
    return Clean(
        int(message.offset() or 0),
        head.eventId,
        head.eventType,
        head.eventTime,
        head.receivedAt,
        head.vendorEventId,
        head.correlationId,
        head.schema,
        head.deliveryId,
        Position(place.topicId, place.partition, place.offset, place.item),
    )


def failed(message: Message) -> Quarantine | None:
    """Read a quarantine record; None for what is none."""
    try:
        return quarantine.decode(message.value() or b"")
    except Poison:
        return None


def resolution(message: Message) -> Note | None:
    """Read a quarantine record that says that an item became clean; None for another one."""
    found = failed(message)
    if found is None or found.kind != quarantine.RESOLVED:
        return None
    return Note(found.position, found.by or found.position, found.decided_at_us, found.delivery_id)


def clean_key(topic_id: str) -> Callable[[Message], int | None]:
    """Return what tells the raw offset of a clean event; those of earlier raw topics of the name come before all."""

    def key(message: Message) -> int | None:
        found = clean(message)
        return None if found is None else _offset(found.position, topic_id)

    return key


def quarantine_key(topic_id: str) -> Callable[[Message], int | None]:
    """Return what tells the raw offset whose decision wrote a quarantine record: of a `resolved` one the clean copy."""

    def key(message: Message) -> int | None:
        found = failed(message)
        return None if found is None else _offset(written_by(found), topic_id)

    return key


def written_by(record: Quarantine) -> Position:
    """Return the position of the item whose decision wrote the record."""
    return record.by if record.kind == quarantine.RESOLVED and record.by is not None else record.position


def _offset(position: Position, topic_id: str) -> int:
    return position.offset if position.topic_id == topic_id else _EARLIER
