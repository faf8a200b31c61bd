"""Faust's conductor following the registry: raw topics of the group come and go, pause and resume, without a restart.

Lives here: the live set of topics. Not here: seeking (consumer.py), what Kafka says of topics (directory.py).
Private names of Faust: README.md beside this file.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException
from faust.transport.conductor import Conductor
from mode import Service

from schemas.definitions.view import Snapshot, TopicView
from schemas.logs import logger
from schemas.topics import Kind
from streams.engine.directory import Directory, LiveTopic

if TYPE_CHECKING:
    from streams.engine.app import App

_log = logger(__name__)
_FOLLOW_S = 0.25
_CHECK_S = 5.0
TopicsOf = Callable[[], Mapping[str, TopicView]]


def raw_topics(snapshot: Snapshot, group: str) -> dict[str, TopicView]:
    """Return the raw topics of a group by name (rule 11)."""
    return {
        topic.name: topic for topic in snapshot.topics.values() if topic.kind == Kind.WEBHOOK and topic.group == group
    }


async def resolve(directory: Directory, topics: Mapping[str, TopicView]) -> dict[str, LiveTopic]:
    """Ask Kafka about topics, in a thread; those that are not complete are left out, and all while Kafka is away."""
    try:
        found = await asyncio.to_thread(directory.resolve, list(topics))
    except (KafkaException, TimeoutError) as exc:
        _log.warning("topics_not_described", error=str(exc))
        return {}
    return found


def told_otherwise(topics: Mapping[str, TopicView], live: Mapping[str, LiveTopic]) -> list[str]:
    """Return the topics whose id in the registry is not Kafka's: made anew since, Kafka's counts (rule 19)."""
    return [name for name, topic in live.items() if name in topics and topics[name].topic_id != topic.topic_id]


class RegistryConductor(Conductor):
    """Subscribes to `app.live`; a change is one rebalance of this group of one process."""

    app: "App"
    _resubscribe_sleep_lock_seconds = 0.1
    _subscribed: frozenset[str] | None = None

    async def _update_indices(self) -> Iterable[str]:
        await super()._update_indices()
        wanted = frozenset(self.app.live)
        if self._subscribed is None:
            await self.app.batch_consumer.evict(await asyncio.to_thread(self.app.directory.members, self.app.conf.id))
            self._hold(self.app.topics_of())  # before the first fetch
        elif wanted != self._subscribed:
            await self.app.batch_consumer.commit_all()  # subscribe() drops the assignment
        self._subscribed = wanted
        return wanted

    @Service.task
    async def _follow(self) -> None:
        due = 0.0
        while not self.should_stop:
            await self.sleep(_FOLLOW_S)
            if self._subscribed is None or self.app.rebalancing:
                continue
            due -= _FOLLOW_S
            topics = self.app.topics_of()
            if frozenset(topics) != frozenset(self.app.live) or due <= 0:
                due = _CHECK_S
                await self._look(topics)
            if frozenset(self.app.live) != self._subscribed:
                self._flag_changes()
            self._hold(topics)

    def _hold(self, topics: Mapping[str, TopicView]) -> None:
        self.app.batch_consumer.hold(name for name, topic in topics.items() if topic.paused)

    async def _look(self, topics: Mapping[str, TopicView]) -> None:
        """Take over what Kafka says of the wanted topics; a topic made anew under an old name ends the process."""
        found = await resolve(self.app.directory, topics)
        live = {name: found.get(name) or self.app.live.get(name) for name in topics}
        changed = [
            name for name, old in self.app.live.items() if name in found and found[name].topic_id != old.topic_id
        ]
        wanted: dict[str, Any] = {name: topic for name, topic in live.items() if topic is not None}
        if changed or (not wanted and not topics):
            await self.app.batch_consumer.commit_all()
            self.app.end(f"topics made anew: {changed}" if changed else "no topic is left", None)
        grown = {topic.ledger for name, topic in wanted.items() if _more(topic, self.app.live.get(name))}
        if grown and not await self._known(sorted(grown)):
            return
        if wanted and wanted != self.app.live:
            if other := told_otherwise(topics, wanted):
                _log.warning("topic_ids_differ_from_registry", topics=other)
            self.app.live = wanted

    async def _known(self, topics: list[str]) -> bool:
        """Let the producer learn of the partitions that ledgers have got; False while Kafka cannot tell."""
        try:
            await asyncio.to_thread(self.app.transactions.know, topics)
        except KafkaException as exc:
            _log.warning("topics_not_described", error=str(exc))
            return False
        return True


def _more(topic: LiveTopic, old: LiveTopic | None) -> bool:
    return old is not None and topic.ledger_partitions > old.ledger_partitions
