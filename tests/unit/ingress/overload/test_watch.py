"""What a worker knows of backlogs: told, aged, measured by itself; what is unknown is calm; memory is bounded."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from ingress.overload import measure
from ingress.overload.measure import Backlogs, Measure
from ingress.overload.watch import OWN_FRESH_S, Watch
from schemas.backing.kafka.lags import Place, Standing
from schemas.definitions.view import SourceView, TopicView
from schemas.errors import Transient
from schemas.overload import Level
from schemas.reasons import Reason
from schemas.wire.pressure import STALE_S, Origin, Pressure
from tests.fakes.edge import Edge
from tests.fakes.registry import key, snapshot, source

LIMITS = {
    "warn": {"events": 100, "ageSeconds": 10},
    "alarm": {"events": 1_000, "ageSeconds": 100},
    "bound": {"events": 10_000, "ageSeconds": 1_000, "bytes": 10**9},
}
HEADERS = {"X-Tenant-Id": "acme", "Authorization": "Bearer hbk_a"}


def shop(policy: str = "reject", name: str = "shop") -> SourceView:
    return source(name, auth="none", overload={"policy": policy, **LIMITS})


def edge(*sources: SourceView) -> Edge:
    return Edge(snapshot(sources or [shop()], keys={"hbk_a": key()}))


def record(
    one: Edge,
    level: Level,
    events: int = 2_000,
    *,
    of: str = "src-acme-shop",
    origin: Origin = "stage",
    age_s: float = 0,
) -> tuple[str, str, Pressure]:
    at_ms = one.clock.time_ns() // 1_000_000 - int(age_s * 1000)
    return of, origin, Pressure("acme", of, origin, at_ms, level, events, 0.0, 0, 100.0, 0.0)


def refused(watch: Watch, of: str = "src-acme-shop") -> Reason | None:
    meets = watch.strained.get(of)
    return None if meets is None else meets.refused


def test_a_record_counts_until_a_calm_one_comes() -> None:
    one = edge()
    assert one.overload.strained == {}
    one.overload.take([record(one, Level.ALARM)])
    assert refused(one.overload) is Reason.BACKLOG_ALARM
    assert one.overload.levels() == {"warn": 0, "alarm": 1, "bound": 0}
    one.overload.take([record(one, Level.BOUND)])
    assert refused(one.overload) is Reason.BACKLOG_BOUND
    one.overload.take([record(one, Level.WARN)])  # which a source that rejects does nothing about
    assert one.overload.strained == {}
    one.overload.take([record(one, Level.ALARM), record(one, Level.CALM, 0)])
    assert one.overload.strained == {}


def test_the_worse_of_stage_and_tables_counts() -> None:
    one = edge()
    one.overload.take([record(one, Level.CALM, 0), record(one, Level.ALARM, origin="tables")])
    assert refused(one.overload) is Reason.BACKLOG_ALARM
    one.overload.take([record(one, Level.BOUND)])
    assert refused(one.overload) is Reason.BACKLOG_BOUND
    one.overload.take([record(one, Level.CALM, 0)])
    assert refused(one.overload) is Reason.BACKLOG_ALARM
    one.overload.take([("src-acme-shop", "tables", None)])
    assert one.overload.strained == {}


def test_a_record_that_is_too_old_makes_no_refusal_up() -> None:
    one = edge()
    one.overload.take([record(one, Level.BOUND, age_s=STALE_S + 1)])
    assert one.overload.strained == {}
    one.overload.take([record(one, Level.BOUND, age_s=STALE_S - 1)])
    assert refused(one.overload) is Reason.BACKLOG_BOUND
    one.clock.advance(2)
    one.overload.tend()
    assert one.overload.strained == {}
    assert one.overload.unknown(["src-acme-shop"]) == ["src-acme-shop"]


def test_of_two_that_tell_for_a_moment_the_newer_counts_while_it_is_fresh() -> None:
    one = edge()
    one.overload.take([record(one, Level.CALM, 0), record(one, Level.BOUND, age_s=2)])
    assert one.overload.strained == {}
    one.overload.take([record(one, Level.CALM, 0, age_s=-60)])  # by a clock that is ahead
    one.clock.advance(STALE_S + 1)
    one.overload.take([record(one, Level.BOUND)])
    assert refused(one.overload) is Reason.BACKLOG_BOUND


def test_records_of_nobodys_sources_are_let_go_of() -> None:
    one = edge()
    one.overload.take([record(one, Level.ALARM, of=f"src-{number}") for number in range(500)])
    assert one.overload.strained == {}
    one.overload.tend()
    assert len(one.overload._told) == len(one.overload._raised) == 0


def test_thresholds_may_change_and_the_source_may_go() -> None:
    one = edge(shop("queue"))
    one.overload.take([record(one, Level.WARN, 550)])
    assert one.overload.strained["src-acme-shop"].delay_s == pytest.approx(4.0)
    one.view.now = snapshot([shop("reject")])
    one.overload.tend()
    assert one.overload.strained == {}
    one.overload.take([record(one, Level.ALARM)])
    one.view.now = snapshot([])
    one.overload.tend()
    assert one.overload.strained == {}


class Kafka:
    """Answers as Lags does, or is away."""

    def __init__(self) -> None:
        self.found: dict[Place, Standing] = {}
        self.asked: list[list[str]] = []
        self.fault: Exception | None = None

    def standing(self, topics: Iterable[TopicView]) -> Mapping[Place, Standing]:
        self.asked.append([topic.name for topic in topics])
        if self.fault is not None:
            raise self.fault
        return self.found


def looking(one: Edge, kafka: Kafka) -> Measure:
    given = Backlogs(ask=kafka.standing, away=lambda: one.publisher.away)
    return Measure(one.overload, one.view, one.tally, one.clock, given)


async def posted(one: Edge, platform: str = "shop") -> int:
    status = (await one.post(f"/api/v1/webhooks/{platform}", b"1", HEADERS)).status
    await one.tally.flush()
    return status


async def test_the_edge_measures_active_sources_of_whom_nobody_tells() -> None:
    one, kafka = edge(shop(), shop(name="quiet")), Kafka()
    kafka.found = {("acme.webhook.shop", 0): Standing(5, 600), ("acme.webhook.shop", 1): Standing(5, 500)}
    assert await posted(one) == 200
    await looking(one, kafka).look()
    assert kafka.asked == [["acme.webhook.shop"]]
    assert await posted(one) == 429
    one.overload.take([record(one, Level.CALM, 0)])  # the stage is back: what it says counts
    assert await posted(one) == 200
    await looking(one, kafka).look()
    assert len(kafka.asked) == 1


async def test_a_position_that_stands_still_grows_old() -> None:
    one, kafka = edge(shop("queue")), Kafka()
    await posted(one)
    look = looking(one, kafka)
    kafka.found = {("acme.webhook.shop", 0): Standing(5, 1)}
    await look.look()
    assert one.overload.strained == {}
    one.clock.advance(55)
    await look.look()
    assert one.overload.strained["src-acme-shop"].delay_s == pytest.approx(4.0)
    kafka.found = {("acme.webhook.shop", 0): Standing(6, 1)}
    await look.look()
    assert one.overload.strained == {}


async def test_kafka_is_not_asked_while_it_is_away() -> None:
    one, kafka = edge(), Kafka()
    await posted(one)
    one.publisher.away = "no broker can be reached"
    await looking(one, kafka).look()
    assert kafka.asked == []
    one.publisher.away = None
    await looking(one, kafka).look()
    assert len(kafka.asked) == 1


async def test_a_paused_source_is_calm_however_much_waits() -> None:
    one, kafka = edge(), Kafka()
    await posted(one)
    kafka.found = {("acme.webhook.shop", 0): Standing(0, 10**6)}
    await looking(one, kafka).look()
    assert await posted(one) == 503
    paused = shop()
    paused = replace(paused, definition=paused.definition.model_copy(update={"paused": True}))
    one.view.now = snapshot([paused], keys={"hbk_a": key()})
    await looking(one, kafka).look()
    assert await posted(one) == 200


@pytest.mark.parametrize("fault", [Transient("Kafka is away"), OSError("a bug")])
async def test_what_cannot_be_measured_either_is_calm(fault: Exception) -> None:
    one, kafka = edge(), Kafka()
    kafka.found = {("acme.webhook.shop", 0): Standing(0, 5_000)}
    await posted(one)
    look = looking(one, kafka)
    await look.look()
    assert await posted(one) == 429
    kafka.fault = fault
    one.clock.advance(OWN_FRESH_S + 1)
    await look.look()
    one.overload.tend()
    assert await posted(one) == 200


async def test_what_is_measured_has_hysteresis_as_what_is_told() -> None:
    one, kafka = edge(), Kafka()
    await posted(one)
    seen = []
    for waiting in (1_000, 800, 699, 999):
        kafka.found = {("acme.webhook.shop", 0): Standing(waiting, waiting)}
        await looking(one, kafka).look()
        seen.append(refused(one.overload))
    assert seen == [Reason.BACKLOG_ALARM, Reason.BACKLOG_ALARM, None, None]


async def test_of_very_many_sources_a_bounded_number_is_asked_for_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "MAX_TOPICS", 2)
    one, kafka = edge(*(shop(name=f"shop{number}") for number in range(5))), Kafka()
    for number in range(5):
        await posted(one, f"shop{number}")
    look = looking(one, kafka)
    for _ in range(3):
        await look.look()
    assert [len(names) for names in kafka.asked] == [2, 2, 2]
    assert {name for names in kafka.asked for name in names} == {f"acme.webhook.shop{number}" for number in range(5)}
    one.clock.advance(61)
    await one.tally.flush()
    await posted(one, "shop0")
    await look.look()
    assert kafka.asked[-1] == ["acme.webhook.shop0"]
