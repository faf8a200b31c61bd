"""What a batch tells of traced requests: its span, and the header by which a table's commit finds it.

Lives here: the span of a batch, records with headers. One without is a plain `Record`; where traces are off there is no
other. The events' JSON is the same, traced or not.
https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from schemas.tracing import Seen, Tracer, is_sampled
from schemas.wire.raw import HB_TRACEPARENT
from streams.emit import Decided, Place, Record

NAME = "hookberg.batch"
Header = tuple[str, bytes]


class Headed(Record):
    """A record with Kafka headers."""

    headers: tuple[Header, ...] = ()


def trace(
    tracer: Tracer, place: Place, decided: Sequence[Decided], began: float
) -> tuple[list[Record], Callable[[], None]] | None:
    """Return a batch's records, those of traced deliveries with its span as header, and what ends that span.

    None: nothing in it is traced. The span ends when its transaction is committed: who reads committed sees it then.
    """
    seen = Seen()
    for one in decided:
        seen.add(_context(one))
    contexts = seen.take()
    if not contexts:
        return None
    span = tracer.linked(NAME, contexts, began)
    headers = ((HB_TRACEPARENT, tracer.header(span).encode()),)
    records: list[Record] = []
    for one in decided:
        context = _context(one)
        if context is None or not is_sampled(context):
            records.extend(one.records)
        else:
            records.extend([_headed(record, headers) for record in one.records])
    attributes: dict[str, str | int] = {
        "messaging.destination.name": str(place.raw),
        "messaging.destination.partition": place.partition,
        "messaging.batch.message_count": len(decided),
        "hookberg.tenant": place.raw.tenant,
        "hookberg.traced": len(contexts),
        "hookberg.offset": decided[0].decision.event.delivery.record.offset,
    }
    return records, lambda: tracer.end(span, attributes)


def produce(send: Callable[..., Any], records: Iterable[Record]) -> None:
    """Produce records with the headers that they have, if any."""
    for record in records:
        topic, partition, key, value = record
        headers = getattr(record, "headers", None)
        if headers:
            send(topic, value, key, partition, headers=list(headers))
        else:
            send(topic, value, key, partition)


def _context(one: Decided) -> str | None:
    meta = one.decision.event.delivery.meta
    return None if meta is None else meta.traceparent


def _headed(record: Record, headers: tuple[Header, ...]) -> Headed:
    made = Headed(*record)
    made.headers = headers
    return made
