"""Spans of partitions, read committed, within a request's budget.

Lives here: the Kafka side of the lookups: a consumer that is assigned by hand and kept between requests, and offsets by
time. Fetches are small, because most lookups want a few records from the middle of a partition.
"""

from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # its stub does not export it

from schemas.errors import Transient
from sinks.read.deliveries.budget import Budget
from sinks.source import REQUEST_S, Topic, describe, options

Place = tuple[str, int]
"""(topic name, partition)."""
FETCH_BYTES = 256 << 10
QUEUE_KIB = 4 << 10
FETCH_WAIT_MS = 10
POLL_S = 0.1
BATCH = 1_000
_ONE_BY_ONE = 5
_EARLIEST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_GONE = {
    KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001 librdkafka's local codes begin with _
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    KafkaError.OFFSET_OUT_OF_RANGE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}


class Log:
    """Topics of one cluster. Not thread-safe; every call may block; raises `Transient` when Kafka does not answer."""

    def __init__(self, kafka: Mapping[str, Any]) -> None:
        self._admin = AdminClient(dict(kafka))
        config = options(kafka, QUEUE_KIB) | {
            "group.id": "hookberg-deliveries",  # required by the client; nothing is joined or committed
            "fetch.message.max.bytes": FETCH_BYTES,
            "queued.min.messages": 1,
            "fetch.wait.max.ms": FETCH_WAIT_MS,
        }
        self._consumer = Consumer(config)
        self._met: set[str] = set()

    def close(self) -> None:
        """Leave the cluster."""
        self._consumer.close()

    def topics(self, names: Iterable[str]) -> dict[str, Topic]:
        """Return those of `names` that exist."""
        wanted = sorted(set(names))
        return describe(self._admin, wanted) if wanted else {}

    def lows(self, places: Iterable[Place]) -> dict[Place, int]:
        """Return the first offset that each partition still holds."""
        return self._offsets(places, _EARLIEST)

    def ends(self, places: Iterable[Place], *, committed: bool = True) -> dict[Place, int]:
        """Return the end of each partition: of what is committed (the last stable offset), or of everything."""
        return self._offsets(places, _LATEST, committed=committed)

    def since(self, places: Iterable[Place], ms: int) -> dict[Place, int]:
        """Return the first offset whose record is not older than `ms` (since the epoch), else the committed end."""
        asked = list(places)
        found = self._offsets(asked, OffsetSpec.for_timestamp(max(0, ms)))
        late = [place for place, offset in found.items() if offset < 0]
        return found | self.ends(late) if late else found

    def read(self, spans: Mapping[Place, tuple[int, int]], budget: Budget) -> Generator[Message, None, None]:
        """Yield the committed records of each span `first`..`end`-1: in order by partition, partitions mixed.

        Ends early when the budget is spent: ask it. A span that the log no longer holds yields nothing.
        """
        left = {place: end for place, (first, end) in spans.items() if end > first}
        if not left:
            return
        self._meet({topic for topic, _ in left})
        self._consumer.assign([TopicPartition(*place, spans[place][0]) for place in left])
        try:
            while left and not budget.spent:
                for message in self._poll():
                    if budget.spent:
                        return
                    place = (message.topic() or "", int(message.partition() or 0))
                    offset, error = int(message.offset() or 0), message.error()
                    if error is not None:
                        self._note(error, place, left)
                    elif place in left and offset >= spans[place][0]:
                        if offset + 1 >= left[place]:
                            end = left.pop(place)
                            if offset >= end:
                                continue
                        value = message.value()
                        budget.take(0 if value is None else len(value))
                        yield message
        finally:
            self._consumer.unassign()

    def first(self, place: Place, start: int, end: int, budget: Budget) -> Message | None:
        """Return the first committed record of `start`..`end`-1."""
        with closing(self.read({place: (start, end)}, budget)) as reading:
            return next(reading, None)

    def _meet(self, topics: set[str]) -> None:
        """Ask for the leaders of topics read for the first time: the client itself would take a second."""
        new = topics - self._met
        try:
            if len(new) > _ONE_BY_ONE:
                self._consumer.list_topics(timeout=REQUEST_S)
            else:
                for topic in new:
                    self._consumer.list_topics(topic, timeout=REQUEST_S)
        except KafkaException as error:
            raise Transient(f"Kafka does not answer: {error}") from error
        self._met |= new

    def _poll(self) -> list[Message]:
        try:
            one = self._consumer.poll(POLL_S)
            return [] if one is None else [one, *self._consumer.consume(BATCH, 0)]
        except KafkaException as error:
            raise Transient(f"Kafka does not answer: {error}") from error

    def _note(self, error: KafkaError, place: Place, left: dict[Place, int]) -> None:
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            left.pop(place, None)  # no more is committed
        elif error.code() in _GONE:
            left.pop(place, None)
        elif not error.retriable() and error.code() != KafkaError._TRANSPORT:  # noqa: SLF001
            raise Transient(f"Kafka does not answer: {error}")

    def _offsets(self, places: Iterable[Place], spec: OffsetSpec, *, committed: bool = True) -> dict[Place, int]:
        asked = {TopicPartition(*place): spec for place in places}
        if not asked:
            return {}
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        try:
            told = self._admin.list_offsets(asked, isolation_level=level, request_timeout=REQUEST_S)
            return {(one.topic, one.partition): int(future.result(REQUEST_S).offset) for one, future in told.items()}
        except (KafkaException, TimeoutError) as error:
            raise Transient(f"Kafka does not answer: {error}") from error
