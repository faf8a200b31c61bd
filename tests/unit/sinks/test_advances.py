"""The sender of "table advanced": in order, by key, again after errors, never in the way of a commit."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from schemas import topics
from schemas.metrics import Metrics
from schemas.wire import table as wire
from sinks import advances
from sinks.advances import KafkaAdvances
from sinks.table.advanced import Book
from tests.house.polling import wait_until
from tests.integration.sinks.world import RealClock

METRICS = Metrics()
PARTITIONS = 3


class FakeProducer:
    """Takes the place of confluent_kafka's: `errors` are met first, then everything arrives."""

    def __init__(self, errors: list[KafkaError]) -> None:
        self.errors = errors
        self.arrived: list[tuple[Any, ...]] = []
        self._queue: list[tuple[tuple[Any, ...], Callable[[Any, Any], None]]] = []
        self.asked = 0
        self.full = 0

    def list_topics(self, topic: str, timeout: float) -> Any:
        assert timeout > 0
        self.asked += 1
        found = SimpleNamespace(error=None, partitions=dict.fromkeys(range(PARTITIONS)))
        return SimpleNamespace(topics={topic: found})

    def produce(self, *args: Any, on_delivery: Callable[[Any, Any], None]) -> None:
        if self.full:
            self.full -= 1
            raise BufferError("full")
        self._queue.append((args, on_delivery))

    def poll(self, _timeout: float) -> int:
        taken, self._queue = self._queue, []
        for args, on_delivery in taken:
            error = self.errors.pop(0) if self.errors else None
            if error is None:
                self.arrived.append(args)
            on_delivery(error, None)
        return len(taken)

    def flush(self, _timeout: float) -> int:
        return self.poll(0)


def record(number: int) -> wire.Advanced:
    table_uuid = "3662a9d8-48de-479f-a108-3c7e0f5d9a11"
    return wire.Advanced("acme", "s", "acme__web", "orders", table_uuid, number, number, number, number, 1, None)


def book_of(sender: KafkaAdvances, *numbers: int) -> Book:
    book = Book(("acme__web", "orders"), "s", "s", sender.wake)
    sender.open(book)
    book._waiting |= {number: record(number) for number in numbers}
    sender.wake(book)
    return book


@pytest.fixture
def producers(monkeypatch: pytest.MonkeyPatch) -> list[FakeProducer]:
    monkeypatch.setattr(advances, "AGAIN_S", 0.02)
    return []


@pytest.fixture
def sender(producers: list[FakeProducer]) -> Iterator[KafkaAdvances]:
    def make(config: dict[str, Any]) -> Any:
        assert config["acks"] == "all"
        assert config["enable.idempotence"]
        return producers.pop(0)

    made = KafkaAdvances({"bootstrap.servers": "x"}, RealClock(), METRICS, make)
    yield made
    made.end()


def sequence(producer: FakeProducer) -> list[int]:
    return [wire.decode(args[1]).sequence_number for args in producer.arrived]


def test_sends_in_order_to_the_partition_of_the_key(sender: KafkaAdvances, producers: list[FakeProducer]) -> None:
    producer = FakeProducer([])
    producers.append(producer)
    book = book_of(sender, 1, 2, 3)
    wait_until(lambda: not book.unsent(), 10, what="everything is told")
    assert sequence(producer) == [1, 2, 3]
    topic, _value, key, partition = producer.arrived[0]
    assert (topic, key) == ("acme.table", b"acme__web.orders")
    assert partition == topics.partition(key, PARTITIONS)
    assert producer.asked == 1
    assert not sender._flying


def test_what_did_not_arrive_is_sent_again(sender: KafkaAdvances, producers: list[FakeProducer]) -> None:
    producer = FakeProducer([KafkaError(KafkaError._MSG_TIMED_OUT), KafkaError(KafkaError._UNKNOWN_PARTITION)])
    producer.full = 1
    producers.append(producer)
    book = book_of(sender, 1, 2)
    wait_until(lambda: not book.unsent(), 10, what="everything is told")
    assert sorted(sequence(producer)) == [1, 2]
    assert producer.asked > 1, "after an error the topic is looked at again"


def test_goes_on_with_another_producer_after_a_fatal_error(
    sender: KafkaAdvances, producers: list[FakeProducer]
) -> None:
    dead, second = FakeProducer([KafkaError(KafkaError._FATAL, "dead", fatal=True)]), FakeProducer([])
    producers += [dead, second]
    book = book_of(sender, 1)
    wait_until(lambda: not book.unsent(), 10, what="everything is told")
    assert (sequence(dead), sequence(second)) == ([], [1])


def test_a_topic_that_is_not_there_holds_up_no_other_table(
    sender: KafkaAdvances, producers: list[FakeProducer], monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = FakeProducer([])
    real = producer.list_topics

    def list_topics(topic: str, timeout: float) -> Any:
        if topic == "acme.table":
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
        return real(topic, timeout)

    monkeypatch.setattr(producer, "list_topics", list_topics)
    producers.append(producer)
    held = book_of(sender, 1)
    other = Book(("rival", "t"), "s", None, sender.wake)
    sender.open(other)
    other._waiting[7] = record(7)
    sender.wake(other)
    wait_until(lambda: not other.unsent(), 10, what="the other is told")
    assert held.unsent() == {1}
    sender.close(held)
    sender.wake(held)
    assert held not in sender._at
