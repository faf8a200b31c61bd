"""The log in memory keeps Kafka's rules: the suite that a real broker passes, and what only memory can show."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaException, TopicPartition

from tests.simulation.clients import LOST_AFTER, LOST_BEFORE, Consumer, Producer
from tests.simulation.log import Broker, Clock
from tests.simulation.log_rules import RULES, TOPIC, Cluster, Seen


class InMemory:
    """Implements Cluster."""

    def __init__(self) -> None:
        self.broker = Broker(Clock())
        self.broker.create(TOPIC, 2)
        self.names: set[str] = set()

    def producer(self, name: str) -> Producer:
        self.names.add(name)
        return Producer(self.broker, name, lambda _at: None)

    def read(self, partition: int, *, committed: bool = True) -> list[Seen]:
        consumer = self._consumer(committed=committed)
        consumer.assign([TopicPartition(TOPIC, partition, 0)])
        return [Seen(one.offset() or 0, one.value()) for one in consumer.consume(100, 1)]

    def end(self, partition: int, *, committed: bool) -> int:
        return self._consumer(committed=committed).get_watermark_offsets(TopicPartition(TOPIC, partition))[1]

    def _consumer(self, *, committed: bool) -> Consumer:
        for name in self.names:
            self.broker.settle(name)
        config = {
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "auto.offset.reset": "error",
        }
        return Consumer(self.broker, config, lambda _at: None, 100)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_keeps_the_rules_of_a_real_broker(rule: Callable[[Cluster], None]) -> None:
    rule(InMemory())


def committing(cluster: InMemory, *faults: str) -> Producer:
    producer = cluster.producer("p")
    producer.init_transactions(1)
    producer.begin_transaction()
    producer.faults += faults
    producer.produce(TOPIC, b"1", b"k", 0)
    return producer


@pytest.mark.parametrize("fault", [LOST_BEFORE, LOST_AFTER])
def test_a_lost_answer_may_be_asked_for_again(fault: str) -> None:
    cluster = InMemory()
    producer = committing(cluster, fault)
    with pytest.raises(KafkaException) as caught:
        producer.commit_transaction(1)
    assert caught.value.args[0].retriable()
    assert len(cluster.read(0)) == (1 if fault == LOST_AFTER else 0)
    producer.commit_transaction(1)
    assert cluster.read(0) == [Seen(0, b"1")]


def test_markers_reach_partitions_one_by_one() -> None:
    cluster = InMemory()
    producer = committing(cluster)
    producer.produce(TOPIC, b"2", b"k", 1)
    producer.commit_transaction(1)
    logs = cluster.broker.topics[TOPIC].logs
    assert [log.stable for log in logs] == [0, 0]
    cluster.broker.settle("p", 1)
    assert [log.stable for log in logs] == [2, 0]


def test_the_coordinator_gives_up_on_an_old_transaction_and_fences_its_producer() -> None:
    cluster = InMemory()
    producer = committing(cluster)
    producer.send(1)
    assert cluster.broker.give_up("p")
    with pytest.raises(KafkaException) as caught:
        producer.commit_transaction(1)
    assert caught.value.args[0].fatal()
    assert cluster.read(0) == []


def test_compaction_keeps_the_newest_of_each_key_and_every_offset() -> None:
    cluster = InMemory()
    log = cluster.broker.log(TOPIC, 0)
    for key, value in ((b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", None)):
        log.append(key, value)
    log.compact(tombstones=False)
    assert [(one.offset, one.value) for one in log.entries] == [(2, b"2"), (3, None)]
    log.compact(tombstones=True)
    assert [(one.offset, one.value) for one in log.entries] == [(2, b"2")]
    assert log.read(0, 10, committed=True)[1] == log.end == 4


def test_a_consumer_out_of_range_is_told() -> None:
    cluster = InMemory()
    log = cluster.broker.log(TOPIC, 0)
    for _ in range(3):
        log.append(b"k", b"v")
    log.expire(2)
    consumer: Any = cluster._consumer(committed=True)
    consumer.assign([TopicPartition(TOPIC, 0, 1)])
    assert [one.error() is not None for one in consumer.consume(10, 1)] == [True]
    consumer.assign([TopicPartition(TOPIC, 0, 2)])
    assert [one.offset() for one in consumer.consume(10, 1)] == [2]
