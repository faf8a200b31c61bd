"""What Kafka says of topics: ids, partition counts, size limits. The id is Kafka's, never the registry's (rule 19).

Lives here: describing topics, in a thread. Not here: which topics a group follows (conductor.py).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType  # type: ignore[attr-defined]

from schemas import topics
from schemas.backing.kafka import topic_id_text
from schemas.backing.kafka.errors import NOT_THERE, code
from schemas.topics import TopicName
from streams.emit import Limits, Place

_ASK_S = 15.0
_SIZE_S = 60.0
_MAX_MESSAGE = "max.message.bytes"


@dataclass(frozen=True, slots=True)
class LiveTopic:
    """A raw topic with the topics that its events go to, as Kafka knows them."""

    name: TopicName
    topic_id: str
    partitions: int
    event: str
    quarantine: str
    ledger: str
    ledger_partitions: int
    limits: Limits

    def place(self, partition: int) -> Place:
        """Return the place of one of its partitions."""
        return Place(self.name, self.topic_id, partition, self.event, self.quarantine, self.limits)


class RunTopic(NamedTuple):
    """A run topic as Kafka knows it, whether its partitions have leaders now or not; `limit`: its largest record."""

    partitions: int
    limit: int


class Directory:
    """Asks Kafka; every call blocks for at most `_ASK_S` seconds and raises KafkaException when Kafka is away."""

    def __init__(self, kafka: Mapping[str, Any], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._kafka, self._monotonic = dict(kafka), monotonic
        self._admin: AdminClient | None = None
        self._told: dict[str, tuple[float, int]] = {}

    @property
    def admin(self) -> AdminClient:
        """Return the client, made at first use."""
        if self._admin is None:
            self._admin = AdminClient(self._kafka)
        return self._admin

    def ids(self, names: Iterable[str]) -> dict[str, tuple[str, int]]:
        """Return (topic id, partitions) of the topics that exist and have a leader for every partition."""
        wanted = list(names)
        if not wanted:
            return {}
        found: dict[str, tuple[str, int]] = {}
        for name, future in self.admin.describe_topics(TopicCollection(wanted), request_timeout=_ASK_S).items():
            try:
                told: Any = future.result(_ASK_S)
            except KafkaException as exc:
                if exc.args[0].retriable() or exc.args[0].fatal():
                    raise
                continue
            if told.partitions and all(part.leader is not None and part.leader.id >= 0 for part in told.partitions):
                found[name] = (topic_id_text(told.topic_id), len(told.partitions))
        return found

    def offsets(
        self, partitions: Mapping[tuple[str, int], Any], spec: OffsetSpec, timeout_s: float = _ASK_S
    ) -> dict[Any, int]:
        """Return the first or next offset (`spec`) of (topic name, partition), by what the caller calls each.

        A partition that Kafka cannot answer for now is left out: one without a leader, or all while Kafka is away.
        """
        asked = {TopicPartition(name, number): spec for name, number in partitions}
        return {partitions[place.topic, place.partition]: told.offset for place, told in self._list(asked, timeout_s)}

    def after(self, partitions: Mapping[tuple[str, int], int], timeout_s: float = _ASK_S) -> dict[Any, tuple[int, int]]:
        """Return offset and time (ms) of the first record of (topic name, partition) that is younger than a time (ms).

        (-1, -1) where there is none; partitions that Kafka cannot answer for now are left out.
        """
        asked = {
            TopicPartition(name, number): OffsetSpec.for_timestamp(at_ms + 1)
            for (name, number), at_ms in partitions.items()
        }
        return {
            (place.topic, place.partition): (told.offset, told.timestamp)
            for place, told in self._list(asked, timeout_s)
        }

    def _list(self, asked: dict[TopicPartition, OffsetSpec], timeout_s: float) -> Iterator[tuple[TopicPartition, Any]]:
        if not asked:
            return
        for place, future in self.admin.list_offsets(asked, request_timeout=timeout_s).items():
            try:
                yield place, future.result(timeout_s)
            except (KafkaException, TimeoutError):
                continue

    def members(self, group: str) -> list[str]:
        """Return the ids of a Kafka group's members, the dead ones that it still waits for included."""
        try:
            told: Any = self.admin.describe_consumer_groups([group], request_timeout=_ASK_S)[group].result(_ASK_S)
        except KafkaException:
            return []
        return [member.member_id for member in told.members]

    def resolve(self, raw_topics: Iterable[str]) -> dict[str, LiveTopic]:
        """Return the raw topics that are complete: they and their event, quarantine and ledger topics exist."""
        parsed = {name: where for name in raw_topics if (where := topics.parse(name)) is not None}
        outputs = {name: _outputs(where) for name, where in parsed.items()}
        ids = self.ids({*parsed, *(topic for out in outputs.values() for topic in out)})
        complete = {name: out for name, out in outputs.items() if name in ids and all(topic in ids for topic in out)}
        sizes = self.sizes({topic for event, quarantine, _ in complete.values() for topic in (event, quarantine)})
        return {
            name: LiveTopic(
                name=parsed[name],
                topic_id=ids[name][0],
                partitions=ids[name][1],
                event=event,
                quarantine=quarantine,
                ledger=ledger,
                ledger_partitions=ids[ledger][1],
                limits=Limits(sizes[event], sizes[quarantine]),
            )
            for name, (event, quarantine, ledger) in complete.items()
        }

    def runs(self, names: Iterable[str]) -> dict[str, RunTopic]:
        """Return the run topics that exist; raises KafkaException when Kafka cannot tell of one."""
        counts: dict[str, int] = {}
        for name, future in self.admin.describe_topics(TopicCollection(list(names)), request_timeout=_ASK_S).items():
            try:
                told: Any = future.result(_ASK_S)
            except KafkaException as exc:
                if code(exc) not in NOT_THERE:
                    raise
                continue
            counts[name] = len(told.partitions)
        sizes = self.sizes(counts)
        return {name: RunTopic(count, sizes[name]) for name, count in counts.items()}

    def sizes(self, names: Iterable[str]) -> dict[str, int]:
        """Return `max.message.bytes` of topics; an answer counts for a while, for it lists every setting of a topic."""
        wanted, now = list(names), self._monotonic()
        stale = [name for name in wanted if name not in self._told or now - self._told[name][0] > _SIZE_S]
        if stale:
            resources = [ConfigResource(ResourceType.TOPIC, name) for name in stale]
            for resource, future in self.admin.describe_configs(resources, request_timeout=_ASK_S).items():
                self._told[resource.name] = now, int(future.result(_ASK_S)[_MAX_MESSAGE].value)
        return {name: self._told[name][1] for name in wanted}


def _outputs(where: TopicName) -> tuple[str, str, str]:
    tenant, platform = where.tenant, where.target
    return topics.event(tenant, platform), topics.quarantine(tenant, platform), topics.ledger(tenant)
