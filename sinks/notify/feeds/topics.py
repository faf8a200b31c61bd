"""Kafka's side of feeds: the topics that somebody listens to, read from the stored cursors on.

Lives here: which partitions are read, from where, and what is lost when the log no longer holds it. Not here: what a
record tells (tables.py, openmetadata.py). Manual assignment, committed records only; the group is named and not joined.
A partition without a cursor begins at the time of the first webhook that wants its records.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas import logs
from schemas.definitions.notification import Cursor
from schemas.definitions.view import TopicView
from schemas.errors import Poison, Transient
from schemas.wire.entity_event import EntityEvent
from sinks.notify.feeds.audience import Audience
from sinks.notify.feeds.changes import Cursors
from sinks.notify.feeds.fed import Fed, Read
from sinks.notify.match.tenant import Matcher

PAGE = 500
RECENT = 4_096
REQUEST_S = 10.0
_GATHER_S = 0.05
_RANGE = {KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET}  # noqa: SLF001 librdkafka's local codes begin with _
_PASSING = {
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._PARTITION_EOF,  # noqa: SLF001
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
}
"""What librdkafka goes on after by itself, and topics that a deleted tenant left behind."""
Place = tuple[str, int]
log = logs.logger(__name__)


class Registry(Protocol):
    """Where the cursors are."""

    @property
    def outbound(self) -> Cursors:
        """Return them."""


@dataclass(frozen=True, slots=True)
class Records:
    """One kind of records: who listens to them, what they tell, whom to tell how many are lost."""

    name: str
    listens: Callable[[TopicView, Matcher], int | None]
    read: Callable[[str, bytes], tuple[EntityEvent | None, int]]
    lost: Callable[[int], None]


def consumer_config(client: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a client's connection settings: little memory, no group joined, nothing committed."""
    return {
        **client,
        "group.id": "hookberg-notify-manual",  # required by the client; no offsets are kept and nothing is joined
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",
        "allow.auto.create.topics": False,
        "fetch.wait.max.ms": 500,
        "queued.max.messages.kbytes": 16 << 10,
        "queued.min.messages": 1_000,
        "reconnect.backoff.max.ms": 2_000,
        "log_level": 2,
    }


