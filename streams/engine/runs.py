"""The run topics that assignments name, as Kafka knows them: asked before the first event meets an assignment.

Lives here: which are there, how many partitions they have, and what happens when one is gone. Not here: matching
(streams/roles.py). An assignment is in effect exactly while its topic is there: a topic that has lost its leaders is
waited for, one that was deleted holds nobody up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from confluent_kafka import KafkaException

from schemas.definitions.role import MAX_RUNS
from schemas.definitions.view import RoleView, Snapshot
from schemas.logs import logger
from schemas.topics import Kind
from streams.engine.directory import LiveTopic, RunTopic
from streams.roles import Roles, Target

BELIEVE_S = 3.0
"""A broker that has just started may not know a topic yet: one that is missing for so long is gone."""
_AGAIN_S = 0.25
_log = logger(__name__)
Describe = Callable[[list[str]], Mapping[str, RunTopic]]


class RunTopics:
    """The run topics of a group's tenants. `describe` returns those that exist, `know` lets the producer learn of them.

    Both block, are called in a thread and raise KafkaException or TimeoutError while Kafka cannot tell.
    """

    def __init__(
        self,
        describe: Describe,
        know: Callable[[list[str]], None],
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._describe, self._know, self._monotonic, self._sleep = describe, know, monotonic, sleep
        self._there: dict[str, RunTopic | None] = {}
        self._missing: dict[str, float] = {}
        self._ids: dict[str, str] = {}
        self._wanted: dict[str, tuple[RoleView, ...]] = {}
        self._made: dict[str, tuple[Snapshot, object, Roles]] = {}
        self._asking = asyncio.Lock()

    def most(self, tenant: str) -> int:
        """Return how many runs an event of the tenant makes at most."""
        return MAX_RUNS if tenant in self._made else 0

    def gone(self) -> tuple[str, ...]:
        """Return the topics that assignments name and that are not there."""
        return tuple(name for name, topic in self._there.items() if topic is None)

    async def roles(self, snapshot: Snapshot, topic: LiveTopic) -> Roles | None:
        """Return what the events of a raw topic meet by this snapshot, None for nothing.

        Asks Kafka about topics that are new, or that the registry says have grown, and does not return before it told.
        """
        tenant = topic.name.tenant
        views = snapshot.roles.get(tenant, ())
        if not views:
            self._wanted.pop(tenant, None)
            self._made.pop(tenant, None)
            return None
        made = self._made.get(tenant)
        if made is not None and made[0] is snapshot:
            return made[2]
        raw = snapshot.topics.get(str(topic.name))
        slot = 0 if raw is None else raw.slot
        told = {view.topic: _told(snapshot, view.topic) for view in views}
        given = (views, slot, told)
        if made is not None and made[1] == given:
            found = made[2]
        else:
            self._wanted[tenant] = views
            self._forget()
            await self._ask(told)
            found = Roles(tenant, slot, views, self._targets(told))
        self._made[tenant] = (snapshot, given, found)
        return found

    def _targets(self, told: Mapping[str, "Told"]) -> dict[str, Target]:
        found = {}
        for name, (_, span, _) in told.items():
            there = self._there[name]
            if there is not None:
                found[name] = Target(name, there.partitions, span or there.partitions, there.limit)
        return found

    def _forget(self) -> None:
        """Forget topics that no assignment names any more."""
        named = {view.topic for views in self._wanted.values() for view in views}
        for known in (self._there, self._missing, self._ids):
            for name in [name for name in known if name not in named]:
                del known[name]

    async def look(self, snapshot: Snapshot) -> None:
        """Look whether the topics are as they were; called now and then. While Kafka is away they stay.

        Tenants that have no raw topic any more are forgotten: their topics go with them.
        """
        tenants = {topic.tenant for topic in snapshot.topics.values() if topic.kind == Kind.WEBHOOK}
        for tenant in [tenant for tenant in self._wanted if tenant not in tenants]:
            del self._wanted[tenant]
            self._made.pop(tenant, None)
            self._forget()
        names = sorted({view.topic for views in self._wanted.values() for view in views} & self._there.keys())
        if not names:
            return
        async with self._asking:
            try:
                found = await asyncio.to_thread(self._describe, names)
                await self._take(found, names)
            except (KafkaException, TimeoutError) as exc:
                _log.warning("run_topics_not_described", error=str(exc))

    async def _ask(self, wanted: Mapping[str, "Told"]) -> None:
        """Learn of topics that are not known, or known otherwise than the registry tells."""
        while True:
            async with self._asking:
                names = [name for name, told in wanted.items() if self._stale(name, told)]
                if not names:
                    return
                try:
                    found = await asyncio.to_thread(self._describe, names)
                    await self._take(found, names)
                except (KafkaException, TimeoutError) as exc:
                    _log.warning("run_topics_not_described", error=str(exc))
                else:
                    if all(name in self._there for name in names):
                        self._ids.update({name: wanted[name][2] for name in names})
                        return  # as they are in Kafka now, whatever the registry says
            await self._sleep(_AGAIN_S)

    def _stale(self, name: str, told: "Told") -> bool:
        there = self._there.get(name)
        if name not in self._there or self._ids.get(name) != told[2]:
            return True
        return there is not None and there.partitions < told[0]

    async def _take(self, found: Mapping[str, RunTopic], asked: Iterable[str]) -> None:
        changed = [name for name, topic in found.items() if self._there.get(name) != topic]
        if changed:
            await asyncio.to_thread(self._know, changed)  # before anything is produced to a partition that is new
        now = self._monotonic()
        for name in asked:
            if name in found:
                self._missing.pop(name, None)
                if self._there.get(name, found[name]) is None:
                    _log.info("run_topic_is_back", topic=name)
                self._there[name] = found[name]
            elif now - self._missing.setdefault(name, now) >= BELIEVE_S and self._there.get(name, 0) is not None:
                _log.error("run_topic_is_gone", topic=name, effect="its assignments make no runs until it is there")
                self._there[name] = None
                changed.append(name)
        if changed:
            self._made.clear()


Told = tuple[int, int, str]
"""What the registry tells of a run topic: partitions, those of a group's range, its id when it was made."""


def _told(snapshot: Snapshot, topic: str) -> Told:
    view = snapshot.topics.get(topic)
    return (0, 0, "") if view is None else (view.partitions, view.span, view.topic_id)
