"""The columns that every row has, beside the payload: names, types, docs, and how clean events fill them.

Lives here: the `nested` layout's system columns (spec section 8) and the reading of an event's head. The payload is
cut out as bytes and never decoded here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from sinks.rows import decode

TIME = pa.timestamp("us", "UTC")


@dataclass(frozen=True, slots=True)
class Column:
    """A system column; `member` is the event's member that fills it, "" for those filled elsewhere."""

    name: str
    type: pa.DataType
    doc: str
    member: str = ""


COLUMNS = (
    Column("event_id", pa.string(), "id of the event, the same for ever: UUIDv5 of source and vendor's id", "eventId"),
    Column("tenant_id", pa.string(), "tenant that owns the source", "tenantId"),
    Column("platform", pa.string(), "vendor or generic name that the webhook came in under", "platform"),
    Column("source", pa.string(), "name of the registered source", "source"),
    Column("source_kind", pa.string(), "webhook.{label or platform}", "sourceKind"),
    Column("source_identifier", pa.string(), "what the event is about, as the vendor names it", "sourceIdentifier"),
    Column("vendor_event_id", pa.string(), "the vendor's own id of the event; null if it gives none", "vendorEventId"),
    Column("event_type", pa.string(), "type of the event", "eventType"),
    Column("event_time", TIME, "when it happened; receive time if the vendor does not say", "eventTime"),
    Column("event_time_source", pa.string(), "where event_time comes from", "eventTimeSource"),
    Column("received_at", TIME, "when the delivery reached the ingress", "receivedAt"),
    Column("delivery_id", pa.string(), "id of the HTTP request (UUIDv7)", "deliveryId"),
    Column("correlation_id", pa.string(), "correlation header of the request; null if absent", "correlationId"),
    Column("schema", pa.string(), "subject@version that the event was checked against; null if unpinned", "schema"),
    Column("auth_coverage", pa.string(), "what the signature covered: full, partial or none", "authCoverage"),
    Column("envelope", pa.string(), "JSON text: the enclosing object of a split batch; null if absent"),
    Column("_topic", pa.string(), "Kafka topic id of the raw topic"),
    Column("_partition", pa.int32(), "partition in the raw topic"),
    Column("_offset", pa.int64(), "offset in the raw topic"),
    Column("_item", pa.int32(), "number of the item in its delivery"),
    Column(
        "_extra", pa.string(), "JSON text: what has no column, an object from JSON pointer into the payload to value"
    ),
    Column(
        "_raw",
        pa.string(),
        'JSON text: what does not fit its column, JSON pointer to value; "" holds the whole payload as text',
    ),
)
KEYED = (
    Column("_key", pa.string(), "JSON text: the values of primaryKey, an array; null: the event has no whole key"),
    Column("_sequence", pa.string(), "JSON text: the value of sequenceField; null if there is none"),
    Column("_tombstone", pa.bool_(), "true: the event deleted its key; a position delete hides such a row"),
)
"""What tables of `writeMode: upsert` have besides."""
PAYLOAD = "payload"
PAYLOAD_DOC = (
    "the vendor's JSON, typed by its schema or as observed; where a doc says JSON text, the text of a JSON value"
)
JSON_DOC = "JSON text"
FLAT = "_hb_"
"""What our own columns begin with where the payload's members stand beside them (`layout: flat`)."""
RAW_DOC = "JSON text: the vendor's JSON as sent"
TEXT = tuple(column for column in COLUMNS if column.member and column.type == pa.string())


def flat_name(name: str) -> str:
    """Return a system column's name in a flat table."""
    return FLAT + name.removeprefix("_")


_Int = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
_Long = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Position(msgspec.Struct, gc=False):
    topicId: str  # noqa: N815 wire name
    partition: _Int
    offset: _Long
    item: _Int


class _Kind(msgspec.Struct, gc=False):
    """Only what selects an event."""

    eventType: str | None = None  # noqa: N815 wire name


class _Head(msgspec.Struct, gc=False):
    """The event as wire/event.py writes it; `payload` and `envelope` stay bytes."""

    position: _Position
    payload: msgspec.Raw
    eventId: str | None = None  # noqa: N815
    tenantId: str | None = None  # noqa: N815
    platform: str | None = None
    source: str | None = None
    sourceKind: str | None = None  # noqa: N815
    sourceIdentifier: str | None = None  # noqa: N815
    vendorEventId: str | None = None  # noqa: N815
    eventType: str | None = None  # noqa: N815
    eventTime: str | None = None  # noqa: N815
    eventTimeSource: str | None = None  # noqa: N815
    receivedAt: str | None = None  # noqa: N815
    deliveryId: str | None = None  # noqa: N815
    correlationId: str | None = None  # noqa: N815
    schema: str | None = None
    authCoverage: str | None = None  # noqa: N815
    envelope: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET  # `| None` would take null and no object


