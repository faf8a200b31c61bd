"""Item -> event: which event it is, of what type and time, and what its content is (spec section 7).

Lives here: where an id comes from, in order. Not here: whether it was seen (decide.py) and what vendors say (vendors/).
Pure and total. Event ids: schemas/ids.py; rule 4 for `hb-event-id`, rule 16 for a body without an id.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec
import orjson

from schemas import ids
from schemas.ids import IdKind
from schemas.reasons import Reason
from schemas.vendors.base import Facts, Vendor
from schemas.vendors.cloudevents import CLOUDEVENTS
from schemas.vendors.generic import GENERIC
from schemas.wire.raw import NOTHING_SAID, Overrides, RawMeta
from streams import seen
from streams.parse import MAX_TIME_US, Delivery, Fault
from streams.shapes import numbers
from streams.sources import Source
from streams.split import Item
from streams.texts import at, clean_text, scalar, without

PAYLOAD = "payload"
RECEIVED = "received"
MAX_TYPE = 256
_WEAK = "x-request-id"
_CORRELATION = ("x-correlation-id", "x-request-id")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
"""https://www.w3.org/TR/trace-context/#traceparent-header"""
_NOT_SAID = Facts(event_type=None)
_TYPES = ("event", "type", "action")
_NAMED = (IdKind.VENDOR, IdKind.EXPLICIT)


class Event(msgspec.Struct, frozen=True, gc=False):
    """One item with its identity; `fault` when it cannot become a row whatever its schema says.

    `id_text` is what `event_id` was derived from, `key` where the state of the id stands (seen.py); times in µs since
    the epoch; `fingerprint` 8 bytes.
    """

    delivery: Delivery
    item: Item
    event_id: str
    key: bytes
    kind: IdKind
    id_text: str
    vendor_event_id: str | None
    event_type: str
    event_time_us: int
    event_time_source: str
    source_kind: str
    source_identifier: str
    correlation_id: str | None
    fingerprint: bytes
    control: bool
    fault: Fault | None


def identify(deliveries: Iterable[Delivery], adapter: Callable[[str], Vendor], topic_id: str) -> Iterator[Event]:
    """Return the events of deliveries in order; a delivery that cannot be read is one event with a fault.

    Of a redrive the items that it names are events and no others (rule 16), those that cannot be read any more as well.
    """
    for delivery in deliveries:
        meta, source = delivery.meta, delivery.source
        if meta is None or source is None or delivery.fault is not None or not delivery.items:
            if meta is not None and meta.redrive is not None and meta.redrive.items:
                yield from _missing(delivery, topic_id, meta.redrive.items)
            else:
                yield _whole(delivery, topic_id)
            continue
        vendor = _vendor(adapter(source.platform), delivery)
        batch = len(delivery.items) > 1 or delivery.record.value.lstrip()[:1] == b"["
        shared = vendor.facts({}, delivery.headers).vendor_event_id if batch else None
        wanted = None if meta.redrive is None or not meta.redrive.items else frozenset(meta.redrive.items)
        for item in delivery.items:
            if wanted is None or item.number in wanted:
                yield _event(delivery, meta, source, vendor, item, shared, batch)
        if wanted is not None:
            yield from _missing(delivery, topic_id, (n for n in sorted(wanted) if n >= len(delivery.items)))


def _vendor(own: Vendor, delivery: Delivery) -> Vendor:
    """Return who says what items are: a sender of no vendor of its own may send CloudEvents."""
    return CLOUDEVENTS if delivery.cloudevent and own.name == GENERIC.name else own


