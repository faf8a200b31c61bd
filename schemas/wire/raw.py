"""The raw record: the body byte for byte as the value, everything else as Kafka headers (spec section 2).

Any Kafka consumer reads it without our code. Lives here: header names, encode and decode. Not here: what may be kept of
a request's headers (ingress redacts before it encodes). Structs and not dataclasses: millions are made.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec
import orjson

from schemas.errors import Poison
from schemas.reasons import Reason
from schemas.wire.position import Position

VERSION = b"1"
Header = tuple[str, bytes]

HB_VERSION = "hb-version"
HB_DELIVERY_ID = "hb-delivery-id"
HB_SOURCE_ID = "hb-source-id"
HB_TENANT = "hb-tenant"
HB_RECEIVED_AT = "hb-received-at"
HB_METHOD = "hb-method"
HB_PATH = "hb-path"
HB_QUERY = "hb-query"
HB_HEADERS = "hb-headers"
HB_AUTH = "hb-auth"
HB_EVENT_ID = "hb-event-id"
HB_OVERRIDES = "hb-overrides"
HB_TRACEPARENT = "hb-traceparent"
HB_SHED = "hb-shed"
HB_REDRIVE = "hb-redrive"
_VERSION: Header = (HB_VERSION, VERSION)
_NO_QUERY: Header = (HB_QUERY, b"")
SOURCE_AT = 2
"""Where `encode` puts HB_SOURCE_ID among the headers; others may put it elsewhere."""


class AuthResult(msgspec.Struct, frozen=True, gc=False):
    """How the sender proved itself: scheme, `coverage` full|partial|none of the body, id of the secret that matched."""

    scheme: str
    coverage: str
    secret_id: str | None = None


class Overrides(msgspec.Struct, frozen=True, gc=False):
    """What the query of a generic delivery says over its body (InfonChat's parameters); None = not said."""

    source: str | None = None
    event_type: str | None = None
    source_identifier: str | None = None
    dedupe_key: str | None = None


NOTHING_SAID = Overrides()


class Redrive(msgspec.Struct, frozen=True, gc=False):
    """A raw record written by a redrive (rule 16): original position, the job, the items to decide, `as` distinct.

    Items ascend. None: all of the delivery, which could not be read at all. `event_ids`: what these items (or the whole
    delivery) are called in quarantine, in order; empty when the writer does not say.
    """

    topic_id: str
    partition: int
    offset: int
    job: str
    items: tuple[int, ...]
    as_distinct: bool = False
    event_ids: tuple[str, ...] = ()

    def row(self, item: int) -> Position:
        """Return the position that the quarantine row of an item names."""
        return Position(self.topic_id, self.partition, self.offset, item if self.items else 0)

    def named(self, item: int) -> str | None:
        """Return the event id under which an item is in quarantine; None when the header does not say."""
        if not self.event_ids:
            return None
        if not self.items:
            return self.event_ids[0]
        place = bisect_left(self.items, item)
        return self.event_ids[place] if place < len(self.items) and self.items[place] == item else None


class RawMeta(msgspec.Struct, frozen=True, gc=False):
    """All that a raw record's headers say; times in µs since the epoch by the ingress clock."""

    delivery_id: str
    source_id: str
    tenant: str
    received_at_us: int
    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    auth: AuthResult
    event_id: str | None = None
    overrides: Overrides = NOTHING_SAID
    traceparent: str | None = None
    shed: str | None = None
    redrive: Redrive | None = None


class RawRecord(msgspec.Struct, frozen=True, gc=False):
    """One record of a raw topic as read: `timestamp_ms` is the broker's (LogAppendTime, rule 3)."""

    partition: int
    offset: int
    timestamp_ms: int
    value: bytes
    headers: tuple[Header, ...]


class Stencil:
    """The headers of records that agree in source, tenant, method, path and overrides: those are encoded once."""

    __slots__ = ("_method", "_overrides", "_path", "_source", "_tenant")

    def __init__(
        self, source_id: str, tenant: str, method: str, path: str, overrides: Overrides = NOTHING_SAID
    ) -> None:
        self._source: Header = (HB_SOURCE_ID, source_id.encode())
        self._tenant: Header = (HB_TENANT, tenant.encode())
        self._method: Header = (HB_METHOD, method.encode())
        self._path: Header = (HB_PATH, path.encode("utf-8", "surrogateescape"))
        said = _overrides_to_wire(overrides)
        self._overrides: Header | None = (HB_OVERRIDES, orjson.dumps(said)) if said else None

    def fill(
        self,
        delivery_id: str,
        received_at_us: int,
        query: str,
        headers: bytes,
        auth: AuthResult,
        event_id: str | None = None,
        traceparent: str | None = None,
    ) -> list[Header]:
        """Return the Kafka headers of one record, in a fixed order; text is UTF-8, `headers` JSON (RawMeta.headers)."""
        out: list[Header] = [
            _VERSION,
            (HB_DELIVERY_ID, delivery_id.encode()),
            self._source,
            self._tenant,
            (HB_RECEIVED_AT, b"%d" % received_at_us),
            self._method,
            self._path,
            (HB_QUERY, query.encode("utf-8", "surrogateescape")) if query else _NO_QUERY,
            (HB_HEADERS, headers),
            _auth_to_wire(auth),
        ]
        if event_id is not None:
            out.append((HB_EVENT_ID, event_id.encode("utf-8", "surrogateescape")))
        if self._overrides is not None:
            out.append(self._overrides)
        if traceparent is not None:
            out.append((HB_TRACEPARENT, traceparent.encode()))
        return out


def encode(meta: RawMeta) -> list[Header]:
    """Return the Kafka headers of `meta`; whoever writes many records of one source keeps a `Stencil`."""
    stencil = Stencil(meta.source_id, meta.tenant, meta.method, meta.path, meta.overrides)
    out = stencil.fill(
        meta.delivery_id,
        meta.received_at_us,
        meta.query,
        orjson.dumps(meta.headers),
        meta.auth,
        meta.event_id,
        meta.traceparent,
    )
    if meta.shed is not None:
        out.append((HB_SHED, meta.shed.encode()))
    if meta.redrive is not None:
        out.append((HB_REDRIVE, orjson.dumps(_redrive_to_wire(meta.redrive))))
    return out


def redriven(headers: Iterable[tuple[str, bytes | None]], redrive: Redrive) -> list[tuple[str, bytes | None]]:
    """Return the headers of a redrive's record: the original ones as they are, and what is redriven."""
    kept = [(name, value) for name, value in headers if name != HB_REDRIVE]
    return [*kept, (HB_REDRIVE, orjson.dumps(_redrive_to_wire(redrive)))]


def decode(headers: Iterable[tuple[str, bytes | None]]) -> RawMeta:
    """Read a raw record's headers; raise `Poison(bad_record)` when one that must be there is missing or unreadable."""
    found = {name: value or b"" for name, value in headers}
    try:
        if found[HB_VERSION] != VERSION:
            raise Poison(Reason.BAD_RECORD, f"hb-version {found[HB_VERSION][:16]!r} is not known to this release")
        auth = _auth(found[HB_AUTH])
        overrides, redrive = found.get(HB_OVERRIDES), found.get(HB_REDRIVE)
        return RawMeta(
            found[HB_DELIVERY_ID].decode(),
            found[HB_SOURCE_ID].decode(),
            found[HB_TENANT].decode(),
            int(found[HB_RECEIVED_AT]),
            found[HB_METHOD].decode(),
            found[HB_PATH].decode("utf-8", "surrogateescape"),
            found[HB_QUERY].decode("utf-8", "surrogateescape"),
            tuple([(name, value) for name, value in orjson.loads(found[HB_HEADERS])]),
            auth,
            _text(found, HB_EVENT_ID),
            NOTHING_SAID if overrides is None else _overrides_from_wire(orjson.loads(overrides)),
            _text(found, HB_TRACEPARENT),
            _text(found, HB_SHED),
            _redrive_from_wire(orjson.loads(redrive)) if redrive else None,
        )
    except (KeyError, ValueError, TypeError, AttributeError) as exc:
        raise Poison(Reason.BAD_RECORD, f"raw record headers: {type(exc).__name__}: {exc}"[:200]) from exc


@lru_cache(maxsize=256)
def _auth(text: bytes) -> AuthResult:
    """Read how senders proved themselves: a few texts for all records."""
    auth = orjson.loads(text)
    return AuthResult(auth["scheme"], auth["coverage"], auth["secretId"])


@lru_cache(maxsize=1024)
def _auth_to_wire(auth: AuthResult) -> Header:
    """Write how a sender proved itself: a few texts for all records."""
    return HB_AUTH, orjson.dumps({"scheme": auth.scheme, "coverage": auth.coverage, "secretId": auth.secret_id})


def _text(found: Mapping[str, bytes], name: str) -> str | None:
    value = found.get(name)
    return None if value is None else value.decode("utf-8", "surrogateescape")


def _overrides_to_wire(value: Overrides) -> dict[str, str]:
    said = {
        "source": value.source,
        "eventType": value.event_type,
        "sourceIdentifier": value.source_identifier,
        "dedupeKey": value.dedupe_key,
    }
    return {name: text for name, text in said.items() if text is not None}


def _overrides_from_wire(value: dict[str, str]) -> Overrides:
    return Overrides(value.get("source"), value.get("eventType"), value.get("sourceIdentifier"), value.get("dedupeKey"))


def _redrive_to_wire(value: Redrive) -> dict[str, Any]:
    return {
        "topicId": value.topic_id,
        "partition": value.partition,
        "offset": value.offset,
        "job": value.job,
        "items": list(value.items),
        "as": "distinct" if value.as_distinct else None,
        "eventIds": list(value.event_ids),
    }


def _redrive_from_wire(value: dict[str, Any]) -> Redrive:
    items = [int(item) for item in value["items"]]
    event_ids = [str(event_id) for event_id in value.get("eventIds", ())]
    if items and event_ids:
        pairs = sorted(zip(items, event_ids, strict=True))
        items, event_ids = [item for item, _ in pairs], [event_id for _, event_id in pairs]
    return Redrive(
        value["topicId"],
        int(value["partition"]),
        int(value["offset"]),
        value["job"],
        tuple(sorted(items)),
        value.get("as") == "distinct",
        tuple(event_ids),
    )
