"""The newest records of one raw topic, for jobs that look back: bounded by a number, newest by the broker's clock.

Lives here: where to begin, reading to where the topic ended. Not here: what records mean (dry_run.py). Blocking; raises
`Transient` when Kafka does not answer.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.errors import Transient
from schemas.wire.raw import RawRecord

ASK_S = 15.0
STUCK_S = 30.0
_POLL_S = 0.2
_PORTION = 500
_QUEUE_KIB = 16 << 10
_SPAN_MS = 1 << 42
"""Longer than any log is old."""
_EOF = KafkaError._PARTITION_EOF  # noqa: SLF001 librdkafka's local code


class Tail:
    """Reads one topic's newest records. Not thread-safe; close it."""

    def __init__(self, kafka: Mapping[str, Any], topic: str, monotonic: Callable[[], float]) -> None:
        self.topic, self._monotonic = topic, monotonic
        self._consumer = Consumer(
            {
                **kafka,
                "group.id": "hookberg-dry-run",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": _QUEUE_KIB,
            }
        )

    def close(self) -> None:
        """Leave the cluster."""
        self._consumer.close()

    def newest(self, count: int, now_ms: int) -> tuple[int, Iterator[RawRecord]]:
        """Return how many records there are, and they themselves: about the newest `count`, each partition in order.

        A few more where many were stored in one millisecond; fewer where the topic holds fewer, or is not there.
        """
        try:
            bounds = self._bounds()
            starts = self._starts(bounds, count, now_ms)
        except KafkaException as exc:
            raise Transient(f"Kafka did not tell where {self.topic} ends: {exc.args[0].str()}") from exc
        ends = {number: high for number, (low, high) in bounds.items() if starts[number] < high}
        return sum(ends[number] - starts[number] for number in ends), self._read(starts, ends)

    def _bounds(self) -> dict[int, tuple[int, int]]:
        described = self._consumer.list_topics(self.topic, timeout=ASK_S).topics[self.topic]
        return {
            number: self._consumer.get_watermark_offsets(TopicPartition(self.topic, number), timeout=ASK_S)
            for number in ([] if described.error else described.partitions)
        }

    def _starts(self, bounds: Mapping[int, tuple[int, int]], count: int, now_ms: int) -> dict[int, int]:
        """Find the latest moment since which `count` records were stored; each partition begins there."""
        least = {number: max(low, high - count) for number, (low, high) in bounds.items()}
        if sum(bounds[number][1] - start for number, start in least.items()) <= count:
            return least
        early, late = max(0, now_ms - _SPAN_MS), now_ms + _SPAN_MS
        while late - early > 1:
            middle = (early + late) // 2
            found = self._at(middle, bounds)
            if sum(bounds[number][1] - max(found[number], least[number]) for number in bounds) >= count:
                early = middle
            else:
                late = middle
        found = self._at(early, bounds)
        return {number: max(found[number], least[number]) for number in bounds}

    def _at(self, time_ms: int, bounds: Mapping[int, tuple[int, int]]) -> dict[int, int]:
        asked = [TopicPartition(self.topic, number, time_ms) for number in bounds]
        told = self._consumer.offsets_for_times(asked, timeout=ASK_S)
        return {each.partition: each.offset if each.offset >= 0 else bounds[each.partition][1] for each in told}

    def _read(self, starts: Mapping[int, int], ends: Mapping[int, int]) -> Iterator[RawRecord]:
        left = dict(ends)
        if not left:
            return
        self._consumer.assign([TopicPartition(self.topic, number, starts[number]) for number in left])
        deadline = self._monotonic() + STUCK_S
        while left:
            for message in self._consumer.consume(_PORTION, _POLL_S):
                deadline = self._monotonic() + STUCK_S
                number, error = message.partition() or 0, message.error()
                if error is not None and error.code() != _EOF:
                    continue  # librdkafka tries again by itself; the deadline bounds it
                offset = message.offset() or 0
                if error is None and offset < left.get(number, 0):
                    sent: Any = message.headers() or ()
                    headers = tuple((name, value or b"") for name, value in sent)
                    yield RawRecord(number, offset, message.timestamp()[1], message.value() or b"", headers)
                if offset + 1 >= ends[number] or error is not None:
                    left.pop(number, None)
            if self._monotonic() > deadline:
                raise Transient(f"Kafka gave no record of {self.topic} for {STUCK_S:g} s: see that it is well")