def _event(
    delivery: Delivery, meta: RawMeta, source: Source, vendor: Vendor, item: Item, shared: str | None, batch: bool
) -> Event:
    value, said, headers = item.value, meta.overrides, delivery.headers
    if isinstance(value, dict):
        facts, fault = vendor.facts(value, headers), None
        if item.outer is not None and vendor.within is not None:
            facts = vendor.within(facts, item.outer)
    else:
        facts, fault = _NOT_SAID, item.fault
        if fault is None:
            fault = Fault(Reason.NOT_AN_OBJECT, "", f"the item is a JSON {_json_type(value)}, not an object")
    canonical = _canonical(item, vendor.volatile)
    print_ = fingerprint(canonical)
    kind, text = _identity(delivery, meta, source, vendor, facts, item, canonical, shared, batch)
    event_id = ids.event_id(meta.source_id, kind, text)
    if meta.redrive is not None and meta.redrive.as_distinct:
        event_id, text = _as_distinct(meta.source_id, kind, text, print_, meta.redrive.named(item.number))
    event_time, time_source = meta.received_at_us, RECEIVED
    if facts.event_time_ms is not None and 0 <= facts.event_time_ms * 1000 < MAX_TIME_US:
        event_time, time_source = facts.event_time_ms * 1000, PAYLOAD
    own_type = clean_text(said.event_type or facts.event_type or _fallback_type(value), MAX_TYPE)
    return Event(
        delivery,
        item,
        event_id,
        seen.key(meta.source_id, event_id),
        kind,
        text,
        clean_text(text) if kind in _NAMED else None,
        own_type,
        event_time,
        time_source,
        _source_kind(said, source),
        _source_identifier(said, source, facts, value),
        _correlation(facts, headers),
        print_,
        own_type in vendor.control,
        fault,
    )


def _missing(delivery: Delivery, topic_id: str, numbers: Iterable[int]) -> Iterator[Event]:
    """Return the items that a redrive names and that are not there: they have no bytes of their own."""
    whole = None
    for number in numbers:
        whole = whole or _whole(delivery, topic_id)
        yield msgspec.structs.replace(whole, item=Item(number, b"", None))


def _whole(delivery: Delivery, topic_id: str) -> Event:
    """Make the one event of a delivery without items: unreadable, empty or shed."""
    meta, record, source = delivery.meta, delivery.record, delivery.source
    item = Item(0, record.value, None)
    if meta is None:
        source_id, kind, text = "", IdKind.DELIVERY, f"{topic_id}/{record.partition}/{record.offset}"
    elif meta.event_id is not None or meta.overrides.dedupe_key is not None:
        source_id, kind, text = meta.source_id, *_given(meta)
    else:
        source_id, kind, text = meta.source_id, IdKind.DELIVERY, f"{meta.delivery_id}:0"
    print_ = fingerprint(record.value)
    event_id = ids.event_id(source_id, kind, text)
    if meta is not None and meta.redrive is not None and meta.redrive.as_distinct:
        event_id, text = _as_distinct(source_id, kind, text, print_, meta.redrive.named(0))
    received = record.timestamp_ms * 1000 if meta is None else meta.received_at_us
    said = NOTHING_SAID if meta is None else meta.overrides
    return Event(
        delivery=delivery,
        item=item,
        event_id=event_id,
        key=seen.key(source_id, event_id),
        kind=kind,
        id_text=text,
        vendor_event_id=clean_text(text) if kind in _NAMED else None,
        event_type=clean_text(said.event_type or RECEIVED, MAX_TYPE),
        event_time_us=max(0, min(received, MAX_TIME_US - 1)),
        event_time_source=RECEIVED,
        source_kind="" if meta is None else _source_kind(said, source),
        source_identifier="",
        correlation_id=None,
        fingerprint=print_,
        control=False,
        fault=delivery.fault,
    )


