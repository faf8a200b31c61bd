"""The newest records of a topic: by the broker's clock, across partitions, and no more than were asked for."""

import time
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec  # type: ignore[attr-defined]

from streams.jobs.tail import Tail
from tests.house.polling import wait_until

PARTITIONS = 3
LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]


@pytest.fixture
def topic(kafka_bootstrap: str) -> Iterator[str]:
    """Make a topic whose records carry the times that they are given."""
    name = f"t{uuid.uuid4().hex[:10]}.webhook.shop"
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    made = NewTopic(name, PARTITIONS, 1, config={"message.timestamp.type": "CreateTime"})
    admin.create_topics([made])[name].result(20)

    def led() -> bool:
        asked = admin.list_offsets({TopicPartition(name, number): LATEST for number in range(PARTITIONS)})
        return all(one.exception(20) is None for one in asked.values())

    wait_until(led, 20, what="leaders of the new topic")  # until then nobody can tell where it ends
    yield name
    admin.delete_topics([name])[name].result(20)


def newest(bootstrap: str, topic: str, count: int) -> tuple[int, list[tuple[int, int]]]:
    tail = Tail({"bootstrap.servers": bootstrap}, topic, time.monotonic)
    try:
        told, records = tail.newest(count, time.time_ns() // 1_000_000)
        return told, [(record.timestamp_ms, record.partition) for record in records]
    finally:
        tail.close()


def test_the_newest_across_partitions_are_read_each_in_order(kafka_bootstrap: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": kafka_bootstrap})
    first = 1_700_000_000_000
    for number in range(300):  # partition 0 has all that is old, the newest are in all three
        at = number % PARTITIONS if number >= 200 else 0
        producer.produce(topic, b"%d" % number, partition=at, timestamp=first + number, headers=[("h", b"v")])
    assert producer.flush(20) == 0
    told, found = newest(kafka_bootstrap, topic, 60)
    assert (told, len(found)) == (60, 60)
    assert sorted(time_ms for time_ms, _ in found) == [first + number for number in range(240, 300)]
    for partition in range(PARTITIONS):
        own = [time_ms for time_ms, at in found if at == partition]
        assert own == sorted(own)
        assert own
    assert newest(kafka_bootstrap, topic, 1_000)[0] == 300


def test_an_empty_topic_and_one_that_is_not_there_have_none(kafka_bootstrap: str, topic: str) -> None:
    assert newest(kafka_bootstrap, topic, 10) == (0, [])
    assert newest(kafka_bootstrap, f"{topic}-not-there", 10) == (0, [])
