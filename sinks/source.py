"""The Kafka side of a tail: what its topics are, where to begin, and reading them.

Lives here: consumer options, topic ids, start offsets, expired offsets. Group offsets are never used: the table says
where to go on. The fetch options are measured: librdkafka's defaults cost half the throughput (sinks/README.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.backing.kafka import topic_id_text
from schemas.errors import Poison, Transient
from schemas.reasons import Reason
from schemas.tracing import Seen
from sinks import traces
from sinks.rows.system import Record
from sinks.table.state import Offsets

REQUEST_S = 10.0
POLL_BYTES = 4 << 20
MAX_POLL_RECORDS = 20_000
GATHER_S = 0.1
"""How long a poll goes on after its first record."""
_MIN_POLL_RECORDS = 100
_MIB = 1 << 20
_GONE = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 librdkafka's local codes begin with _
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
}
_PASSING = {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE, KafkaError._TIMED_OUT}  # noqa: SLF001 librdkafka goes on by itself
_RANGE = {KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET}  # noqa: SLF001


class Expired(Poison):
    """The log no longer holds the records at the table's position."""

    def __init__(self, topic: str, partition: int, position: int, low: int, high: int) -> None:
        super().__init__(
            Reason.OFFSETS_EXPIRED,
            f"{topic} partition {partition}: the table stands at {position}, the log holds {low} to {high}; records "
            f"{min(position, high)} to {max(low, position) if position > high else low} are lost. "
            'Start the stream with {"acceptLoss": true} to go on',
        )
        self.place, self.low, self.high = (topic, partition), low, high


class TopicMoved(Transient):
    """A topic was deleted, made anew, or has more partitions: look again."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic that exists: its name, Kafka's id in text form, and its number of partitions."""

    name: str
    id: str
    partitions: int


class Reading(Protocol):
    """How a tail reads its topics: `Source` by itself, `sinks.split.branch.Branch` out of what others read too."""

    positions: dict[tuple[str, int], int]
    read_us: int | None
    """The broker's time of the last record read, in µs."""
    traces: Seen | None
    """Takes note of traced batches among what is read; None: nobody wants to know."""

    def look(self) -> dict[str, Topic]:
        """Return the topics that exist."""

    def check(self) -> None:
        """Raise `TopicMoved` unless the topics are those that are read."""

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return a partition's first offset and the next one after its last."""

    def start(self, topic: str, partition: int, start_from: str | datetime) -> int:
        """Resolve where a partition begins."""

    def assign(self, topics: Mapping[str, Topic], at: Mapping[tuple[str, int], int]) -> None:
        """Read from these offsets on."""

    def poll(self, timeout_s: float) -> tuple[list[Record], int]:
        """Return records in order of each partition, and the bytes of their values."""

    def lag(self) -> int:
        """Return how many offsets lie ahead."""

    def ends(self) -> Offsets:
        """Return the positions by topic id."""

    def close(self) -> None:
        """Read no more."""


def options(base: Mapping[str, Any], queue_kib: int) -> dict[str, Any]:
    """Return the consumer's configuration; `queue_kib` bounds what is prefetched (KiB)."""
    return {
        **base,
        "group.id": "hookberg-sinks-manual",  # required by the client; no offsets are kept and nothing is joined
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "allow.auto.create.topics": False,
        "fetch.message.max.bytes": 4 * _MIB,
        "fetch.max.bytes": 32 * _MIB,
        "queued.max.messages.kbytes": queue_kib,
        "queued.min.messages": 1_000_000,
        "fetch.queue.backoff.ms": 5,
        "fetch.wait.max.ms": 500,
        "check.crcs": False,
    }


def describe(admin: AdminClient, names: Sequence[str]) -> dict[str, Topic]:
    """Return those of `names` that exist; raises `Transient` when the cluster does not answer."""
    try:
        futures = admin.describe_topics(TopicCollection(list(names)), request_timeout=REQUEST_S)
    except KafkaException as error:
        raise Transient(f"Kafka does not answer: {error}") from error
    found: dict[str, Topic] = {}
    for name, future in futures.items():
        try:
            topic = future.result(REQUEST_S)
        except KafkaException as error:
            if error.args[0].code() in _GONE:
                continue
            raise Transient(f"topic {name} cannot be looked up: {error}") from error
        found[name] = Topic(name, topic_id_text(topic.topic_id), len(topic.partitions))
    return found


