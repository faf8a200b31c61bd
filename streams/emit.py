"""Decision -> records: the clean event, the quarantine record, the note that a quarantined event became clean.

Lives here: values, keys and sizes of output records. Not here: producing them (engine/transaction.py).
Output partition = source partition, so order is kept (spec section 3). Sizes: rule 5. Pure.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from schemas.reasons import Outcome, Reason
from schemas.topics import TopicName
from schemas.wire import event as event_wire
from schemas.wire import quarantine as quarantine_wire
from schemas.wire.position import Position
from schemas.wire.quarantine import FAILED, RESOLVED, Quarantine, left_out
from streams.decide import Decision, Known, refused
from streams.parse import MAX_TIME_US, Fault
from streams.texts import MAX_TEXT, clean_text, rfc3339

OVERHEAD = 1024
"""Bytes kept free beside value and key: the record batch's and the record's own framing."""


class Record(NamedTuple):
    """One record to produce; a value of None is a tombstone."""

    topic: str
    partition: int
    key: bytes
    value: bytes | None


class Decided(msgspec.Struct, frozen=True, gc=False):
    """A decision and what it writes to the output topics."""

    decision: Decision
    records: tuple[Record, ...]


class Limits(NamedTuple):
    """The largest record that each output topic takes, in bytes."""

    event: int
    quarantine: int


class Place(NamedTuple):
    """Where a batch comes from and goes to: topic id and partition of the raw topic, names of the output topics."""

    raw: TopicName
    topic_id: str
    partition: int
    event: str
    quarantine: str
    limits: Limits

    def position(self, offset: int, item: int) -> Position:
        """Return the position of an item of this partition."""
        return Position(self.topic_id, self.partition, offset, item)


def emit(decision: Decision, place: Place, now_us: int, known: Known) -> Decided:
    """Return a decision with its records; a clean event larger than its topic takes is `too_large` instead (rule 5).

    `known` is what the decision was made by.
    """
    if decision.outcome is Outcome.CLEAN:
        value = clean(decision, place)
        if len(value) + OVERHEAD > place.limits.event:
            decision = _too_large(decision, place, len(value), known)
        else:
            record = Record(place.event, place.partition, decision.event_id.encode(), value)
            if decision.resolves is None and decision.settles is None:
                return Decided(decision, (record,))
            return Decided(decision, (record, *_resolved(decision, place, now_us)))
    if decision.outcome is Outcome.QUARANTINED:
        return Decided(decision, (_quarantine(decision, place, now_us, FAILED),))
    return Decided(decision, () if decision.settles is None else _resolved(decision, place, now_us))


def _resolved(decision: Decision, place: Place, now_us: int) -> tuple[Record, ...]:
    """Return a note for each quarantined copy that has a clean one now: this event, or the one that it repeats."""
    rows = (row for row in (decision.resolves, decision.settles) if row is not None)
    return tuple(_quarantine(decision, place, now_us, RESOLVED, row) for row in rows)


def _too_large(decision: Decision, place: Place, size: int, known: Known) -> Decision:
    where = place.position(decision.event.delivery.record.offset, decision.event.item.number)
    message = f"the clean event would be {size} bytes, the topic takes {place.limits.event}; see {where}"
    return refused(decision, Fault(Reason.TOO_LARGE, "", message), where, known)


def clean(decision: Decision, place: Place) -> bytes:
    """Return the clean event's value, the payload byte for byte."""
    event = decision.event
    delivery = event.delivery
    meta, source = delivery.meta, delivery.source
    if meta is None or source is None:
        raise ValueError("only an event of a known source can be clean")
    received_at = rfc3339(meta.received_at_us)
    in_payload = event.event_time_us != meta.received_at_us
    return event_wire.encode(
        event_wire.Event(
            event_id=decision.event_id,
            tenant_id=source.tenant,
            platform=source.platform,
            event_type=event.event_type,
            event_time=rfc3339(event.event_time_us) if in_payload else received_at,
            event_time_source=event.event_time_source,
            received_at=received_at,
            source=source.name,
            source_kind=event.source_kind,
            source_identifier=event.source_identifier,
            vendor_event_id=event.vendor_event_id,
            correlation_id=event.correlation_id,
            delivery_id=meta.delivery_id,
            schema=decision.schema,
            auth_coverage=event.item.coverage or meta.auth.coverage,
            position=place.position(delivery.record.offset, event.item.number),
            envelope=event.item.envelope,
            payload=event.item.payload,
        )
    )


def _quarantine(decision: Decision, place: Place, now_us: int, kind: str, row: Position | None = None) -> Record:
    event = decision.event
    delivery = event.delivery
    meta, source = delivery.meta, delivery.source
    own = place.position(delivery.record.offset, event.item.number)
    resolved = kind == RESOLVED
    fault = decision.fault or Fault(Reason.BAD_RECORD, "", "")

    def make(payload: bytes, message: str) -> bytes:
        return quarantine_wire.encode(
            Quarantine(
                kind=kind,
                event_id=decision.event_id,
                tenant_id=place.raw.tenant,
                platform=place.raw.target,
                source="" if source is None else source.name,
                source_id="" if meta is None else clean_text(meta.source_id),
                source_kind=event.source_kind or f"webhook.{place.raw.target}",
                event_type=event.event_type,
                vendor_event_id=event.vendor_event_id,
                delivery_id="" if meta is None else clean_text(meta.delivery_id),
                received_at_us=_received(decision),
                decided_at_us=now_us,
                position=row or own,
                reason="" if resolved else fault.reason,
                pointer="" if resolved else clean_text(fault.pointer),
                message=message,
                schema=decision.schema,
                content_type=_content_type(decision),
                auth_coverage="none" if meta is None else event.item.coverage or clean_text(meta.auth.coverage),
                payload=payload,
                by=(decision.of or own) if resolved else None,
            )
        )

    message = "" if resolved else clean_text(fault.message)
    payload = b"" if resolved else event.item.payload
    value = _bounded(make, payload, message, own, place.limits.quarantine)
    return Record(place.quarantine, place.partition, decision.event_id.encode(), value)


def _bounded(make: Callable[[bytes, str], bytes], payload: bytes, message: str, own: Position, limit: int) -> bytes:
    """Return the value; without the payload, which stays in the raw topic, when it would not fit."""
    if len(payload) + OVERHEAD <= limit:
        value = make(payload, message)
        if len(value) + OVERHEAD <= limit:
            return value
    return make(b"", f"{message} {left_out(len(payload), own)}"[: 2 * MAX_TEXT])


def _received(decision: Decision) -> int:
    delivery = decision.event.delivery
    if delivery.meta is not None:
        return delivery.meta.received_at_us
    return max(0, min(delivery.record.timestamp_ms * 1000, MAX_TIME_US - 1))


def _content_type(decision: Decision) -> str | None:
    found = decision.event.delivery.headers.get("content-type")
    return None if found is None else clean_text(found)
