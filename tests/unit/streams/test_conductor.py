"""Following the registry: which topics are live, what ends the process, what is paused before anything is read.

Kafka that does not answer in time leaves topics as they are (fault suite: a slow answer ended the stage).
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from confluent_kafka import KafkaError, KafkaException
from faust.transport.conductor import Conductor

from schemas.definitions.view import EMPTY, TopicView
from streams.engine.conductor import RegistryConductor, raw_topics, resolve
from streams.engine.directory import LiveTopic
from tests.unit.streams.test_ingest import TOPIC

NAME = str(TOPIC.name)


class EndedError(Exception):
    """The process would have ended."""


@pytest.mark.parametrize("away", [KafkaException(KafkaError(KafkaError._TRANSPORT)), TimeoutError()])
async def test_topics_that_cannot_be_described_now_are_left_out(away: Exception) -> None:
    def refuse(_names: list[str]) -> Any:
        raise away

    directory: Any = SimpleNamespace(resolve=refuse)
    topics: Any = {"t.webhook.x": None}
    assert await resolve(directory, topics) == {}


def view(name: str = NAME, *, group: str = "0", kind: str = "webhook", paused: bool = False) -> TopicView:
    return TopicView(
        name=name, topic_id=TOPIC.topic_id, tenant="acme", kind=kind, platform="shop", partitions=4, group=group,
        paused=paused,
    )  # fmt: skip


def test_a_group_follows_its_own_raw_topics_only() -> None:
    topics = {
        one.name: one
        for one in (view(), view("acme.webhook.other", group="1"), view("acme.event.shop", kind="event"))
    }  # fmt: skip
    assert list(raw_topics(replace(EMPTY, topics=topics), "0")) == [NAME]


class Followed:
    """An app whose directory finds `found`; notes what is done, in order."""

    def __init__(self, live: dict[str, LiveTopic], found: dict[str, LiveTopic]) -> None:
        self.live, self.did, self.rebalancing = live, list[Any](), False
        self.directory = SimpleNamespace(
            resolve=lambda names: {name: found[name] for name in names if name in found},
            members=lambda _group: ["dead"],
        )
        self.batch_consumer, self.conf, self.topics = self, SimpleNamespace(id="g"), {NAME: view(paused=True)}

    def topics_of(self) -> dict[str, TopicView]:
        return self.topics

    def end(self, why: str, _cause: BaseException | None) -> NoReturn:
        raise EndedError(why)

    async def commit_all(self) -> None:
        self.did.append("committed")

    async def evict(self, members: Iterable[str]) -> None:
        self.did.append(("evicted", *members))

    def hold(self, paused: Iterable[str]) -> None:
        self.did.append(("held", *paused))


def conductor(app: Followed) -> Any:
    made = RegistryConductor.__new__(RegistryConductor)
    made.__dict__["app"] = app
    return made


async def test_a_topic_that_is_added_is_taken_over_and_one_that_went_is_dropped() -> None:
    app = Followed({NAME: TOPIC}, {"b": TOPIC})
    await conductor(app)._look({"b": view("b")})
    assert (app.live, app.did) == ({"b": TOPIC}, [])


async def test_a_topic_that_kafka_cannot_describe_now_stays() -> None:
    app = Followed({NAME: TOPIC}, {"b": TOPIC})
    await conductor(app)._look({NAME: view(), "b": view("b")})
    assert app.live == {NAME: TOPIC, "b": TOPIC}


async def test_a_topic_made_anew_under_its_name_ends_the_process_after_a_commit() -> None:
    app = Followed({NAME: TOPIC}, {NAME: replace(TOPIC, topic_id="another")})
    with pytest.raises(EndedError, match="made anew"):
        await conductor(app)._look({NAME: view()})
    assert app.did == ["committed"]


async def test_the_last_topic_to_go_ends_the_process_and_kafka_being_away_does_not() -> None:
    app = Followed({NAME: TOPIC}, {})
    await conductor(app)._look({NAME: view()})
    with pytest.raises(EndedError, match="no topic is left"):
        await conductor(app)._look({})


async def test_dead_members_go_and_topics_are_paused_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_self: Conductor) -> list[str]:
        return []

    monkeypatch.setattr(Conductor, "_update_indices", nothing)
    app = Followed({NAME: TOPIC}, {})
    made = conductor(app)
    assert await made._update_indices() == {NAME}
    assert app.did == [("evicted", "dead"), ("held", NAME)]
    assert await made._update_indices() == {NAME}
    app.live["b"] = TOPIC
    assert await made._update_indices() == {NAME, "b"}
    assert app.did[2:] == ["committed"]  # once: subscribing drops the assignment


class Following:
    """The loop that follows, for some rounds; `each` is called before every one."""

    _look, _hold = RegistryConductor._look, RegistryConductor._hold

    def __init__(self, app: Followed, rounds: int, each: Callable[[int], None]) -> None:
        self.app, self._rounds, self._each, self._round = app, rounds, each, 0
        self._subscribed: frozenset[str] | None = frozenset(app.live)
        self.flagged = 0

    @property
    def should_stop(self) -> bool:
        return self._round >= self._rounds

    async def sleep(self, _seconds: float) -> None:
        self._round += 1
        self._each(self._round)

    def _flag_changes(self) -> None:
        self.flagged += 1
        self._subscribed = frozenset(self.app.live)


async def follow(made: Following) -> None:
    given: Any = made
    await RegistryConductor._follow.fun(given)


async def test_a_pause_is_taken_over_in_every_round_and_kafka_asked_now_and_then() -> None:
    app, asked = Followed({NAME: TOPIC}, {}), list[list[str]]()

    def resolved(names: list[str]) -> dict[str, LiveTopic]:
        asked.append(names)
        return {}

    app.directory.resolve = resolved

    def each(number: int) -> None:
        app.topics = {NAME: view(paused=number % 2 == 0)}

    made = Following(app, 42, each)
    await follow(made)
    assert app.did == [("held",), ("held", NAME)] * 21
    assert (len(asked), made.flagged) == (3, 0)  # 5 s are 20 rounds


async def test_a_topic_that_the_registry_adds_is_subscribed_to_at_once_but_not_while_a_rebalance_runs() -> None:
    app = Followed({NAME: TOPIC}, {NAME: TOPIC, "b": TOPIC})
    live = list[int]()

    def each(number: int) -> None:
        live.append(len(app.live))
        app.rebalancing = 2 < number < 6
        if number == 3:
            app.topics = {NAME: view(), "b": view("b")}

    made = Following(app, 8, each)
    await follow(made)
    assert (live, made.flagged) == ([1, 1, 1, 1, 1, 1, 2, 2], 1)
