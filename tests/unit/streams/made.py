"""Sources, records and one partition's worth of deciding, for tests of the pure modules."""

from collections.abc import Mapping
from typing import Any

from schemas.contracts import Library
from schemas.definitions.source import SourceDefinition
from schemas.definitions.view import EMPTY, Snapshot, SourceView
from schemas.topics import Kind, TopicName
from schemas.vendors.base import Facts, Headers, Vendor
from schemas.wire import raw
from schemas.wire.raw import AuthResult, RawMeta, RawRecord
from streams import seen
from streams.decide import Decision, decide
from streams.emit import Decided, Limits, Place, emit
from streams.identify import identify
from streams.parse import parse
from streams.seen import Seen
from streams.sources import Sources

TOPIC_ID = "AAAAAAAAAAAAAAAAAAAAAA"
PLACE = Place(
    TopicName("acme", Kind.WEBHOOK, "shop"), TOPIC_ID, 1, "acme.event.shop", "acme.quarantine.shop",
    Limits(1 << 20, 1 << 20),
)  # fmt: skip
RECEIVED_US = 1_773_828_000_123_000


def facts(item: Mapping[str, Any], headers: Headers) -> Facts:
    own = item.get("id")
    at = item.get("at")
    return Facts(
        event_type=item.get("type") if isinstance(item.get("type"), str) else None,
        vendor_event_id=own if isinstance(own, str) else headers.get("x-shop-id"),
        event_time_ms=at if isinstance(at, int) else None,
    )


VENDOR = Vendor(
    name="shop", title="Shop", docs="", auth=None, facts=facts, control=frozenset({"ping"}), volatile=("/meta/attempt",)
)


def source(partitioning: str = "source", **definition: Any) -> SourceView:
    given = {"platform": "shop", "auth": {"type": "none"}} | definition
    return SourceView(
        id="source-1", tenant="acme", platform="shop", name="shop-main", version=1,
        definition=SourceDefinition.model_validate(given), partitioning=partitioning, partitions=4,
        topic="acme.webhook.shop", open=True,
    )  # fmt: skip


def snapshot(view: SourceView, **schemas: bytes) -> Snapshot:
    texts = {("acme", f"{name}@1"): text for name, text in schemas.items()}
    return Snapshot(1, frozenset({"acme"}), {view.id: view}, {}, {}, {}, {}, {}, texts) if view else EMPTY


def headers(**more: Any) -> tuple[tuple[str, bytes], ...]:
    given: dict[str, Any] = {"headers": (("Content-Type", "application/json"),), "delivery_id": "delivery-1"} | more
    meta = RawMeta(
        source_id=given.pop("source_id", "source-1"), tenant="acme", received_at_us=RECEIVED_US, method="POST",
        path="/", query="", auth=AuthResult("none", "none"), **given,
    )  # fmt: skip
    return tuple(raw.encode(meta))


def record(body: bytes, offset: int = 0, timestamp_ms: int = 1_000, **more: Any) -> RawRecord:
    own = more.pop("raw_headers", None)
    return RawRecord(1, offset, timestamp_ms, body, headers(**more) if own is None else own)


class Partition:
    """Decides records of one partition in order and remembers, as the stage does."""

    def __init__(self, view: SourceView, place: Place = PLACE, **schemas: bytes) -> None:
        self.place = place
        self.snapshot, self.known, self.time_ms = snapshot(view, **schemas), dict[bytes, Seen](), 0
        self.contracts, self.sources = Library(), Sources()

    def decide(self, *records: RawRecord) -> list[Decision]:
        return [one.decision for one in self.emit(*records)]

    def emit(self, *records: RawRecord) -> list[Decided]:
        out = []
        deliveries = parse(records, self.sources.at(self.snapshot.sources), self.time_ms)
        for event in identify(deliveries, lambda _platform: VENDOR, TOPIC_ID):
            self.time_ms = event.delivery.time_ms
            position = self.place.position(event.delivery.record.offset, event.item.number)
            made = decide(event, self.known.get, position, self.snapshot, self.contracts)
            one = emit(made, self.place, 5, self.known.get)
            if one.decision.write is not None:
                self.known[one.decision.key] = Seen.unpack(one.decision.write.pack())
            out.append(one)
        return out


__all__ = ["PLACE", "TOPIC_ID", "Partition", "record", "seen", "source"]
