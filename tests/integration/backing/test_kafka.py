"""Topics of a real broker: made as the rules say, described, asked for offsets, deleted."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from schemas import topics as names
from schemas.backing.kafka import Topics, client_config
from schemas.backing.kafka.layout import Wanted
from schemas.definitions.auth import Auth
from schemas.definitions.source import Retention, SourceDefinition
from schemas.errors import Refused, Transient
from schemas.reasons import Reason
from schemas.settings.processes import KafkaSettings
from tests.house.polling import free_port, wait_until


@dataclass(frozen=True, slots=True)
class Source:
    """What Topics reads of a source."""

    tenant_id: str
    definition: SourceDefinition
    partitions: int = 3


@pytest.fixture
def settings(kafka_bootstrap: str) -> KafkaSettings:
    return KafkaSettings(
        kafka_bootstrap_servers=kafka_bootstrap, replication_factor=1, min_insync_replicas=2, topic_partitions=3
    )


@pytest.fixture
def topics(settings: KafkaSettings) -> Topics:
    return Topics(settings)


@pytest.fixture
def source(topics: Topics) -> Iterator[Source]:
    definition = SourceDefinition(platform="slack", auth=Auth(type="slack"), retention=Retention(raw_days=3))
    made = Source(f"t{uuid.uuid4().hex[:12]}", definition)
    yield made
    kinds = (names.raw, names.event, names.quarantine)
    topics.delete([kind(made.tenant_id, "slack") for kind in kinds])
    topics.delete([names.ledger(made.tenant_id), names.table(made.tenant_id)])


def configured(settings: KafkaSettings, topic: str) -> dict[str, str]:
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    admin = AdminClient(client_config(settings))
    (future,) = admin.describe_configs([resource]).values()
    return {name: entry.value for name, entry in future.result(10).items()}


def test_a_sources_topics_are_made_with_leaders_clock_retention_and_sizes(
    topics: Topics, settings: KafkaSettings, source: Source
) -> None:
    made = topics.ensure_source_topics(source)
    assert [(t.name, t.kind, t.platform, t.partitions) for t in made[:3]] == [
        (f"{source.tenant_id}.{kind}.slack", kind, "slack", 3) for kind in ("webhook", "event", "quarantine")
    ]
    assert [t.name for t in made[3:]] == [f"{source.tenant_id}.ledger", f"{source.tenant_id}.table"]
    assert all(len(t.topic_id) == 22 for t in made)
    assert topics.ensure_source_topics(source) == made
    raw, event = configured(settings, made[0].name), configured(settings, made[1].name)
    assert raw["message.timestamp.type"] == "LogAppendTime"
    assert event["message.timestamp.type"] == "CreateTime"
    assert (raw["retention.ms"], event["retention.ms"]) == (str(3 * 86_400_000), str(14 * 86_400_000))
    assert raw["max.message.bytes"] == str(settings.body_limit_bytes + (2 << 20))
    assert raw["min.insync.replicas"] == "1"
    found = topics.describe([made[0].name, "no-such-topic"])
    assert {name: (info.topic_id, info.partitions, info.led) for name, info in found.items()} == {
        made[0].name: (made[0].topic_id, 3, True)
    }


def test_refuses_a_topic_of_another_partition_count(topics: Topics, source: Source) -> None:
    topics.ensure_source_topics(source)
    with pytest.raises(Refused, match="3 partitions instead of 5") as caught:
        topics.ensure_source_topics(Source(source.tenant_id, source.definition, 5))
    assert caught.value.reason is Reason.TOPIC_NAME_TAKEN


def test_refuses_a_raw_topic_that_senders_clocks_would_stamp(
    topics: Topics, settings: KafkaSettings, source: Source
) -> None:
    from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

    raw = names.raw(source.tenant_id, "slack")
    admin = AdminClient(client_config(settings))
    admin.create_topics([NewTopic(raw, 3, 1)])[raw].result(10)
    with pytest.raises(Refused, match="LogAppendTime"):
        topics.ensure_source_topics(source)


def test_a_recreated_topic_has_another_id(topics: Topics, source: Source) -> None:
    first = topics.ensure_source_topics(source)[0]
    topics.delete([first.name, first.name])
    wait_until(lambda: not topics.describe([first.name]), 15, what="topic gone")
    topics.delete([first.name])
    assert topics.ensure_source_topics(source)[0].topic_id != first.topic_id


def test_offsets_are_those_that_committed_readers_see(topics: Topics, settings: KafkaSettings, source: Source) -> None:
    clean = topics.ensure_source_topics(source)[1].name
    places = [(clean, 0), (clean, 1)]
    assert topics.offsets(places, "latest") == dict.fromkeys(places, 0)
    producer = Producer({**client_config(settings), "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce(clean, b"a", partition=0, timestamp=1_000)
    producer.commit_transaction(10)
    producer.begin_transaction()
    producer.produce(clean, b"b", partition=0, timestamp=2_000)
    producer.flush(10)
    assert topics.offsets(places, "latest") == {
        (clean, 0): 2,
        (clean, 1): 0,
    }  # record and commit marker, not the open one
    producer.abort_transaction(10)
    assert topics.offsets(places, "earliest") == dict.fromkeys(places, 0)
    assert topics.offsets(places, 500) == dict.fromkeys(places, 0)
    assert topics.offsets([(clean, 1)], 5_000) == {(clean, 1): 0}


def test_tenant_and_cluster_topics_are_made(topics: Topics, settings: KafkaSettings) -> None:
    tenant = f"t{uuid.uuid4().hex[:12]}"
    made = topics.ensure_tenant_topics(tenant)
    assert [(t.name, t.kind) for t in made] == [(f"{tenant}.ledger", "ledger"), (f"{tenant}.table", "table")]
    pressure, ownership = topics.ensure_cluster_topics()
    assert (pressure.name, ownership.name) == (names.PRESSURE, names.OWNERSHIP)
    assert configured(settings, pressure.name)["cleanup.policy"] == "compact"
    topics.delete(t.name for t in made)


def test_a_run_topic_is_made_and_grows_by_the_range_of_a_group(topics: Topics, settings: KafkaSettings) -> None:
    tenant = f"t{uuid.uuid4().hex[:12]}"
    made = topics.ensure_run_topic(tenant, "agent")
    assert (made.name, made.kind, made.platform) == (f"{tenant}.run.agent", "run", "agent")
    assert made.partitions == made.span == settings.topic_partitions
    grown = topics.grow(made, made.span * 2)
    assert (grown.topic_id, grown.partitions, grown.span) == (made.topic_id, made.span * 2, made.span)
    assert topics.grow(made, made.span * 2) == grown
    assert topics.ensure_run_topic(tenant, "agent").partitions == grown.partitions
    topics.delete([made.name])


def test_a_topic_whose_count_decides_nothing_keeps_the_count_it_has(topics: Topics) -> None:
    name = f"_t{uuid.uuid4().hex[:12]}.ownership"
    for wanted in (3, 5):
        [made] = topics.ensure([Wanted(name, "", "ownership", "", wanted, 1)])
        assert made.partitions == 3
    topics.delete([name])


def test_a_broker_that_is_away_may_be_tried_again() -> None:
    away = Topics(KafkaSettings(kafka_bootstrap_servers=f"127.0.0.1:{free_port()}"))
    with pytest.raises(Transient, match="describing"):
        away.describe(["any"])
