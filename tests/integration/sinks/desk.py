"""A tenant's topics written by hand, as ingress and stage write them, and the reader of deliveries over them.

Lives here: set-up. May not live here: assertions.
"""

import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from confluent_kafka import Message, Producer

from schemas.definitions.source import SourceDefinition
from schemas.definitions.view import Snapshot, SourceView, TopicView
from schemas.ids import uuid7
from schemas.reasons import Outcome
from schemas.topics import Kind
from schemas.wire import event, ledger, quarantine, raw
from schemas.wire.event import Event
from schemas.wire.ledger import Count, Ledger, Other
from schemas.wire.position import Position
from schemas.wire.quarantine import FAILED, RESOLVED, Quarantine
from schemas.wire.raw import AuthResult, RawMeta
from sinks.read.deliveries import Deliveries
from sinks.read.deliveries.budget import Budget
from sinks.read.deliveries.facts import instant
from sinks.source import describe
from tests.house.polling import wait_until
from tests.integration.sinks.world import RealClock, World

PLATFORM = "shop"


@dataclass
class Posted:
    """A raw record as stored."""

    delivery_id: str
    received_us: int
    position: Position


@dataclass
class Transaction:
    """What the stage decided about one range of one raw partition."""

    first: int
    following: int
    partition: int = 0
    cleans: list[tuple[int, int]] = field(default_factory=list)
    others: list[Other] = field(default_factory=list)
    failed: list[tuple[int, int]] = field(default_factory=list)
    resolved: list[tuple[Position, Position]] = field(default_factory=list)


