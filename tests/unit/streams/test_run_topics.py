"""What the stage knows of run topics: asked before an assignment meets its first event, gone only when it is sure."""

import dataclasses
from collections.abc import Mapping

import pytest
from confluent_kafka import KafkaError, KafkaException

from schemas.definitions.role import MAX_RUNS
from schemas.definitions.view import EMPTY, RoleView, Snapshot, TopicView
from streams.engine.directory import LiveTopic, RunTopic
from streams.engine.runs import BELIEVE_S, RunTopics
from streams.roles import Roles
from tests.unit.streams.made import PLACE

TOPIC = LiveTopic(PLACE.raw, PLACE.topic_id, 4, PLACE.event, PLACE.quarantine, "acme.ledger", 4, PLACE.limits)
RUN = "acme.run.agent"


class World:
    """Kafka and a clock that the stage's sleeping moves."""

    def __init__(self, **there: int) -> None:
        self.there = {f"acme.run.{name}": RunTopic(count, 1_000) for name, count in there.items()}
        self.now, self.asked, self.known, self.away = 0.0, list[list[str]](), list[list[str]](), 0
        self.runs = RunTopics(self.describe, self.known.append, lambda: self.now, self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def describe(self, names: list[str]) -> Mapping[str, RunTopic]:
        self.asked.append(names)
        if self.away:
            self.away -= 1
            raise KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN))
        return {name: self.there[name] for name in names if name in self.there}

    async def taken(self, snapshot: Snapshot) -> list[tuple[str, int, int]]:
        """Return the topics that an event meets, with their partitions and the width of a range."""
        found = await self.runs.roles(snapshot, TOPIC)
        taken = None if found is None else found.taken("webhook.shop", "x")
        return (
            [(each.target.topic, each.target.partitions, each.target.span) for each in taken.assignments]
            if taken
            else []
        )


def shown(*targets: str, partitions: int = 4, topic_id: str = "id", slot: int = 0) -> Snapshot:
    views = tuple(RoleView(f"id-{name}", name, "*", name, f"acme.run.{name}") for name in targets)
    topics = {view.topic: TopicView(view.topic, topic_id, "acme", "run", view.target, partitions, "", False, span=4)
              for view in views}  # fmt: skip
    raw = TopicView(str(TOPIC.name), "", "acme", "webhook", "shop", 4, "1", False, slot=slot)
    return dataclasses.replace(
        EMPTY, revision=1, topics=topics | {raw.name: raw}, roles={"acme": views} if views else {}
    )


async def test_a_tenant_without_assignments_costs_no_question() -> None:
    world = World()
    assert await world.runs.roles(shown(), TOPIC) is None
    assert (world.asked, world.runs.most("acme")) == ([], 0)


async def test_an_assignment_is_in_effect_with_the_first_event_that_its_snapshot_decides() -> None:
    world = World(agent=4)
    snapshot = shown("agent")
    found = await world.runs.roles(snapshot, TOPIC)
    assert isinstance(found, Roles)
    assert await world.runs.roles(snapshot, TOPIC) is found
    assert await world.runs.roles(dataclasses.replace(snapshot, revision=2), TOPIC) is found
    assert await world.taken(snapshot) == [(RUN, 4, 4)]
    assert (world.asked, world.known, world.runs.most("acme")) == ([[RUN]], [[RUN]], MAX_RUNS)
    assert await world.runs.roles(shown(), TOPIC) is None
    assert world.runs.most("acme") == 0


async def test_it_waits_while_kafka_cannot_tell() -> None:
    world = World(agent=4)
    world.away = 3
    assert await world.taken(shown("agent")) == [(RUN, 4, 4)]
    assert len(world.asked) == 4


async def test_a_topic_that_is_not_there_is_asked_for_again_before_it_is_gone() -> None:
    world = World(agent=4)
    assert await world.taken(shown("agent", "never")) == [(RUN, 4, 4)]
    assert world.now >= BELIEVE_S
    assert world.runs.gone() == ("acme.run.never",)
    late = World()
    late.there = {}
    describe = late.describe

    def starting(names: list[str]) -> Mapping[str, RunTopic]:
        if late.now > BELIEVE_S / 2:
            late.there[RUN] = RunTopic(4, 1_000)
        return describe(names)

    late.runs = RunTopics(starting, late.known.append, lambda: late.now, late.sleep)
    assert await late.taken(shown("agent")) == [(RUN, 4, 4)]


async def test_a_topic_that_vanishes_is_out_of_effect_once_it_is_sure_and_back_when_it_is() -> None:
    world = World(agent=4)
    snapshot = shown("agent")
    await world.taken(snapshot)
    kept = world.there.pop(RUN)
    await world.runs.look(snapshot)
    assert await world.taken(snapshot) == [(RUN, 4, 4)]
    world.now += BELIEVE_S
    world.away = 1
    await world.runs.look(snapshot)
    assert await world.taken(snapshot) == [(RUN, 4, 4)]
    await world.runs.look(snapshot)
    assert await world.taken(snapshot) == []
    world.there[RUN] = kept
    await world.runs.look(snapshot)
    assert await world.taken(snapshot) == [(RUN, 4, 4)]
    assert world.runs.gone() == ()


async def test_a_topic_made_anew_by_an_assignment_is_met_at_once() -> None:
    world = World()
    assert await world.taken(shown("agent")) == []
    world.there[RUN] = RunTopic(8, 1_000)
    assert await world.taken(shown("agent", topic_id="another")) == [(RUN, 8, 4)]


async def test_a_topic_that_grew_is_learnt_before_a_group_writes_its_range() -> None:
    world = World(agent=4)
    await world.taken(shown("agent"))
    world.there[RUN] = RunTopic(8, 1_000)
    assert await world.taken(shown("agent", partitions=8, slot=1)) == [(RUN, 8, 4)]
    assert world.known == [[RUN], [RUN]]


async def test_topics_that_no_assignment_names_any_more_are_forgotten() -> None:
    world = World(agent=4, other=4)
    await world.taken(shown("agent", "other"))
    await world.taken(shown("agent"))
    await world.runs.look(shown("agent"))
    assert world.asked[-1] == [RUN]


async def test_topics_of_a_tenant_that_was_deleted_are_not_looked_for(caplog: pytest.LogCaptureFixture) -> None:
    world = World(agent=4)
    await world.taken(shown("agent"))
    asked, world.there = len(world.asked), {}
    for _ in range(3):
        await world.runs.look(EMPTY)
        world.now += BELIEVE_S
    assert (len(world.asked), world.runs.gone(), caplog.records) == (asked, (), [])


@pytest.mark.parametrize("fault", [KafkaException(KafkaError(KafkaError._TIMED_OUT)), TimeoutError()])
async def test_what_the_producer_cannot_learn_yet_is_not_written_to(fault: Exception) -> None:
    world = World(agent=4)
    faults = [fault]

    def know(names: list[str]) -> None:
        if faults:
            raise faults.pop()
        world.known.append(names)

    world.runs = RunTopics(world.describe, know, lambda: world.now, world.sleep)
    assert await world.taken(shown("agent")) == [(RUN, 4, 4)]
    assert (world.known, world.now) == ([[RUN]], 0.25)
