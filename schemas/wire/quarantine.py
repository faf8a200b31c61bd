"""The quarantine record (topic `{tenant}.quarantine.{platform}`, Avro): what failed, why, and its bytes as sent."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from schemas.wire.avro import Codec, microseconds
from schemas.wire.position import Position

FAILED = "failed"
RESOLVED = "resolved"
CODEC = Codec("quarantine.v1")
_LEFT_OUT = re.compile(r"\(payload of ([0-9]+) bytes left out: ")


@dataclass(frozen=True, slots=True)
class Quarantine:
    """One record; times in µs since the epoch. Kinds and fields: avro/quarantine.v1.avsc, rule 15."""

    kind: str
    event_id: str
    tenant_id: str
    platform: str
    source: str
    source_id: str
    source_kind: str
    event_type: str | None
    vendor_event_id: str | None
    delivery_id: str
    received_at_us: int
    decided_at_us: int
    position: Position
    reason: str
    pointer: str
    message: str
    schema: str | None
    content_type: str | None
    auth_coverage: str
    payload: bytes
    by: Position | None = None


class OpenRow(NamedTuple):
    """A row that failed and is not resolved, as a redrive asks for it.

    `digest`: of the payload (`payload_digest`); `size`: its bytes, also of one that was left out (then no digest);
    `delivery_id`: of the record that stood there, "" when its headers could not be read.
    """

    position: Position
    event_id: str
    source_id: str
    reason: str
    size: int
    digest: bytes | None
    delivery_id: str = ""


def payload_digest(payload: bytes) -> bytes:
    """Return what tells two payloads apart: 16-byte BLAKE2b."""
    return hashlib.blake2b(payload, digest_size=16).digest()


def left_out(size: int, position: Position) -> str:
    """Return what a message says of a payload that did not fit the record."""
    return f"(payload of {size} bytes left out: it stands at {position})"


def left_out_size(message: str) -> int | None:
    """Return the size that `left_out` told, None when nothing was left out."""
    found = _LEFT_OUT.search(message)
    return None if found is None else int(found[1])


def encode(record: Quarantine) -> bytes:
    """Return the record's value."""
    return CODEC.encode(
        {
            "kind": record.kind,
            "eventId": record.event_id,
            "tenantId": record.tenant_id,
            "platform": record.platform,
            "source": record.source,
            "sourceId": record.source_id,
            "sourceKind": record.source_kind,
            "eventType": record.event_type,
            "vendorEventId": record.vendor_event_id,
            "deliveryId": record.delivery_id,
            "receivedAt": record.received_at_us,
            "decidedAt": record.decided_at_us,
            "position": record.position.to_wire(),
            "reason": record.reason,
            "pointer": record.pointer,
            "message": record.message,
            "schema": record.schema,
            "contentType": record.content_type,
            "authCoverage": record.auth_coverage,
            "payload": record.payload,
            "by": None if record.by is None else record.by.to_wire(),
        }
    )


def decode(value: bytes) -> Quarantine:
    """Read a record; raises `Poison(bad_record)`."""
    datum: dict[str, Any] = CODEC.decode(value)
    return Quarantine(
        kind=datum["kind"],
        event_id=datum["eventId"],
        tenant_id=datum["tenantId"],
        platform=datum["platform"],
        source=datum["source"],
        source_id=datum["sourceId"],
        source_kind=datum["sourceKind"],
        event_type=datum["eventType"],
        vendor_event_id=datum["vendorEventId"],
        delivery_id=datum["deliveryId"],
        received_at_us=microseconds(datum["receivedAt"]),
        decided_at_us=microseconds(datum["decidedAt"]),
        position=Position.from_wire(datum["position"]),
        reason=datum["reason"],
        pointer=datum["pointer"],
        message=datum["message"],
        schema=datum["schema"],
        content_type=datum["contentType"],
        auth_coverage=datum["authCoverage"],
        payload=datum["payload"],
        by=None if datum["by"] is None else Position.from_wire(datum["by"]),
    )
