"""Reads topics from an offset to an end, a bounded amount in memory at a time.

Lives here: the Kafka side of the audit. Every committed record up to the end is seen: an open transaction is waited
for, since a transaction's markers reach its partitions one after another (KIP-98).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.errors import Transient
from schemas.ports import Clock
from sinks.source import REQUEST_S, Topic, describe, options

QUEUE_KIB = 32 << 10
BATCH = 5_000
POLL_S = 0.02
"""A call returns after it even if less than a batch came: what reading the last records of a topic costs."""
FETCH_WAIT_MS = 10
STUCK_S = 60.0
"""Longer than any transaction lives (transaction.timeout.ms and the broker's scan)."""
Progress = Callable[[str, int, int], None]
"""Told now and then: what is read, records read, records there (an upper bound)."""


class Log:
    """Topics of one cluster, for reading. Not thread-safe; raises `Transient` when Kafka does not answer."""

    def __init__(self, kafka: Mapping[str, Any], clock: Clock, progress: Progress) -> None:
        self._clock, self._progress = clock, progress
        self._admin = AdminClient(dict(kafka))
        base = options(kafka, QUEUE_KIB) | {"group.id": "hookberg-audit", "auto.offset.reset": "earliest"}
        base["fetch.wait.max.ms"] = FETCH_WAIT_MS
        self._committed = Consumer(dict(base))
        self._all = Consumer(base | {"isolation.level": "read_uncommitted"})

    def close(self) -> None:
        """Leave the cluster."""
        self._committed.close()
        self._all.close()

    def topics(self, names: Sequence[str]) -> dict[str, Topic]:
        """Return those of `names` that exist."""
        return describe(self._admin, names) if names else {}

    def bounds(self, topic: Topic) -> list[tuple[int, int]]:
        """Return first and end offset of each partition, records of open transactions included."""
        try:
            return [
                self._all.get_watermark_offsets(TopicPartition(topic.name, partition), timeout=REQUEST_S)
                for partition in range(topic.partitions)
            ]
        except KafkaException as error:
            raise Transient(f"Kafka does not answer: {error}") from error

    def stable(self, topic: Topic) -> list[int]:
        """Return the offset of each partition below which every transaction has ended."""
        try:
            return [
                self._committed.get_watermark_offsets(TopicPartition(topic.name, partition), timeout=REQUEST_S)[1]
                for partition in range(topic.partitions)
            ]
        except KafkaException as error:
            raise Transient(f"Kafka does not answer: {error}") from error

    def since(self, topic: Topic, ms: int) -> list[int]:
        """Return the first offset of each partition whose record is not older than `ms` (since the epoch)."""
        wanted = [TopicPartition(topic.name, partition, ms) for partition in range(topic.partitions)]
        try:
            found = self._all.offsets_for_times(wanted, timeout=REQUEST_S)
        except KafkaException as error:
            raise Transient(f"Kafka does not answer: {error}") from error
        ends = self.bounds(topic)
        return [one.offset if one.offset >= 0 else ends[one.partition][1] for one in found]

    def read(self, topic: Topic, starts: Sequence[int], ends: Sequence[int]) -> Iterator[Message]:
        """Yield the committed records of `starts`..`ends`-1 of each partition, in order; later ones too."""
        left = {number: end for number, end in enumerate(ends) if end > starts[number]}
        total, read = sum(ends[number] - starts[number] for number in left), 0
        if left:
            self._begin(topic, {number: starts[number] for number in left})
        moved = self._clock.monotonic()
        while left:
            try:
                messages = self._committed.consume(BATCH, POLL_S)
            except KafkaException as error:
                raise Transient(f"Kafka does not answer: {error}") from error
            for message in messages:
                if self._ended(message, left):
                    left.pop(int(message.partition() or 0), None)
                if message.error() is None:
                    read += 1
                    yield message
            if any(message.error() is None for message in messages):
                moved = self._clock.monotonic()
                self._progress(topic.name, read, total)
            elif self._clock.monotonic() - moved > STUCK_S:
                raise Transient(f"{topic.name}: no end of partitions {sorted(left)} in {STUCK_S:g} s")
        self._committed.unassign()
        self._progress(topic.name, total, total)

    def _begin(self, topic: Topic, starts: Mapping[int, int]) -> None:
        """Assign partitions of a topic.

        Who leads them is asked first: of a topic that it has not met librdkafka learns that once a second only
        (rd_kafka_topic_scan_all), and an audit assigns topic after topic.
        """
        try:
            self._committed.list_topics(topic.name, timeout=REQUEST_S)
            self._committed.assign([TopicPartition(topic.name, number, at) for number, at in starts.items()])
        except KafkaException as error:
            raise Transient(f"Kafka does not answer: {error}") from error

    def _ended(self, message: Message, left: Mapping[int, int]) -> bool:
        """Tell whether a record or a notice of the log's end shows that its partition is read up to its end."""
        error, offset = message.error(), message.offset()
        end = left.get(int(message.partition() or 0))
        if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 librdkafka's local code
            if error.retriable() or error.code() == KafkaError._TRANSPORT:  # noqa: SLF001
                return False
            raise Transient(str(error))
        return end is not None and offset is not None and offset + (error is None) >= end