class TopicsFeed:
    """Reads the topics of one kind of records. The client is made when somebody first listens."""

    def __init__(
        self,
        records: Records,
        registry: Registry,
        audience: Audience,
        client: Mapping[str, Any],
        make: Callable[[dict[str, Any]], Any] = Consumer,
    ) -> None:
        self.name = records.name
        self._records, self._registry, self._audience, self._make = records, registry, audience, make
        self._config = consumer_config(client)
        self._consumer: Any = None
        self._edition: int | None = None
        self._topics: dict[str, TopicView] = {}
        self._at: dict[Place, int] = {}
        """The next offset of every partition that is read."""
        self._recent: dict[str, None] = {}
        """Ids of the last events: a writer that does not know whether it has told a commit tells it again (rule 22)."""

    def read(self) -> Read:
        """Return the next records; those that nobody could read are positions alone, and told in the log."""
        matchers = self._audience.fresh()
        if self._edition != self._audience.edition:
            self._follow(matchers)
        if not self._at:
            return Read(lag=0)
        try:
            messages = self._consumer.consume(PAGE, _GATHER_S)
        except KafkaException as error:
            raise Transient(f"Kafka does not answer: {error}") from error
        fed: list[Fed] = []
        for message in messages:
            if message.error() is not None:
                fed += self._fault(message)
            elif (one := self._fed(message)) is not None:
                fed.append(one)
        if fed:
            self._audience.fresh()  # a webhook made before a record that was read is known when it is matched
        return Read(fed, more=len(messages) >= PAGE, lag=self._lag())

    def again(self) -> None:
        """Begin at the stored cursors."""
        self._edition = None
        self._topics, self._at, self._recent = {}, {}, {}

    def close(self) -> None:
        """Leave the cluster."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _follow(self, matchers: Mapping[str, Matcher]) -> None:
        """Read the partitions that are wanted now: those that were read go on, new ones begin."""
        edition = self._audience.edition
        wanted: dict[Place, int] = {}
        topics: dict[str, TopicView] = {}
        for tenant, rows in self._audience.topics().items():
            for topic in rows:
                since_ms = self._records.listens(topic, matchers[tenant]) if tenant in matchers else None
                if since_ms is not None:
                    topics[topic.name] = topic
                    wanted |= {(topic.name, number): since_ms for number in range(topic.partitions)}
        same = {place: at for place, at in self._at.items() if self._topics.get(place[0]) == topics.get(place[0])}
        kept = {place: at for place, at in same.items() if place in wanted}
        new = {place: since_ms for place, since_ms in wanted.items() if place not in kept}
        if new or len(kept) != len(self._at):
            self._assign(kept | self._begin(topics, new))
        self._topics, self._edition = topics, edition

    def _begin(self, topics: Mapping[str, TopicView], new: Mapping[Place, int]) -> dict[Place, int]:
        """Return where new partitions begin: at their cursors, else at a time, which needs the broker."""
        stored = self._registry.outbound.cursors() if new else {}
        begun = {
            place: stored[key] for place in new if (key := cursor_key(topics[place[0]].topic_id, place[1])) in stored
        }
        asked = [TopicPartition(*place, since_ms) for place, since_ms in new.items() if place not in begun]
        if not asked:
            return begun
        try:
            for found in self._client().offsets_for_times(asked, timeout=REQUEST_S):
                place = (found.topic, found.partition)
                begun[place] = found.offset if found.offset >= 0 else self._bounds(place)[1]
        except KafkaException as error:
            raise Transient(f"Kafka does not answer: {error}") from error
        return begun

    def _client(self) -> Any:  # noqa: ANN401 confluent's Consumer, or a test's
        if self._consumer is None:
            self._consumer = self._make(self._config)
        return self._consumer

    def _assign(self, at: dict[Place, int]) -> None:
        if at or self._consumer is not None:
            self._client().assign([TopicPartition(*place, offset) for place, offset in at.items()])
        self._at = at

    def _fed(self, message: Message) -> Fed | None:
        """Return what a record tells; None for one of a partition that is read no more."""
        topic, place = self._topics.get(message.topic() or ""), (message.topic() or "", message.partition() or 0)
        offset = message.offset()
        if topic is None or offset is None or offset < self._at.get(place, 1 << 62):
            return None
        self._at[place] = offset + 1
        event: EntityEvent | None = None
        at_ms = message.timestamp()[1]
        try:
            event, at_ms = self._records.read(topic.tenant, message.value() or b"")
        except Poison as error:
            log.warning("notify_record_unread", topic=topic.name, partition=place[1], offset=offset, error=str(error))
        return Fed(self._once(event), at_ms, self._cursor(place))

    def _once(self, event: EntityEvent | None) -> EntityEvent | None:
        if event is None or event.event_id in self._recent:
            return None
        self._recent[event.event_id] = None
        if len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]
        return event

    def _fault(self, message: Message) -> Sequence[Fed]:
        """Act on what librdkafka says instead of a record: what the log no longer holds is told, and passed over."""
        error, place = message.error(), (message.topic() or "", message.partition() or 0)
        code = None if error is None else error.code()
        if code in _RANGE and place in self._at:
            low, high = self._bounds(place)
            before = self._at[place]
            at = low if before < low else high
            lost = max(0, low - before)
            log.error(
                "notify_events_lost", topic=place[0], partition=place[1], position=before, low=low, high=high, lost=lost
            )
            self._records.lost(lost)
            self._assign(self._at | {place: at})
            return [Fed(None, 0, self._cursor(place))]
        if error is not None and code not in _PASSING and not error.retriable():
            raise Transient(f"Kafka: {error}")
        return []

    def _bounds(self, place: Place) -> tuple[int, int]:
        try:
            low, high = self._client().get_watermark_offsets(TopicPartition(*place), timeout=REQUEST_S)
        except KafkaException as error:
            raise Transient(f"Kafka does not answer: {error}") from error
        return low, high

    def _cursor(self, place: Place) -> Cursor:
        topic = self._topics[place[0]]
        return Cursor(cursor_key(topic.topic_id, place[1]), self._at[place], topic.tenant)

    def _lag(self) -> int:
        ahead = 0
        for place, at in self._at.items():
            try:
                ahead += max(0, self._client().get_watermark_offsets(TopicPartition(*place), cached=True)[1] - at)
            except KafkaException:
                continue
        return ahead


def cursor_key(topic_id: str, partition: int) -> str:
    """Return the name of a partition's cursor."""
    return f"topic:{topic_id}:{partition}"
