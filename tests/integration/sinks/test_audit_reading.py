"""How the audit reads a real Kafka: topic after topic, each as soon as it is asked for."""

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from schemas.errors import Transient
from sinks.read.topics import Log
from sinks.source import Topic, describe
from tests.house.polling import wait_until
from tests.integration.sinks.world import NEW_TOPIC, RealClock

TOPICS, RECORDS = 16, 3


@pytest.fixture
def log(kafka_bootstrap: str) -> Iterator[Log]:
    made = Log({"bootstrap.servers": kafka_bootstrap}, RealClock(), lambda *_: None)
    yield made
    made.close()


def _filled(bootstrap: str, names: list[str]) -> list[Topic]:
    admin, producer = AdminClient({"bootstrap.servers": bootstrap}), Producer({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NEW_TOPIC(name, 2, 1) for name in names]).values():
        future.result(30)
    wait_until(lambda: len(describe(admin, names)) == len(names), 30, what="the topics")
    for name in names:
        for n in range(RECORDS):
            producer.produce(name, f"{n}", partition=n % 2)
    assert producer.flush(30) == 0
    return [describe(admin, names)[name] for name in names]


def test_many_small_topics_are_read_at_once(kafka_bootstrap: str, log: Log) -> None:
    """Unless it is asked for a topic's leaders librdkafka lets a second go by for each topic: here 16 s."""
    topics = _filled(kafka_bootstrap, [f"audit-reading-{time.time_ns()}-{n}" for n in range(TOPICS)])
    started = time.monotonic()
    for topic in topics:
        bounds = log.bounds(topic)
        assert bounds == [(0, 2), (0, 1)]
        read = [message.value() or b"" for message in log.read(topic, [0, 0], [end for _, end in bounds])]
        assert sorted(read) == [b"0", b"1", b"2"]
    assert time.monotonic() - started < 10


def test_a_topic_that_holds_nothing_new_is_not_read(kafka_bootstrap: str, log: Log) -> None:
    [topic] = _filled(kafka_bootstrap, [f"audit-reading-{time.time_ns()}"])
    assert list(log.read(topic, [2, 1], [2, 1])) == []
    assert [message.offset() for message in log.read(topic, [2, 0], [2, 1])] == [0]


def test_a_kafka_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.read.topics.REQUEST_S", 0.2)
    away = Log({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}, RealClock(), lambda *_: None)
    with pytest.raises(Transient, match="does not answer"):
        list(away.read(Topic("t", "id", 1), [0], [1]))
    away.close()