class Desk:
    """One tenant; `reader` reads its deliveries as the API does."""

    def __init__(self, world: World, *, partitioning: str = "event", partitions: int = 1) -> None:
        self.world, self.partitions = world, partitions
        kinds = (Kind.WEBHOOK, Kind.EVENT, Kind.QUARANTINE)
        self.names = {kind: f"{world.tenant}.{kind}.{PLATFORM}" for kind in kinds}
        self.names[Kind.LEDGER] = f"{world.tenant}.ledger"
        for kind, name in self.names.items():
            config = {"message.timestamp.type": "LogAppendTime"} if kind == Kind.WEBHOOK else {}
            world.make_topic(name, partitions, **config)
        self.plain = Producer({**world.kafka, "acks": "all", "linger.ms": 5})
        self.stage = Producer({**world.kafka, "transactional.id": f"{world.tenant}-stage"})
        self.stage.init_transactions(20)
        self.raw_id = self.id_of(Kind.WEBHOOK)
        self.source = str(uuid.uuid4())
        definition = SourceDefinition.model_validate({"platform": PLATFORM, "auth": {"type": "none"}})
        source = SourceView(
            self.source, world.tenant, PLATFORM, "shop", 1, definition, partitioning, partitions,
            self.names[Kind.WEBHOOK], open=True,
        )  # fmt: skip
        views = {
            name: TopicView(name, self.id_of(kind), world.tenant, kind, PLATFORM, partitions, "0", paused=False)
            for kind, name in self.names.items()
        }
        world.view.snapshot = replace(world.view.snapshot, topics=views, sources={self.source: source})
        self.posted: dict[tuple[int, int], Posted] = {}
        self.reader = self.reading()

    def reading(self, **bounds: Any) -> Deliveries:
        """Return a reader with its own bounds."""
        return Deliveries(
            self.world.kafka,
            self.world.catalog,
            self.world.view,
            RealClock(),
            budget=lambda clock: Budget(clock.monotonic, **bounds),
        )

    @property
    def snapshot(self) -> Snapshot:
        return self.world.view.snapshot

    def id_of(self, kind: Kind) -> str:
        name = self.names[kind]
        found = wait_until(lambda: describe(self.world.admin, [name]).get(name), 20, what=name)
        assert found is not None
        return found.id

    # ---- the ingress
    def post(
        self, count: int = 1, *, partition: int = 0, key: str | None = None, age_ms: int = 0, body: bytes = b"{}",
        tenant: str | None = None,
    ) -> list[Posted]:  # fmt: skip
        """Store raw records; `age_ms`: how much older than the broker's time their delivery ids are."""
        made: list[Posted] = []

        def stored(posted: Posted) -> Callable[[Any, Message], None]:
            def report(error: Any, message: Message) -> None:
                assert error is None
                at = Position(self.raw_id, int(message.partition() or 0), int(message.offset() or 0), 0)
                posted.position = at
                self.posted[at.partition, at.offset] = posted

            return report

        for _ in range(count):
            now_us = time.time_ns() // 1000 - age_ms * 1000
            delivery = str(uuid7(now_us // 1000, os.urandom(10)))
            posted = Posted(delivery, now_us, Position("", 0, 0, 0))
            meta = RawMeta(
                delivery, self.source, tenant or self.world.tenant, now_us, "POST", "/in/***", "",
                (("Content-Type", "application/json"), ("Authorization", "***")), AuthResult("github", "full", "s1"),
                event_id=key,
            )  # fmt: skip
            headers: Any = raw.encode(meta)
            record_key = f"{self.source}:{key}" if key else delivery
            self.plain.produce(
                self.names[Kind.WEBHOOK], body, record_key.encode(), partition, on_delivery=stored(posted),
                headers=headers,
            )  # fmt: skip
            self.plain.poll(0)
            made.append(posted)
        assert self.plain.flush(30) == 0
        return made

    # ---- the stage
    def decide(self, *many: Transaction, end: bool | None = True) -> None:
        """Write what was decided in one transaction: committed, aborted (False) or left open (None)."""
        self.stage.begin_transaction()
        for one in many:
            for offset, item in one.cleans:
                self._produce(Kind.EVENT, self.clean(one, offset, item), one.partition, event_id(offset, item))
            for offset, item in one.failed:
                self._produce(Kind.QUARANTINE, self.quarantined(one, offset, item), one.partition, "q")
            for at, by in one.resolved:
                self._produce(Kind.QUARANTINE, self.note(at, by), one.partition, "q")
            self._produce(Kind.LEDGER, self.booked(one), one.partition, "")
        self.stage.flush(20)
        if end:
            self.stage.commit_transaction(20)
        elif end is False:
            self.stage.abort_transaction(20)

    def all_clean(self, first: int, following: int, partition: int = 0) -> Transaction:
        cleans = [(offset, 0) for offset in range(first, following)]
        return Transaction(first, following, partition, cleans)

    def _produce(self, kind: Kind, value: bytes, partition: int, key: str) -> None:
        self.stage.produce(self.names[kind], value, key.encode(), partition)
        self.stage.poll(0)

    def clean(self, one: Transaction, offset: int, item: int) -> bytes:
        posted = self.posted[one.partition, offset]
        received = instant(posted.received_us)
        assert received is not None
        return event.encode(
            Event(
                event_id=event_id(offset, item), tenant_id=self.world.tenant, platform=PLATFORM, event_type="order",
                event_time=received, event_time_source="received", received_at=received, source="shop",
                source_kind="webhook.shop", source_identifier="x", vendor_event_id=f"v{offset}",
                correlation_id=None, delivery_id=posted.delivery_id, schema=None, auth_coverage="full",
                position=Position(self.raw_id, one.partition, offset, item), envelope=None, payload=b'{"n":1}',
            )
        )  # fmt: skip

    def quarantined(self, one: Transaction, offset: int, item: int) -> bytes:
        posted = self.posted[one.partition, offset]
        return quarantine.encode(
            Quarantine(
                kind=FAILED, event_id=event_id(offset, item), tenant_id=self.world.tenant, platform=PLATFORM,
                source="shop", source_id=self.source, source_kind="webhook.shop", event_type="order",
                vendor_event_id=f"v{offset}", delivery_id=posted.delivery_id, received_at_us=posted.received_us,
                decided_at_us=time.time_ns() // 1000, position=Position(self.raw_id, one.partition, offset, item),
                reason="schema_violation", pointer="/amount", message="'x' is not of type integer", schema="order@1",
                content_type="application/json", auth_coverage="full", payload=b'{"amount":"x"}',
            )
        )  # fmt: skip

    def note(self, at: Position, by: Position) -> bytes:
        return quarantine.encode(
            Quarantine(
                kind=RESOLVED, event_id=event_id(at.offset, at.item), tenant_id=self.world.tenant, platform=PLATFORM,
                source="shop", source_id=self.source, source_kind="webhook.shop", event_type="order",
                vendor_event_id=None, delivery_id=self.posted[by.partition, by.offset].delivery_id,
                received_at_us=time.time_ns() // 1000, decided_at_us=time.time_ns() // 1000, position=at, reason="",
                pointer="", message="", schema="order@2", content_type=None, auth_coverage="full", payload=b"", by=by,
            )
        )  # fmt: skip

    def booked(self, one: Transaction) -> bytes:
        counts: Mapping[str, int] = {Outcome.CLEAN.value: len(one.cleans)}
        listed = [Count(self.source, "order", 1, other.outcome, 1) for other in one.others]
        made = [Count(self.source, "order", 1, name, n) for name, n in counts.items() if n]
        return ledger.encode(
            Ledger(
                self.names[Kind.WEBHOOK], self.raw_id, one.partition, one.first, one.following, "0",
                time.time_ns() // 1000, len(one.cleans) + len(one.others), (*made, *listed), tuple(one.others),
            )
        )  # fmt: skip

    def other(self, offset: int, outcome: Outcome, *, item: int = 0, **more: Any) -> Other:
        return Other(offset, item, self.source, outcome.value, more.pop("reason", None), event_id(offset, item), **more)

    # ---- asking
    async def by_id(self, posted: Posted, **more: Any) -> dict[str, Any]:
        return await self.reader.way(self.world.tenant, posted.delivery_id, None, more.get("first", 0), 200)

    async def by_receipt(self, posted: Posted) -> dict[str, Any]:
        at = posted.position
        return await self.reader.way(
            self.world.tenant, posted.delivery_id, (at.topic_id, at.partition, at.offset), 0, 200
        )  # fmt: skip

    async def page(self, limit: int = 50, cursor: str | None = None, **query: str) -> dict[str, Any]:
        return await self.reader.page(self.world.tenant, query, limit, cursor)


def event_id(offset: int, item: int) -> str:
    return str(uuid.UUID(int=(offset << 32) + item + 1))


def ids(posted: Sequence[Posted]) -> list[str]:
    return [one.delivery_id for one in posted]
