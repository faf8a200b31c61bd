"""The clean event (topic `{tenant}.event.{platform}`): UTF-8 JSON with the vendor's payload spliced in unchanged.

Numbers and key order of the payload stay as sent because the payload is never decoded and encoded again (spec 3).
"""

from dataclasses import dataclass

import orjson

from schemas.wire.position import Position

_PAYLOAD = b',"payload":'
_ENVELOPE = b',"envelope":'


@dataclass(frozen=True, slots=True)
class Event:
    """A clean event before it is written; times are RFC 3339 text in UTC, `payload` and `envelope` raw JSON bytes."""

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


def encode(event: Event) -> bytes:
    """Return the record's value: one JSON object whose last member is the payload, byte for byte."""
    head = orjson.dumps(
        {
            "eventId": event.event_id,
            "tenantId": event.tenant_id,
            "platform": event.platform,
            "eventType": event.event_type,
            "eventTime": event.event_time,
            "eventTimeSource": event.event_time_source,
            "receivedAt": event.received_at,
            "source": event.source,
            "sourceKind": event.source_kind,
            "sourceIdentifier": event.source_identifier,
            "vendorEventId": event.vendor_event_id,
            "correlationId": event.correlation_id,
            "deliveryId": event.delivery_id,
            "schema": event.schema,
            "authCoverage": event.auth_coverage,
            "position": event.position.to_wire(),
        }
    )
    envelope = b"" if event.envelope is None else _ENVELOPE + event.envelope
    return b"".join((head[:-1], envelope, _PAYLOAD, event.payload, b"}"))
