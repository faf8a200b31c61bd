"""What transactional clients may rely on, asked of the log in memory and of a real broker alike.

Lives here: one function a rule, over a `Cluster`. test_log.py runs them in memory,
tests/integration/simulation on Kafka.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import pytest
from confluent_kafka import KafkaError, KafkaException

TOPIC = "rules"


class Seen(NamedTuple):
    """A record as read."""

    offset: int
    value: bytes | None


class Cluster(Protocol):
    """A topic `TOPIC` of two partitions, nothing in it, and clients of it."""

    def producer(self, name: str) -> Any:
        """Make a transactional producer that has not fenced anybody yet."""

    def read(self, partition: int, *, committed: bool = True) -> list[Seen]:
        """Read a partition from its beginning as far as it can be read now."""

    def end(self, partition: int, *, committed: bool) -> int:
        """Return the high watermark, for read_committed the last stable offset."""


def _begun(cluster: Cluster, name: str = "p") -> Any:
    made = cluster.producer(name)
    made.init_transactions(10)
    made.begin_transaction()
    return made


def _put(producer: Any, value: bytes, partition: int = 0) -> None:
    producer.produce(TOPIC, value, b"k", partition)


def nothing_is_seen_before_the_commit(cluster: Cluster) -> None:
    producer = _begun(cluster)
    _put(producer, b"1")
    producer.flush(10)
    assert cluster.read(0) == []
    assert cluster.read(0, committed=False) == [Seen(0, b"1")]
    producer.commit_transaction(10)
    assert cluster.read(0) == [Seen(0, b"1")]


def a_marker_takes_an_offset_that_nobody_reads(cluster: Cluster) -> None:
    producer = _begun(cluster)
    _put(producer, b"1")
    producer.commit_transaction(10)
    producer.begin_transaction()
    _put(producer, b"2")
    producer.commit_transaction(10)
    assert cluster.read(0) == [Seen(0, b"1"), Seen(2, b"2")]
    assert cluster.end(0, committed=True) == 4


def an_open_transaction_holds_back_what_comes_after_it(cluster: Cluster) -> None:
    first, second = _begun(cluster, "first"), _begun(cluster, "second")
    _put(first, b"1")
    first.flush(10)
    _put(second, b"2")
    second.commit_transaction(10)
    assert cluster.read(0) == []
    assert cluster.end(0, committed=True) == 0
    first.commit_transaction(10)
    assert cluster.read(0) == [Seen(0, b"1"), Seen(1, b"2")]


def a_successor_aborts_what_was_open(cluster: Cluster) -> None:
    old = _begun(cluster)
    _put(old, b"never")
    old.flush(10)
    new = _begun(cluster)
    _put(new, b"1")
    new.commit_transaction(10)
    assert [one.value for one in cluster.read(0)] == [b"1"]
    assert cluster.read(0)[0].offset == 2


def a_fenced_producer_cannot_commit(cluster: Cluster) -> None:
    old = _begun(cluster)
    _put(old, b"never")
    old.flush(10)
    _begun(cluster)
    with pytest.raises(KafkaException) as caught:
        old.commit_transaction(10)
    assert caught.value.args[0].fatal() or caught.value.args[0].txn_requires_abort()
    assert not caught.value.args[0].retriable()
    assert cluster.read(0) == []


def a_fenced_producer_adds_nothing(cluster: Cluster) -> None:
    old = _begun(cluster)
    new = _begun(cluster)
    with pytest.raises(KafkaException):  # noqa: PT012 either call may tell
        _put(old, b"never")
        old.commit_transaction(10)
    _put(new, b"1")
    new.commit_transaction(10)
    assert [one.value for one in cluster.read(0)] == [b"1"]


def reports_tell_offsets_in_the_order_of_the_partition(cluster: Cluster) -> None:
    producer = _begun(cluster)
    told: dict[int, list[int]] = {}

    def delivered(problem: KafkaError | None, message: Any) -> None:
        assert problem is None
        told.setdefault(message.partition(), []).append(message.offset())

    for number in range(4):
        producer.produce(TOPIC, b"x", b"k", number % 2, on_delivery=delivered)
    producer.commit_transaction(10)
    assert told == {0: [0, 1], 1: [0, 1]}


def an_empty_transaction_commits_and_leaves_nothing(cluster: Cluster) -> None:
    producer = _begun(cluster)
    producer.commit_transaction(10)
    producer.begin_transaction()
    _put(producer, b"1")
    producer.commit_transaction(10)
    assert cluster.read(0) == [Seen(0, b"1")]


def all_partitions_become_visible(cluster: Cluster) -> None:
    producer = _begun(cluster)
    _put(producer, b"1", 0)
    _put(producer, b"2", 1)
    producer.commit_transaction(10)
    assert [cluster.read(n) for n in (0, 1)] == [[Seen(0, b"1")], [Seen(0, b"2")]]


RULES: tuple[Callable[[Cluster], None], ...] = (
    nothing_is_seen_before_the_commit,
    a_marker_takes_an_offset_that_nobody_reads,
    an_open_transaction_holds_back_what_comes_after_it,
    a_successor_aborts_what_was_open,
    a_fenced_producer_cannot_commit,
    a_fenced_producer_adds_nothing,
    reports_tell_offsets_in_the_order_of_the_partition,
    an_empty_transaction_commits_and_leaves_nothing,
    all_partitions_become_visible,
)
