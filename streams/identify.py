"""Item -> event: which event it is, of what type and time, and what its content is (spec section 7).

Lives here: where an id comes from, in order. Not here: whether it was seen (decide.py) and what vendors say (vendors/).
Pure and total. Event ids: schemas/ids.py; rule 4 for `hb-event-id`, rule 16 for a body without an id.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from schemas import ids
from schemas.definitions.view import SourceView
from schemas.ids import IdKind
from schemas.reasons import Reason
from schemas.vendors.base import Facts, Vendor
from schemas.wire.raw import RawMeta
from streams.parse import MAX_TIME_US, Delivery, Fault
from streams.split import Item

PAYLOAD = "payload"
RECEIVED = "received"
MAX_TYPE = 256
MAX_TEXT = 1024
_WEAK = ("x-request-id", "x-correlation-id")
_NOT_SAID = Facts(event_type=None)
_TYPES = ("event", "type", "action")


class Event(NamedTuple):
    """One item with its identity; `fault` when it cannot become a row whatever its schema says.

    `id_text` is what `event_id` was derived from; times in µs since the epoch; `fingerprint` 8 bytes.
    """

    delivery: Delivery
    item: Item
    event_id: str
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

    Of a redrive only the items that it names are events (rule 16).
    """
    for delivery in deliveries:
        meta, source = delivery.meta, delivery.source
        if meta is None or source is None or delivery.fault is not None or not delivery.items:
            yield _whole(delivery, topic_id)
            continue
        vendor = adapter(source.platform)
        batch = len(delivery.items) > 1 or delivery.record.value.lstrip()[:1] == b"["
        shared = vendor.facts({}, delivery.headers).vendor_event_id if batch else None
        wanted = None if meta.redrive is None else frozenset(meta.redrive.items)
        for item in delivery.items:
            if wanted is None or item.number in wanted:
                yield _event(delivery, meta, source, vendor, item, shared if batch else None, batch=batch)


def _event(
    delivery: Delivery,
    meta: RawMeta,
    source: SourceView,
    vendor: Vendor,
    item: Item,
    shared: str | None,
    *,
    batch: bool,
) -> Event:
    value = item.value
    fault = None
    facts = _NOT_SAID
    if isinstance(value, dict):
        facts = vendor.facts(value, delivery.headers)
    else:
        fault = Fault(Reason.NOT_AN_OBJECT, "", f"the item is a JSON {_json_type(value)}, not an object")
    canonical = orjson.dumps(without(value, vendor.volatile), option=orjson.OPT_SORT_KEYS)
    said = meta.overrides
    kind, text = _identity(delivery, meta, source, vendor, facts, item, canonical, shared, batch=batch)
    event_id = ids.event_id(meta.source_id, kind, text)
    if meta.redrive is not None and meta.redrive.as_distinct:
        text = distinct(text, fingerprint(canonical))
        event_id = ids.event_id(meta.source_id, kind, text)
    event_time, time_source = meta.received_at_us, RECEIVED
    if facts.event_time_ms is not None and 0 <= facts.event_time_ms * 1000 < MAX_TIME_US:
        event_time, time_source = facts.event_time_ms * 1000, PAYLOAD
    own_type = clean_text(said.event_type or facts.event_type or _fallback_type(value), MAX_TYPE)
    return Event(
        delivery=delivery,
        item=item,
        event_id=event_id,
        kind=kind,
        id_text=text,
        vendor_event_id=clean_text(text) if kind in (IdKind.VENDOR, IdKind.EXPLICIT) else None,
        event_type=own_type,
        event_time_us=event_time,
        event_time_source=time_source,
        source_kind=_source_kind(meta, source.platform),
        source_identifier=_source_identifier(meta, source, facts, value),
        correlation_id=_correlation(facts, delivery.headers),
        fingerprint=fingerprint(canonical),
        control=own_type in vendor.control,
        fault=fault,
    )


def _whole(delivery: Delivery, topic_id: str) -> Event:
    """Make the one event of a delivery without items: unreadable, empty or shed."""
    meta, record = delivery.meta, delivery.record
    item = Item(0, record.value, None)
    if meta is None:
        source_id, kind, text = "", IdKind.DELIVERY, f"{topic_id}/{record.partition}/{record.offset}"
    elif meta.event_id is not None or meta.overrides.dedupe_key is not None:
        source_id, kind, text = meta.source_id, *_given(meta)
    else:
        source_id, kind, text = meta.source_id, IdKind.DELIVERY, f"{meta.delivery_id}:0"
    print_ = fingerprint(record.value)
    if meta is not None and meta.redrive is not None and meta.redrive.as_distinct:
        text = distinct(text, print_)
    received = record.timestamp_ms * 1000 if meta is None else meta.received_at_us
    said = None if meta is None else meta.overrides.event_type
    platform = "" if delivery.source is None else delivery.source.platform
    return Event(
        delivery=delivery,
        item=item,
        event_id=ids.event_id(source_id, kind, text),
        kind=kind,
        id_text=text,
        vendor_event_id=clean_text(text) if kind in (IdKind.VENDOR, IdKind.EXPLICIT) else None,
        event_type=clean_text(said or RECEIVED, MAX_TYPE),
        event_time_us=max(0, min(received, MAX_TIME_US - 1)),
        event_time_source=RECEIVED,
        source_kind="" if meta is None else _source_kind(meta, platform),
        source_identifier="",
        correlation_id=None,
        fingerprint=print_,
        control=False,
        fault=delivery.fault,
    )


