"""Feeds of topics on the real broker: where they begin, what they read, what they tell when the log has lost it."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka import admin as kafka_admin

from schemas import topics
from schemas.backing.registry import SYSTEM, Registry, Vault
from schemas.definitions.base import read
from schemas.definitions.notification import Cursor
from schemas.definitions.view import TopicView
from schemas.definitions.webhook import WebhookDefinition
from schemas.errors import Transient
from schemas.wire.table import Advanced, encode
from sinks.notify.feeds import openmetadata, tables
from sinks.notify.feeds.audience import Audience
from sinks.notify.feeds.fed import Fed
from sinks.notify.feeds.topics import Records, TopicsFeed
from sinks.source import describe
from tests.house.polling import wait_until
from tests.integration.sinks.world import NEW_TOPIC, RealClock

SNAPSHOTS = [{"eventType": "entityUpdated", "include": ["snapshot"]}]
TABLE_UUID = str(uuid.UUID(int=1))


@dataclass
class Stage:
    """A registry, topics of its tenants, and a feed that is started and stopped."""

    kafka: dict[str, Any]
    registry: Registry
    lost: list[int] = field(default_factory=list)
    feeds: list[TopicsFeed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.admin = kafka_admin.AdminClient(self.kafka)
        self.producer = Producer({**self.kafka, "acks": "all", "log_level": 0})

    def tenant(self) -> str:
        made = f"q{uuid.uuid4().hex[:8]}"
        self.registry.tenants.create(made, actor=SYSTEM)
        return made

    def topic(self, name: str) -> TopicView:
        self.admin.create_topics([NEW_TOPIC(name, 2, 1)])[name].result(30)
        wait_until(lambda: name in describe(self.admin, [name]), 30, what="the topic is there")
        parts, found = topics.parse(name), describe(self.admin, [name])[name]
        assert parts is not None
        told = TopicView(
            name, found.id, parts.tenant, parts.kind.value, parts.target, found.partitions, "", paused=False
        )
        return self.registry.topics.put(told, actor=SYSTEM)

    def webhook(self, tenant: str, filters: list[dict[str, Any]]) -> str:
        value = {"name": f"w{uuid.uuid4().hex[:8]}", "eventFilters": filters}
        definition = read(WebhookDefinition, {**value, "webhookConfig": {"endpoint": "https://a.example/"}})
        return self.registry.webhooks.create(tenant, definition, actor=SYSTEM).id

    def advance(self, tenant: str, number: int, at_ms: int | None = None) -> None:
        at_ms = at_ms or time.time_ns() // 1_000_000
        record = Advanced(tenant, "s", tenant, "orders", TABLE_UUID, number, at_ms, number, number, 1, None)
        self.producer.produce(topics.table(tenant), encode(record), record.key, 0, timestamp=at_ms)
        self.producer.flush(30)

    def feed(self, told: Any = tables) -> TopicsFeed:
        records = Records(told.FEED, told.listens, told.read, self.lost.append)
        made = TopicsFeed(records, self.registry, Audience(self.registry), self.kafka)
        self.feeds.append(made)
        return made

    def take(self, fed: list[Fed]) -> None:
        """Write the cursors of what was read, as the intake does."""
        lease = self.registry.outbound.acquire("me", 15)
        assert lease is not None
        self.registry.outbound.take_in(lease, [], [each.cursor for each in fed])


@pytest.fixture
def stage(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Stage]:
    registry = Registry(f"sqlite:///{tmp_path}/registry.db", vault=Vault(bytes(range(32))), clock=RealClock())
    registry.migrate()
    made = Stage({"bootstrap.servers": kafka_bootstrap}, registry)
    yield made
    for each in made.feeds:
        each.close()
    registry.close()


def until(feed: TopicsFeed, count: int) -> list[Fed]:
    """Read until so many positions came."""
    found: list[Fed] = []

    def enough() -> bool:
        found.extend(feed.read().fed)
        return len(found) >= count

    wait_until(enough, 30, what=f"{count} positions")
    return found


def versions(fed: list[Fed]) -> list[int]:
    return [each.event.entity["version"] for each in fed if each.event is not None]


def test_the_table_feed_begins_with_the_first_webhook_and_goes_on_at_its_cursors(stage: Stage) -> None:
    tenant = stage.tenant()
    topic = stage.topic(topics.table(tenant))
    stage.advance(tenant, 1, at_ms=time.time_ns() // 1_000_000 - 3_600_000)
    feed = stage.feed()
    assert feed.read().fed == ()
    stage.webhook(tenant, [{"eventType": "entityUpdated"}])
    assert feed.read().fed == ()
    stage.webhook(tenant, SNAPSHOTS)
    stage.advance(tenant, 2)
    stage.advance(tenant, 2)
    stage.producer.produce(topic.name, b"nonsense", b"k", 0)
    stage.advance(tenant, 3)
    first = until(feed, 4)
    assert versions(first) == [2, 3]
    assert [each.cursor.position for each in first] == [2, 3, 4, 5]
    assert {(each.cursor.feed, each.cursor.tenant_id) for each in first} == {(f"topic:{topic.topic_id}:0", tenant)}
    stage.take(first[:3])
    feed.again()
    assert versions(until(feed, 1)) == [3]
    assert versions(until(stage.feed(), 1)) == [3]
    other = stage.tenant()
    stage.topic(topics.table(other))
    stage.webhook(other, SNAPSHOTS)
    stage.advance(other, 7)
    assert [each.event.tenant_id for each in until(feed, 1) if each.event is not None] == [other]


def test_what_a_topic_no_longer_holds_is_told_and_passed_over(stage: Stage) -> None:
    tenant = stage.tenant()
    topic = stage.topic(topics.table(tenant))
    stage.webhook(tenant, SNAPSHOTS)
    for number in range(1, 6):
        stage.advance(tenant, number)
    stage.take([Fed(None, 0, Cursor(f"topic:{topic.topic_id}:0", 1, tenant))])
    stage.admin.delete_records([TopicPartition(topic.name, 0, 3)])
    low = Consumer({**stage.kafka, "group.id": "look"})
    try:
        place = TopicPartition(topic.name, 0)
        wait_until(lambda: low.get_watermark_offsets(place, timeout=10)[0] == 3, 30, what="the records are gone")
    finally:
        low.close()
    fed = until(stage.feed(), 3)
    assert stage.lost == [2]
    assert (fed[0].event, fed[0].cursor.position) == (None, 3)
    assert versions(fed) == [4, 5]


def test_aborted_records_are_not_told_and_openmetadatas_are(stage: Stage) -> None:
    tenant = stage.tenant()
    topic = stage.topic(topics.event(tenant, "openmetadata"))
    stage.webhook(tenant, [{"eventType": "entityCreated"}])
    producer = Producer({**stage.kafka, "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(30)
    for name, ends in (("a", producer.abort_transaction), ("b", producer.commit_transaction)):
        payload = {"eventType": "entityCreated", "entityType": "table", "entityId": name, "id": f"om-{name}"}
        value = {"eventId": name, "receivedAt": "2100-01-01T00:00:00.000Z", "payload": payload}
        producer.begin_transaction()
        producer.produce(topic.name, orjson.dumps(value), b"k", 1)
        ends(30)
    [one] = until(stage.feed(openmetadata), 1)
    assert one.event is not None
    assert (one.event.event_id, one.event.tenant_id) == ("om-b", tenant)


def test_a_broker_that_is_away_is_a_passing_fault(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = stage.tenant()
    stage.registry.topics.put(
        TopicView(topics.table(tenant), "id", tenant, "table", "", 1, "", paused=False), actor=SYSTEM
    )
    stage.webhook(tenant, SNAPSHOTS)
    monkeypatch.setattr("sinks.notify.feeds.topics.REQUEST_S", 0.1)
    stage.kafka = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}
    feed = stage.feed()
    for _ in range(2):
        with pytest.raises(Transient):
            feed.read()