class Record(msgspec.Struct, frozen=True, gc=False):
    """One Kafka record of a tail's topics, with its value. A struct and not a dataclass: millions are made."""

    topic_id: str
    partition: int
    offset: int
    value: bytes


_FIRST = pa.scalar(datetime.min.replace(tzinfo=UTC), TIME)
_LAST = pa.scalar(datetime.max.replace(tzinfo=UTC), TIME)
_PAYLOAD = b',"payload":'
_CUTS = 8
_DECODER = msgspec.json.Decoder(_Head)
_KIND_DECODER = msgspec.json.Decoder(_Kind)


@dataclass(frozen=True, slots=True)
class Heads:
    """The heads of a batch, in order: one item per record."""

    heads: tuple[_Head, ...]

    def payloads(self) -> list[bytes]:
        """Return the payload bytes of each."""
        return [bytes(head.payload) for head in self.heads]

    def columns(self, now_us: int) -> dict[str, pa.Array]:
        """Return the system columns but `_extra` and `_raw`; `now_us` stands in for an unreadable receive time."""
        members = [column.member for column in COLUMNS if column.member]
        texts = {name: pa.array([getattr(head, name) for head in self.heads], pa.string()) for name in members}
        places = [head.position for head in self.heads]
        position = {
            "topicId": pa.array([place.topicId for place in places], pa.string()),
            "partition": pa.array([place.partition for place in places], pa.int32()),
            "offset": pa.array([place.offset for place in places], pa.int64()),
            "item": pa.array([place.item for place in places], pa.int32()),
        }
        made = head_columns(texts, position, now_us)
        made["envelope"] = pa.array([_envelope(head) for head in self.heads], pa.string())
        return made


def _envelope(head: _Head) -> str | None:
    """Return the envelope's text, None where there is none."""
    raw = head.envelope
    if isinstance(raw, msgspec.UnsetType):
        return None
    text = bytes(raw)
    return None if text == b"null" else text.decode("utf-8", "backslashreplace")


def head_columns(texts: Mapping[str, pa.Array], position: Mapping[str, pa.Array], now_us: int) -> dict[str, pa.Array]:
    """Return the columns that an event's members fill, but `envelope`; `texts` and `position` by member."""
    made = {column.name: texts[column.member] for column in TEXT}
    received = times(texts["receivedAt"])
    made["received_at"] = pc.fill_null(received, pa.scalar(now_us, TIME)) if received.null_count else received
    made["event_time"] = times(texts["eventTime"])
    for column, member in (
        ("_topic", "topicId"),
        ("_partition", "partition"),
        ("_offset", "offset"),
        ("_item", "item"),
    ):
        made[column] = position[member]
    return made


def heads(records: Sequence[Record]) -> Heads:
    """Read the heads of a batch; total: a record that is no event keeps its bytes as the payload's text."""
    read = _DECODER.decode
    made: list[_Head] = []
    for record in records:
        try:
            made.append(read(record.value))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            made.append(_unreadable(record))
    return Heads(tuple(made))


def _unreadable(record: Record) -> _Head:
    """Take what can be had of a record that msgspec refuses: the head when only the payload is odd, else the bytes."""
    at = record.value.find(_PAYLOAD)
    for _attempt in range(_CUTS):
        if at < 0 or not record.value.endswith(b"}"):
            break
        try:
            head = _DECODER.decode(record.value[:at] + _PAYLOAD + b"null}")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            at = record.value.find(_PAYLOAD, at + 1)  # it stood in the envelope
        else:
            head.payload = msgspec.Raw(record.value[at + len(_PAYLOAD) : -1])
            return head
    position = _Position(record.topic_id, record.partition, record.offset, 0)
    head = _Head(position, msgspec.Raw(record.value))
    try:
        value = decode.lenient(record.value)
    except ValueError:
        return head
    if not isinstance(value, dict):
        return head
    for column in COLUMNS:
        member = value.get(column.member) if column.member else None
        if isinstance(member, str):
            setattr(head, column.member, member.encode("utf-8", "backslashreplace").decode())
    return head


def kinds(records: Sequence[Record]) -> list[str]:
    """Return the event type of each record, "" for one without; reads no more than that where it can."""
    read = _KIND_DECODER.decode
    made: list[str] = []
    for record in records:
        try:
            made.append(read(record.value).eventType or "")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            made.append(_unreadable(record).eventType or "")
    return made


def times(texts: pa.Array) -> pa.Array:
    """Read RFC 3339 times as µs in UTC; what is no time of years 1 to 9999 becomes null, finer digits are cut."""
    try:
        read = texts.cast(TIME)
    except pa.ArrowInvalid:
        return pa.array([_time(text) for text in texts.to_pylist()], TIME)
    held = pc.and_(pc.greater_equal(read, _FIRST), pc.less_equal(read, _LAST))
    return read if pc.all(held).as_py() is not False else pc.if_else(held, read, pa.scalar(None, TIME))


def _time(text: Any) -> datetime | None:  # noqa: ANN401 from JSON
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):  # the last: before year 1 or after 9999 in UTC
        return None
