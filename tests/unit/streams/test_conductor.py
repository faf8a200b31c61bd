"""Following the registry: which topics are live, what ends the process, what is paused before anything is read.

Kafka that does not answer in time leaves topics as they are (fault suite: a slow answer ended the stage).
"""

from collections.abc import Iterable
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
        self.live, self.did = live, list[Any]()
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
