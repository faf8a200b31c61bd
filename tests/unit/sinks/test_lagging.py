"""What waits for the tables: the worst stream of a source counts, and who tells it (sinks: lagging, pressure)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from schemas import topics
from schemas.definitions.source import SourceDefinition
from schemas.definitions.stream import State, StreamDefinition
from schemas.definitions.view import EMPTY, Snapshot, SourceView, StreamView, TopicView
from schemas.overload import Backlog, Level
from schemas.reasons import Reason
from schemas.wire.pressure import STALE_S, Pressure
from sinks.lagging import Place
from sinks.pressure import Round, TablePressure
from sinks.status import StreamState
from tests.fakes.clock import ManualClock
from tests.house.polling import wait_until

COUNT = 64
ALL = range(COUNT)


def source(platform: str) -> SourceView:
    given = {"platform": platform, "auth": {"type": "none"}, "overload": {"warn": {"events": 100, "ageSeconds": 60}}}
    return SourceView(
        id=f"src-{platform}", tenant="acme", platform=platform, name=platform, version=1,
        definition=SourceDefinition.model_validate(given), partitioning="source", partitions=2,
        topic=topics.raw("acme", platform), open=True,
    )  # fmt: skip


def stream(name: str, *platforms: str, desired: str = "running") -> StreamView:
    named = [f"acme.webhook.{platform}" for platform in platforms]
    definition = StreamDefinition.model_validate({"name": name, "topics": named, "targetTable": name})
    return StreamView(name, "acme", name, 1, definition, desired, 1, accept_loss=False, frozen=False)


class World:
    """One writers' process over a registry, and what it told."""

    def __init__(self, *streams: StreamView, platforms: Sequence[str] = ("shop",)) -> None:
        self.clock, self.told, self.gone = ManualClock(), list[Pressure](), list[tuple[str, str]]()
        self.streams = {one.id: one for one in streams}
        self.sources = {one.id: one for one in map(source, platforms)}
        self.elsewhere: dict[str, StreamState] = {}
        self.ends: dict[Place, int] = {}
        self.owned: Collection[int] = ALL
        self.asked: list[Place] = []
        self.pressure = TablePressure(self, self.others, self.ask, self.clock)

    def tell(self, records: Iterable[Pressure], gone: Iterable[tuple[str, str]] = ()) -> None:
        self.told = list(records)
        self.gone = list(gone)

    def others(self, ids: Collection[str]) -> Mapping[str, StreamState]:
        return {one: self.elsewhere[one] for one in ids if one in self.elsewhere}

    def ask(self, places: Sequence[Place]) -> Mapping[Place, int]:
        self.asked = list(places)
        return {place: self.ends[place] for place in places if place in self.ends}

    def snapshot(self) -> Snapshot:
        names = [topics.event("acme", one.platform) for one in self.sources.values()]
        views = {name: TopicView(name, f"id-{name}", "acme", "event", "", 2, "", paused=False) for name in names}
        return replace(EMPTY, revision=1, sources=dict(self.sources), streams=dict(self.streams), topics=views)

    def state(self, name: str, lag: int | None = 0, lag_s: float | None = 0.0, **more: Any) -> StreamState:
        given: dict[str, Any] = {
            "state": State.RUNNING,
            "generation": 1,
            "updated_at_ms": self.clock.time_ns() // 1_000_000,
        } | more
        return StreamState(name, lag_records=lag, lag_s=lag_s, **given)

    def look(self, *states: StreamState, after_s: float = 10.0) -> dict[str, Backlog]:
        self.clock.advance(after_s)
        fresh = [replace(one, updated_at_ms=self.clock.time_ns() // 1_000_000) for one in states]
        self.pressure.look(Round(self.snapshot(), self.owned, COUNT, fresh))
        return {one.source_id: one.backlog for one in self.told}


def test_the_worst_of_the_streams_that_read_a_source_counts() -> None:
    world = World(stream("a", "shop"), stream("b", "shop", "chat"), platforms=["shop", "chat", "mail"])
    found = world.look(world.state("a", 50_000, 20.0), world.state("b", 10, 40.0))
    assert found == {"src-shop": Backlog(10, 40.0), "src-chat": Backlog(10, 40.0), "src-mail": Backlog(0, 0.0)}
    assert {one.origin for one in world.told} == {"tables"}


def test_what_waits_for_a_commit_that_is_not_due_is_no_backlog() -> None:
    world = World(stream("a", "shop"))
    assert world.look(world.state("a", 500, 5.0)) == {"src-shop": Backlog(0, 0.0)}
    assert world.look(world.state("a", 500, 5.1)) == {"src-shop": Backlog(500, 5.1)}


def test_levels_are_those_of_each_source() -> None:
    world = World(stream("a", "shop"))
    world.look(world.state("a", 100, 9.0))
    assert world.told[0].level == Level.WARN
    world.look(world.state("a", 80, 9.0), after_s=1.0)
    assert world.told[0].level == Level.WARN, "left well below the threshold only"


@pytest.mark.parametrize("waits", [State.WAITING, State.FAILED])
def test_streams_that_stopped_or_wait_for_a_person_do_not_count(waits: State) -> None:
    world = World(stream("a", "shop"), stream("off", "shop", desired="stopped"), stream("odd", "shop"))
    odd = world.state("odd", 10**9, 10**6, state=waits, reason=Reason.OFFSETS_EXPIRED.value)
    assert world.look(world.state("a", 3, 7.5), odd) == {"src-shop": Backlog(3, 7.5)}
    del world.streams["a"]
    assert world.look(odd) == {"src-shop": Backlog(0, 0.0)}


def test_a_writer_that_fails_by_itself_counts_by_what_kafka_says_waits() -> None:
    world = World(stream("a", "shop"))
    at = {"id-acme.event.shop": {"0": 10, "1": 5}}
    assert world.look(world.state("a", positions=at)) == {"src-shop": Backlog(0, 0.0)}
    world.ends = {("acme.event.shop", 0): 500, ("acme.event.shop", 1): 6}
    failed = world.state("a", positions=at, state=State.FAILED, reason=Reason.WRITER_FAILED.value)
    assert world.look(failed) == {"src-shop": Backlog(491, 10.0)}, "as old as the last moment when nothing waited"
    assert world.look(failed) == {"src-shop": Backlog(491, 20.0)}
    world.ends = {}
    assert world.look(failed) == {}, "Kafka does not tell: not known"


def test_a_stream_nobody_says_anything_of_makes_its_sources_unknown() -> None:
    world = World(stream("a", "shop"), stream("b", "chat"), platforms=["shop", "chat"])
    assert world.look(world.state("b", 1, 6.0)) == {"src-chat": Backlog(1, 6.0)}
    world.elsewhere["a"] = world.state("a", 7, 8.0)
    assert world.look(world.state("b"), after_s=STALE_S / 2)["src-shop"] == Backlog(7, 8.0), "another writer's"
    assert "src-shop" not in world.look(world.state("b"), after_s=STALE_S / 2), "which has not said a word since"
    world.elsewhere["a"] = world.state("a", 7, 8.0, generation=0)
    assert "src-shop" not in world.look(world.state("b"), after_s=0.0), "of before it was started again"


def test_each_source_is_told_by_the_owner_of_its_partition_alone() -> None:
    platforms = [f"p{number}" for number in range(20)]
    told = []
    for owned in (range(0, COUNT, 2), range(1, COUNT, 2)):
        world = World(platforms=platforms)
        world.owned = owned
        told.append(set(world.look()))
    assert told[0] | told[1] == {f"src-{platform}" for platform in platforms}
    assert not told[0] & told[1]
    assert all(told)


def test_a_source_that_is_deleted_gets_a_tombstone_and_one_that_went_to_another_writer_none() -> None:
    world = World(platforms=["shop", "chat"])
    world.look()
    del world.sources["src-chat"]
    world.look()
    assert world.gone == [("src-chat", "tables")]
    world.owned = ()
    world.look()
    assert (world.told, world.gone) == ([], [])


def test_it_is_told_how_fast_the_worst_stream_reads() -> None:
    world = World(stream("a", "shop"))
    for second in range(10):
        at = {"id-acme.event.shop": {"0": 100 * second}}
        world.look(world.state("a", 5_000, 30.0, positions=at), after_s=1.0)
    assert world.told[0].drained_per_s == pytest.approx(100)


def test_a_registry_that_is_away_ends_no_thread() -> None:
    world = World(stream("a", "shop"))
    rounds = []

    def away(_ids: Collection[str]) -> Mapping[str, StreamState]:
        rounds.append(1)
        raise OSError("gone")

    pressure = TablePressure(world, away, world.ask, world.clock)
    pressure.start()
    for number in (1, 2):
        pressure.note(Round(world.snapshot(), ALL, COUNT, ()))
        wait_until(lambda most=number: len(rounds) >= most)  # type: ignore[misc]
    pressure.end()
    assert world.told == []
