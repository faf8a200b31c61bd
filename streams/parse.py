"""Raw record -> delivery: headers read, body read by its content type, split into items. Total: a fault is a value.

Lives here: content types and the bounds on nesting. Not here: what an item says of itself (identify.py).
Pure: no Kafka, no disk, no clock. Parse rules: spec section 7.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import orjson

from schemas.errors import Poison
from schemas.reasons import Reason
from schemas.wire import raw
from schemas.wire.raw import RawMeta, RawRecord
from streams.sources import Source, Sources
from streams.split import Item, split
from streams.texts import Path

MAX_DEPTH = 100
MAX_TIME_US = 253_402_300_800_000_000
_JSON = "application/json"
_SHORT = 4_096
_WRITTEN_DEPTH = 254
"""orjson writes containers nested so deep and no deeper: https://github.com/ijl/orjson#serialize"""


class Fault(NamedTuple):
    """Why something cannot become a row: reason, JSON pointer, message for people."""

    reason: Reason
    pointer: str
    message: str


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One raw record as the stage reads it; `time_ms` is partition time: the running maximum of broker time (rule 3).

    `meta` None: the headers cannot be read. `source` None: nobody knows the source. With a `fault` there are no items.
    """

    record: RawRecord
    time_ms: int
    meta: RawMeta | None
    source: Source | None
    headers: Mapping[str, str]
    items: tuple[Item, ...]
    fault: Fault | None


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
        kind = source.content_type or headers.get("content-type")
        items = read_body(record.value, kind, source.split, first_covered=first)
    except Poison as exc:
        fault = Fault(exc.reason, exc.pointer, exc.message)
        return Delivery(record, time_ms, meta, source, headers, (), fault)
    return Delivery(record, time_ms, meta, source, headers, items, None)


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


def read_body(
    body: bytes, content_type: str | None, paths: tuple[Path, ...] = (), *, first_covered: bool = False
) -> tuple[Item, ...]:
    """Return the items of a body (split.py); raise `Poison` with the reason when it has none that can be read."""
    if not is_json(content_type):
        raise Poison(Reason.UNSUPPORTED_CONTENT_TYPE, f"no parser for content type {(content_type or '')[:100]!r}")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise _unreadable(body, exc) from None
    if deeper_than(body, value, MAX_DEPTH):
        raise Poison(Reason.TOO_DEEP, f"the JSON nests deeper than {MAX_DEPTH}")
    try:
        return split(body, value, paths, first_covered=first_covered)
    except ValueError as exc:
        raise Poison(Reason.NOT_PARSEABLE, str(exc)[:300]) from None


@lru_cache(maxsize=256)
def is_json(content_type: str | None) -> bool:
    """Tell whether a content type means JSON; an absent one does."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    return kind in ("", _JSON) or kind.endswith("+json")


def deeper_than(body: bytes, value: Any, depth: int) -> bool:  # noqa: ANN401 JSON
    """Tell whether `value`, whose text is `body`, nests deeper than `depth` containers.

    Short texts are told by their brackets; others are written inside so many lists that orjson's own bound decides.
    """
    if len(body) < _SHORT and body.count(b"{") + body.count(b"[") <= depth:
        return False
    wrapped = value
    for _ in range(_WRITTEN_DEPTH - depth):
        wrapped = [wrapped]
    try:
        orjson.dumps(wrapped)
    except orjson.JSONEncodeError:
        return True
    return False


def first_values(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by lower-case name; the first value wins."""
    found: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        if key not in found:
            found[key] = value
    return found


def _unreadable(body: bytes, exc: orjson.JSONDecodeError) -> Poison:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as wrong:
        return Poison(Reason.NOT_UTF8, f"the body is not UTF-8 at byte {wrong.start}")
    return Poison(Reason.NOT_PARSEABLE, f"the body is not JSON: {exc.msg} (byte {exc.pos})"[:300])
