"""Raw record -> delivery: headers read, body read and split into items. Total: a fault is a value.

Lives here: what a raw record says. Not here: the shapes of bodies (shapes/), what an item says of itself (identify.py).
Pure: no Kafka, no disk, no clock. Parse rules: spec section 7.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from schemas.errors import Poison
from schemas.reasons import Reason
from schemas.wire import raw
from schemas.wire.raw import RawMeta, RawRecord
from streams.shapes import cloudevents
from streams.shapes.read import IN_BODY, read
from streams.sources import Source, Sources
from streams.split import Fault, Item

__all__ = ["MAX_TIME_US", "Delivery", "Fault", "delivery", "first_values", "parse", "unread"]
MAX_TIME_US = 253_402_300_800_000_000


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One raw record as the stage reads it; `time_ms` is partition time: the running maximum of broker time (rule 3).

    `meta` None: the headers cannot be read. `source` None: nobody knows the source. With a `fault` there are no items.
    `cloudevent`: the items are CloudEvents by the sender's own word.
    """

    record: RawRecord
    time_ms: int
    meta: RawMeta | None
    source: Source | None
    headers: Mapping[str, str]
    items: tuple[Item, ...]
    fault: Fault | None
    cloudevent: bool = False


def parse(records: Iterable[RawRecord], sources: Sources, time_ms: int) -> Iterator[Delivery]:
    """Read records of one partition in order; `time_ms` is partition time before the first of them."""
    for record in records:
        time_ms = max(time_ms, record.timestamp_ms)
        yield delivery(record, sources, time_ms)


def delivery(record: RawRecord, sources: Sources, time_ms: int) -> Delivery:
    """Read one record; never raises on what a sender or a producer may have written."""
    try:
        meta = _meta(record)
    except (Poison, ValueError, TypeError) as exc:
        fault = Fault(Reason.BAD_RECORD, "", str(exc))
        return Delivery(record, time_ms, None, None, {}, (), fault)
    headers = first_values(meta.headers)
    source = sources.get(meta.source_id)
    if source is None:
        fault = Fault(Reason.BAD_RECORD, "", f"no source has the id {meta.source_id[:64]!r}")
        return Delivery(record, time_ms, meta, None, headers, (), fault)
    if meta.shed is not None:
        return Delivery(record, time_ms, meta, source, headers, (), None)
    try:
        first = source.first_item_signed and meta.auth.coverage == "partial"
        items, cloudevent = read(record.value, headers, source.how, first)
    except Poison as exc:
        fault = Fault(exc.reason, exc.pointer, exc.message)
        return Delivery(record, time_ms, meta, source, headers, (), fault)
    if cloudevent == IN_BODY:
        headers = cloudevents.without_attributes(headers)
    return Delivery(record, time_ms, meta, source, headers, items, None, cloudevent is not None)


def unread(record: RawRecord, sources: Sources, time_ms: int, fault: Fault) -> Delivery:
    """Return the delivery of a record whose body must not be looked at, with the fault that says why."""
    try:
        meta = _meta(record)
    except (Poison, ValueError, TypeError):
        return Delivery(record, time_ms, None, None, {}, (), fault)
    return Delivery(record, time_ms, meta, sources.get(meta.source_id), first_values(meta.headers), (), fault)


def _meta(record: RawRecord) -> RawMeta:
    meta = raw.decode(record.headers)
    if not 0 <= meta.received_at_us < MAX_TIME_US:
        raise Poison(Reason.BAD_RECORD, "hb-received-at is not a time")
    return meta


def first_values(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by lower-case name; the first value wins."""
    found: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        if key not in found:
            found[key] = value
    return found
