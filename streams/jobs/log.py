"""The Kafka side of a redrive: raw records by position, and new ones written behind them.

Lives here: one consumer, one producer, what is in a topic and not yet in its table. Not here: what is redriven
(redrive.py). Blocking; raises `Transient` when Kafka does not answer.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from schemas.errors import Transient
from streams.engine.directory import Directory

NEAR = 500
"""Records read over rather than sought past: one fetch brings as many."""
ASK_S = 15.0
STUCK_S = 60.0
_POLL_S = 0.2
_QUEUE_KIB = 16 << 10
_MESSAGE_BYTES = 128 << 20
_WRITE_TIMEOUT_S = 30
_EOF, _TOO_LARGE = KafkaError._PARTITION_EOF, KafkaError.MSG_SIZE_TOO_LARGE  # noqa: SLF001 librdkafka's local code
Place = tuple[str, int]
Headers = list[tuple[str, bytes | None]]


class Log:
    """Topics of one cluster as a job reads and writes them; `ids` are topic ids by name. Not thread-safe."""

    def __init__(self, kafka: Mapping[str, Any], names: Iterable[str], monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        with _asked("describing topics"):
            told = Directory(kafka, monotonic).ids(names)
        self.ids = {name: topic_id for name, (topic_id, _) in told.items()}
        self._partitions = {name: count for name, (_, count) in told.items()}
        self._consumer = Consumer(
            {
                **kafka,
                "group.id": "hookberg-redrive",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": _QUEUE_KIB,
                "fetch.wait.max.ms": 10,
            }
        )
        self._producer = Producer(
            {
                **kafka,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 5,
                "queue.buffering.max.kbytes": _QUEUE_KIB * 4,
                "message.max.bytes": _MESSAGE_BYTES,
                "message.timeout.ms": _WRITE_TIMEOUT_S * 1000,
            }
        )
        self._place: Place = ("", 0)
        self._next = self._low = self._high = 0
        self._held: Message | None = None
        self._failed: list[tuple[Any, KafkaError]] = []

    def close(self) -> None:
        """Leave the cluster; what was not flushed may be written or not."""
        self._producer.purge()
        self._consumer.close()

    # ---- how far topics go
    def ends(self, names: Iterable[str]) -> dict[Place, int]:
        """Return the next offset of each partition of the topics that exist."""
        with _asked("listing offsets"):
            return {
                (name, number): self._consumer.get_watermark_offsets(TopicPartition(name, number), timeout=ASK_S)[1]
                for name in names
                for number in range(self._partitions.get(name, 0))
            }

    def waiting(self, held: Mapping[Place, int], ends: Mapping[Place, int]) -> int:
        """Return how many committed records stand from `held` on and before `ends`."""
        left = {place for place, end in ends.items() if held.get(place, 0) < end}
        self._place = ("", 0)
        if not left:
            return 0
        self._consumer.assign([TopicPartition(name, number, held.get((name, number), 0)) for name, number in left])
        count, deadline = 0, self._monotonic() + STUCK_S
        while left:
            message = self._polled(deadline)
            place, error = (message.topic() or "", message.partition() or 0), message.error()
            if error is None and (message.offset() or 0) < ends[place]:
                count += 1
            else:
                left.discard(place)
        return count

    # ---- reading
    def original(self, name: str, partition: int, offset: int) -> Message | None:
        """Return the record at a position, None when the log does not hold it any more; best asked in order."""
        place, deadline = (name, partition), self._monotonic() + STUCK_S
        if place != self._place:
            with _asked("listing offsets"):
                where = TopicPartition(name, partition)
                self._low, self._high = self._consumer.get_watermark_offsets(where, timeout=ASK_S)
            self._place, self._held, self._next = place, None, -1
        if not self._low <= offset < self._high:
            return None
        if not 0 <= self._next <= offset + 1 <= self._next + NEAR:
            self._consumer.assign([TopicPartition(name, partition, offset)])
            self._next, self._held = offset, None
        while self._held is None or (self._held.offset() or 0) < offset:
            message = self._polled(deadline)
            if message.error() is not None:
                return None
            if (message.topic(), message.partition()) == place and (message.offset() or 0) >= self._next:
                self._held, self._next = message, (message.offset() or 0) + 1
        return self._held if self._held.offset() == offset else None

    def _polled(self, deadline: float) -> Message:
        """Return the next record, or the end of a partition as an error."""
        while True:
            message = self._consumer.poll(_POLL_S)
            if message is not None and (message.error() is None or message.error().code() == _EOF):  # type: ignore[union-attr]
                return message
            if self._monotonic() > deadline:
                raise Transient(f"Kafka did not answer within {STUCK_S:g} s: see that it is well, then redrive again")

    # ---- writing
    def write(self, name: str, message: Message, headers: Headers, mark: Any) -> None:  # noqa: ANN401 the caller's own
        """Write the record anew behind its partition, with other headers; `mark` comes back from `flush`."""

        def told(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                self._failed.append((mark, error))

        value, key, partition = message.value(), message.key(), message.partition() or 0
        kept: Any = headers
        full = True
        while full:
            try:
                self._producer.produce(name, value, key, partition, headers=kept, on_delivery=told)
                full = False
            except BufferError:  # memory is bounded: wait until some of it is acknowledged
                self._producer.poll(_POLL_S)
            except KafkaException as error:
                self._failed.append((mark, error.args[0]))
                full = False

    def flush(self) -> list[Any]:
        """Wait until all is acknowledged; return the marks of records that are too large for their topic."""
        left = self._producer.flush(_WRITE_TIMEOUT_S + 5)
        failed, self._failed = self._failed, []
        lost = [error for _, error in failed if error.code() != _TOO_LARGE]
        if left or lost:
            why = lost[0].str() if lost else "no answer"
            raise Transient(f"Kafka did not take all records ({why}): redrive again, what was written is not doubled")
        return [mark for mark, _ in failed]


@contextmanager
def _asked(what: str) -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        raise Transient(f"{what}: Kafka does not answer ({error.args[0]}): redrive again") from error