class Source:
    """A manually assigned consumer over a tail's topics. Not thread-safe; every call may block up to 10 s."""

    def __init__(self, config: Mapping[str, Any], admin: AdminClient, names: Sequence[str]) -> None:
        self._consumer = Consumer(dict(config))
        self._admin = admin
        self._names = tuple(names)
        self.topics: dict[str, Topic] = {}
        self._batch = 2000
        self.at_end: set[tuple[str, int]] = set()
        self.positions: dict[tuple[str, int], int] = {}
        self.read_us: int | None = None
        self.traces: Seen | None = None

    def look(self) -> dict[str, Topic]:
        """Return the tail's topics that exist now."""
        return describe(self._admin, self._names)

    def check(self) -> None:
        """Raise `TopicMoved` unless the topics are those that were assigned: what was read then is theirs."""
        if self.look() != self.topics:
            raise TopicMoved("a topic was made, deleted or changed")

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the first offset of a partition and the next one after its last committed record."""
        try:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=REQUEST_S)
        except KafkaException as error:
            raise _transient(error) from error
        return low, high

    def start(self, topic: str, partition: int, start_from: str | datetime) -> int:
        """Resolve where a partition begins: a concrete offset."""
        low, high = self.bounds(topic, partition)
        if not isinstance(start_from, datetime):
            return low if start_from == "earliest" else high
        wanted = TopicPartition(topic, partition, int(start_from.timestamp() * 1000))
        try:
            found = self._consumer.offsets_for_times([wanted], timeout=REQUEST_S)[0].offset
        except KafkaException as error:
            raise _transient(error) from error
        return found if found >= 0 else high

    def assign(self, topics: Mapping[str, Topic], at: Mapping[tuple[str, int], int]) -> None:
        """Read `topics` from the given offsets on."""
        self.topics = dict(topics)
        self.positions = dict(at)
        self.at_end.clear()
        self._consumer.assign([TopicPartition(name, partition, offset) for (name, partition), offset in at.items()])

    def poll(self, timeout_s: float) -> tuple[list[Record], int]:
        """Return records in order of each partition, about 4 MiB at most a call, and the bytes of their values.

        `positions` moves past everything returned and past records without a value. Raises `Expired`, `TopicMoved`,
        `Transient`.
        """
        try:
            messages = self._consumer.consume(1, timeout_s)  # at once when something comes, however long it may wait
            if messages:
                messages += self._consumer.consume(self._batch, min(timeout_s, GATHER_S))
        except KafkaException as error:
            raise _transient(error) from error
        records: list[Record] = []
        begin = 0
        for at in [at for at, message in enumerate(messages) if message.error() is not None]:
            self._take(messages[begin:at], records)  # in order: the end of a partition comes after its records
            self._fault(messages[at])
            begin = at + 1
        self._take(messages[begin:] if begin else messages, records)
        size = sum([len(record.value) for record in records])
        if len(records) > _MIN_POLL_RECORDS:
            self._batch = max(_MIN_POLL_RECORDS, min(MAX_POLL_RECORDS, POLL_BYTES * len(records) // max(size, 1)))
        return records, size

    def _take(self, messages: Sequence[Message], records: list[Record]) -> None:
        """Append the records of messages without an error; they have a topic, a partition and an offset."""
        if not messages:
            return
        ids = {name: topic.id for name, topic in self.topics.items()}
        records += [
            Record(ids[m.topic()], m.partition(), m.offset(), value)  # type: ignore[index, arg-type]  # see above
            for m in messages
            if (value := m.value()) is not None
        ]
        last = {(m.topic(), m.partition()): m.offset() for m in messages}
        self.positions |= {place: offset + 1 for place, offset in last.items()}  # type: ignore[operator, misc]
        if self.at_end:
            self.at_end.difference_update(last)
        if self.traces is not None:
            traces.note(messages, self.traces)
        self.read_us = messages[-1].timestamp()[1] * 1000

    def _fault(self, message: Message) -> None:
        """Act on what librdkafka says instead of a record; may raise."""
        error, offset = message.error(), message.offset()
        topic = message.topic() or ""
        partition = -1 if (known := message.partition()) is None else known
        code = None if error is None else error.code()
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001
            self.at_end.add((topic, partition))
            if offset is not None and offset > self.positions.get((topic, partition), offset):
                self.positions[topic, partition] = offset  # past markers and aborted records, which are not delivered
        elif code in _RANGE and (topic, partition) in self.positions:
            low, high = self.bounds(topic, partition)
            raise Expired(topic, partition, self.positions[topic, partition], low, high)
        elif code in _GONE:
            raise TopicMoved(str(error))
        elif error is not None and code not in _PASSING and not error.retriable():
            raise Transient(str(error))

    def lag(self) -> int:
        """Return how many offsets lie ahead, as last told by the broker; 0 at the end of every partition."""
        ahead = 0
        for (topic, partition), position in self.positions.items():
            if (topic, partition) in self.at_end:
                continue
            try:
                _low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
            except KafkaException:
                continue
            ahead += max(0, high - position)
        return ahead

    def ends(self) -> Offsets:
        """Return the positions by topic id."""
        made: Offsets = {}
        for (topic, partition), position in self.positions.items():
            made.setdefault(self.topics[topic].id, {})[str(partition)] = position
        return made

    def close(self) -> None:
        """Leave the cluster."""
        self._consumer.close()


def _transient(error: KafkaException) -> Transient:
    return Transient(f"Kafka does not answer: {error}")