def _identity(  # noqa: PLR0911 one line for each place an id comes from
    delivery: Delivery,
    meta: RawMeta,
    source: SourceView,
    vendor: Vendor,
    facts: Facts,
    item: Item,
    canonical: bytes,
    shared: str | None,
    *,
    batch: bool,
) -> tuple[IdKind, str]:
    """Return where the id comes from and its text: the first of the list in spec section 7 that is there.

    An id that stands for the delivery names the item of a batch together with its index.
    """
    item_of = f":{item.number}" if batch else ""
    headers, dedupe = delivery.headers, source.definition.dedupe
    if (source.partitioning == "event" and meta.event_id is not None) or meta.overrides.dedupe_key:
        kind, text = _given(meta)
        return kind, text + item_of
    if facts.vendor_event_id is not None:
        own = facts.vendor_event_id != shared
        return IdKind.VENDOR, facts.vendor_event_id if own else facts.vendor_event_id + item_of
    if dedupe.path is not None and (found := at(item.value, dedupe.path)) is not None:
        return IdKind.EXPLICIT, found
    if strong := headers.get("x-webhook-id"):
        return IdKind.EXPLICIT, strong + item_of
    if weak := next((headers[name] for name in _WEAK if headers.get(name)), None):
        return IdKind.WEAK, f"{weak}:{_digest(canonical)}"
    if (dedupe.fallback or vendor.dedupe_fallback) == "bodyHash":
        return IdKind.HASH, _digest(canonical)
    return IdKind.DELIVERY, f"{meta.delivery_id}:{item.number}"


def _given(meta: RawMeta) -> tuple[IdKind, str]:
    key = meta.overrides.dedupe_key
    if meta.event_id is not None and meta.event_id != key:
        return IdKind.VENDOR, meta.event_id
    return IdKind.EXPLICIT, key or ""


def distinct(id_text: str, print_: bytes) -> str:
    """Return the id of a second content under one vendor id: `id#fingerprint` (rule 16)."""
    return f"{id_text}#{print_.hex()}"


def fingerprint(canonical: bytes) -> bytes:
    """Return the 8-byte BLAKE2b of canonical JSON (rule 12)."""
    return hashlib.blake2b(canonical, digest_size=8).digest()


def _digest(canonical: bytes) -> str:
    return hashlib.blake2b(canonical, digest_size=16).hexdigest()


def without(value: Any, pointers: tuple[str, ...]) -> Any:  # noqa: ANN401 JSON
    """Return `value` without the members that the JSON pointers name; copies only along their paths."""
    for pointer in pointers:
        value = _without(value, [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]])
    return value


def _without(value: Any, path: list[str]) -> Any:  # noqa: ANN401 JSON
    if not path or not isinstance(value, dict) or path[0] not in value:
        return value
    copy = dict(value)
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = _without(copy[path[0]], path[1:])
    return copy


def at(value: Any, pointer: str) -> str | None:  # noqa: ANN401 JSON
    """Return the text or integer at a JSON pointer (RFC 6901), None for anything else."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and len(name) < 9 and int(name) < len(value):  # noqa: PLR2004
            value = value[int(name)]
        else:
            return None
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return None
    return str(value)


def clean_text(text: str, limit: int = MAX_TEXT) -> str:
    """Return text that any encoder takes: at most `limit` characters, lone surrogates written as escapes."""
    text = text[:limit]
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _fallback_type(value: Any) -> str:  # noqa: ANN401 JSON
    if isinstance(value, dict):
        for name in _TYPES:
            said = value.get(name)
            if isinstance(said, str) and said:
                return said
    return RECEIVED


def _source_kind(meta: RawMeta, platform: str) -> str:
    return clean_text(f"webhook.{meta.overrides.source or platform}")


def _source_identifier(meta: RawMeta, source: SourceView, facts: Facts, value: Any) -> str:  # noqa: ANN401 JSON
    said = meta.overrides
    own = said.source_identifier or facts.source_identifier or said.dedupe_key or at(value, "/id")
    return clean_text(own or f"{said.source or source.platform}:{source.tenant}")


def _correlation(facts: Facts, headers: Mapping[str, str]) -> str | None:
    found = facts.correlation_id or next((headers[name] for name in reversed(_WEAK) if headers.get(name)), None)
    return None if found is None else clean_text(found)


def _json_type(value: Any) -> str:  # noqa: ANN401 JSON
    names = {list: "array", str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names.get(type(value), "value")
