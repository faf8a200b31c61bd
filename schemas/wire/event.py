"""The clean event (topic `{tenant}.event.{platform}`): UTF-8 JSON with the vendor's payload spliced in unchanged.

Numbers and key order of the payload stay as sent because the payload is never decoded and encoded again (spec 3).
"""

import msgspec

from schemas.wire.position import Position


class Event(msgspec.Struct, frozen=True, gc=False):
    """A clean event before it is written; times are RFC 3339 text in UTC, `payload` and `envelope` raw JSON bytes.

    A struct and not a dataclass: millions are made.
    """

    event_id: str
    tenant_id: str
    platform: str
    event_type: str
    event_time: str
    event_time_source: str
    received_at: str
    source: str
    source_kind: str
    source_identifier: str
    vendor_event_id: str | None
    correlation_id: str | None
    delivery_id: str
    schema: str | None
    auth_coverage: str
    position: Position
    envelope: bytes | None
    payload: bytes


class _Place(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    topic_id: str
    partition: int
    offset: int
    item: int


class _Written(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The members in the order of the wire; `Raw` ones are copied as they are."""

    event_id: str
    tenant_id: str
    platform: str
    event_type: str
    event_time: str
    event_time_source: str
    received_at: str
    source: str
    source_kind: str
    source_identifier: str
    vendor_event_id: str | None
    correlation_id: str | None
    delivery_id: str
    schema: str | None
    auth_coverage: str
    position: _Place
    envelope: msgspec.Raw | msgspec.UnsetType
    payload: msgspec.Raw


_encode = msgspec.json.Encoder().encode


def encode(event: Event) -> bytes:
    """Return the record's value: one JSON object whose last member is the payload, byte for byte."""
    envelope = msgspec.UNSET if event.envelope is None else msgspec.Raw(event.envelope)
    return _encode(
        _Written(
            event.event_id,
            event.tenant_id,
            event.platform,
            event.event_type,
            event.event_time,
            event.event_time_source,
            event.received_at,
            event.source,
            event.source_kind,
            event.source_identifier,
            event.vendor_event_id,
            event.correlation_id,
            event.delivery_id,
            event.schema,
            event.auth_coverage,
            _Place(*event.position),
            envelope,
            msgspec.Raw(event.payload),
        )
    )
