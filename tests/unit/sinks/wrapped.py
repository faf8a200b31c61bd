"""Payloads as records of clean events, for tests of how they become rows.

Lives here: the wrapping. The payload's bytes are taken as they are, JSON or not.
"""

from collections.abc import Sequence

from sinks.columns.shape import Branch
from sinks.rows.events import Events, Rows
from sinks.rows.system import Record

HEAD = (
    '{{"eventId":"e{n}","tenantId":"acme","platform":"shop","eventType":"{kind}",'
    '"eventTime":"2026-01-01T00:00:00Z","eventTimeSource":"payload","receivedAt":"2026-01-01T00:00:00.5Z",'
    '"source":"shop","sourceKind":"webhook.shop","sourceIdentifier":"{n}","vendorEventId":null,"correlationId":null,'
    '"deliveryId":"d","schema":null,"authCoverage":"full",'
    '"position":{{"topicId":"T","partition":0,"offset":{n},"item":0}},'
)


def event(payload: bytes, n: int = 0, kind: str = "push", envelope: bytes = b"") -> bytes:
    """Return the value of one clean event's record."""
    extra = b'"envelope":' + envelope + b"," if envelope else b""
    return HEAD.format(n=n, kind=kind).encode() + extra + b'"payload":' + payload + b"}"


def records(payloads: Sequence[bytes]) -> list[Record]:
    """Return one record a payload."""
    return [Record("T", 0, n, event(payload, n)) for n, payload in enumerate(payloads)]


def read(events: Events, payloads: Sequence[bytes], shape: Branch) -> Rows:
    """Return what becomes of the payloads."""
    return events.read(records(payloads), shape, 0)