def _identity(  # noqa: PLR0911 one line for each place an id comes from
    delivery: Delivery,
    meta: RawMeta,
    source: Source,
    vendor: Vendor,
    facts: Facts,
    item: Item,
    canonical: bytes,
    shared: str | None,
    batch: bool,
) -> tuple[IdKind, str]:
    """Return where the id comes from and its text: the first of the list in spec section 7 that is there.

    An id that stands for the delivery names the item of a batch together with its index.
    """
    item_of = f":{item.number}" if batch else ""
    headers = delivery.headers
    if (source.partitioning == "event" and meta.event_id is not None) or meta.overrides.dedupe_key:
        kind, text = _given(meta)
        return kind, text + item_of
    if facts.vendor_event_id is not None:
        own = facts.vendor_event_id != shared
        return IdKind.VENDOR, facts.vendor_event_id if own else facts.vendor_event_id + item_of
    if source.dedupe_path is not None and (found := at(item.value, source.dedupe_path)) is not None:
        return IdKind.EXPLICIT, found
    if strong := headers.get("x-webhook-id"):
        return IdKind.EXPLICIT, strong + item_of
    if weak := headers.get(_WEAK):
        return IdKind.WEAK, f"{weak}:{_digest(canonical)}"
    if (source.fallback or vendor.dedupe_fallback) == "bodyHash":
        return IdKind.HASH, _digest(canonical)
    return IdKind.DELIVERY, f"{meta.delivery_id}:{item.number}"


def _given(meta: RawMeta) -> tuple[IdKind, str]:
    key = meta.overrides.dedupe_key
    if meta.event_id is not None and meta.event_id != key:
        return IdKind.VENDOR, meta.event_id
    return IdKind.EXPLICIT, key or ""


def _as_distinct(source_id: str, kind: IdKind, text: str, print_: bytes, named: str | None) -> tuple[str, str]:
    """Return id and text of an item redriven as distinct; its plain ones when that is how it is in quarantine."""
    own = distinct(text, print_)
    event_id = ids.event_id(source_id, kind, own)
    return (event_id, own) if named in (None, event_id) else (ids.event_id(source_id, kind, text), text)


def _canonical(item: Item, volatile: tuple[str, ...]) -> bytes:
    """Return an item's content in one spelling, without what changes from copy to copy; what is unreadable as sent."""
    if item.fault is not None:
        return item.payload
    value = numbers.spelled(item.payload) if item.odd else item.value
    return orjson.dumps(without(value, volatile) if volatile else value, option=orjson.OPT_SORT_KEYS)


def distinct(id_text: str, print_: bytes) -> str:
    """Return the id of a second content under one vendor id: `id#fingerprint` (rule 16)."""
    return f"{id_text}#{print_.hex()}"


def fingerprint(canonical: bytes) -> bytes:
    """Return the 8-byte BLAKE2b of canonical JSON (rule 12)."""
    return hashlib.blake2b(canonical, digest_size=8).digest()


def _digest(canonical: bytes) -> str:
    return hashlib.blake2b(canonical, digest_size=16).hexdigest()


def _fallback_type(value: Any) -> str:  # noqa: ANN401 JSON
    if isinstance(value, dict):
        for name in _TYPES:
            said = value.get(name)
            if isinstance(said, str) and said:
                return said
    return RECEIVED


def _source_kind(said: Overrides, source: Source | None) -> str:
    if said.source:
        return clean_text(f"webhook.{said.source}")
    return "webhook." if source is None else source.kind


def _source_identifier(said: Overrides, source: Source, facts: Facts, value: Any) -> str:  # noqa: ANN401 JSON
    own = said.source_identifier or said.dedupe_key or facts.source_identifier
    if not own and isinstance(value, dict):
        own = scalar(value.get("id"))
    if own:
        return clean_text(own)
    return clean_text(f"{said.source}:{source.tenant}") if said.source else source.identifier


def _correlation(facts: Facts, headers: Mapping[str, str]) -> str | None:
    """Return what ties an event to others: what the vendor names, else the headers, else the sender's own trace."""
    found = facts.correlation_id or next((headers[name] for name in _CORRELATION if headers.get(name)), None)
    if found is None and (trace := _TRACEPARENT.fullmatch(headers.get("traceparent", ""))):
        found = trace[1]
    return clean_text(found) if found else None


def _json_type(value: Any) -> str:  # noqa: ANN401 JSON
    names = {list: "array", str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names.get(type(value), "value")
