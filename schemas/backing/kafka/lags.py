"""How much waits for the stage, told by Kafka to whoever asks: ends of raw logs beside the worker groups' offsets.

Lives here: the question. The stage's own positions are in its changelog; the group's offsets follow them within
seconds, never ahead, so what is told to wait may be done already, and what is told to be done is. Blocking.
A consumer that joins no group reads them: an AdminClient's question ends the process by signal 11 where the group's
coordinator has moved (https://github.com/confluentinc/confluent-kafka-javascript/issues/374, so still in 2.16).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.backing.kafka.errors import explained
from schemas.backing.kafka.topics import REQUEST_TIMEOUT_S, Topics
from schemas.definitions.view import TopicView

Place = tuple[str, int]
"""(topic name, partition)."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a partition is decided, and how many of its records wait; those that expired do neither."""

    decided: int
    waiting: int


class Lags:
    """Asks one cluster. Raises `Transient` and `Refused(broker_refused)` as `Topics` does."""

    def __init__(self, kafka: Mapping[str, Any], topics: Topics) -> None:
        self._kafka = dict(kafka)
        self._topics = topics

    def waiting(self, raw_topics: Iterable[TopicView]) -> dict[Place, int]:
        """Return how many records of each partition of raw topics wait for the stage; expired ones do not count.

        A topic that Kafka does not have is left out.
        """
        return {place: standing.waiting for place, standing in self.standing(raw_topics).items()}

    def standing(self, raw_topics: Iterable[TopicView]) -> dict[Place, Standing]:
        """Return where each partition of raw topics stands; a topic that Kafka does not have is left out."""
        wanted = {topic.name: topic for topic in raw_topics}
        there = self._topics.describe(wanted)
        places = [(name, number) for name, found in there.items() for number in range(found.partitions)]
        ends = self._topics.offsets(places, "latest")
        starts = self._topics.offsets([place for place in places if ends.get(place)], "earliest")
        groups: dict[str, list[Place]] = {}
        for place in starts:
            groups.setdefault(wanted[place[0]].group, []).append(place)
        decided = {place: at for group, own in groups.items() for place, at in self._decided(group, own).items()}
        at = {place: max(start, decided.get(place, 0)) for place, start in starts.items()}
        return {
            place: Standing(at[place], ends[place] - at[place]) if place in at else Standing(ends.get(place, 0), 0)
            for place in places
        }

    def _decided(self, group: str, places: Iterable[Place]) -> dict[Place, int]:
        asked = [TopicPartition(*place) for place in places]
        with explained("reading the stage's offsets"):
            consumer = Consumer({**self._kafka, "group.id": f"hookberg-{group}", "enable.auto.commit": False})
            try:
                found = consumer.committed(asked, timeout=REQUEST_TIMEOUT_S)
            finally:
                consumer.close()
            for part in found:
                if part.error is not None:
                    raise KafkaException(part.error)
        return {(part.topic, part.partition): part.offset for part in found if part.offset >= 0}
