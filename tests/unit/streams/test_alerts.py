"""Alerts, kind by kind: opened, escalated, closed well below their threshold, one a cause, never on half the truth."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from schemas import topics
from schemas.backing.registry import StreamState
from schemas.definitions.alert import Alert, AlertKind, AlertStatus
from schemas.definitions.source import SourceDefinition
from schemas.definitions.stream import State, StreamDefinition
from schemas.definitions.view import EMPTY, Snapshot, SourceView, StreamView, TopicView
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.ledger import Ledger
from schemas.wire.pressure import STALE_S, Origin, Pressure
from streams.agents import evaluator
from streams.agents.evaluator import AWAY_S, EVERY_S, UPDATE_S, Evaluator, Sight
from streams.alerts.groups import entity_of
from streams.alerts.losses import QUIET_S
from streams.alerts.streams import LEAST_ALARM_S, LEAST_WARN_S, RESTARTS_S
from tests.fakes.clock import ManualClock

SOURCE, STREAM = ("source", "s"), ("stream", "t")
DAY_S = 86_400
OVERLOAD = {
    "warn": {"events": 1000, "ageSeconds": 60}, "alarm": {"events": 5000, "ageSeconds": 600},
    "bound": {"events": 10**6, "ageSeconds": 6000, "bytes": 10**12},
    "shed": {"keepRatio": 0.1, "lossRatio": 0.01, "windowSeconds": 600},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Close what is well at once: for how long it must be so has a test of its own."""
    monkeypatch.setattr(evaluator, "HOLD_S", 0.0)


class Book:
    """Implements ports.AlertBook: what was opened, brought up to date and closed."""

    def __init__(self) -> None:
        self.alerts: dict[tuple[AlertKind, tuple[str, str]], Alert] = {}
        self.did: list[str] = []
        self.away = False

    def open(
        self, tenant: str, kind: AlertKind, entity: tuple[str, str], message: str, details: Mapping[str, Any]
    ) -> Alert:
        self.ask()
        assert len(message) <= 500, message
        before = self.alerts.get((kind, entity))
        self.did.append(f"{'open' if before is None else 'update'} {kind} {entity[0]} {details['level']}")
        made = Alert("a", tenant, kind, AlertStatus.OPEN, *entity, message, details, 0, 0, None)
        self.alerts[kind, entity] = made
        return made

    def close(self, kind: AlertKind, entity: tuple[str, str]) -> bool:
        self.ask()
        self.did.append(f"close {kind} {entity[0]}")
        return self.alerts.pop((kind, entity), None) is not None

    def opened(self, kind: AlertKind, _entity_ids: Iterable[str] | None = None) -> list[Alert]:
        self.ask()
        return [alert for (found, _entity), alert in self.alerts.items() if found is kind]

    def ask(self) -> None:
        if self.away:
            raise Refused(Reason.REGISTRY_AWAY)


class World:
    """One source, one stream, and everything that is told of them."""

    def __init__(self, **definition: Any) -> None:
        self.clock, self.book = ManualClock(), Book()
        self.pressures: dict[tuple[str, Origin], Pressure] = {}
        self.states: dict[str, StreamState] = {}
        self.taken: dict[str, tuple[int, int]] = {}
        self.in_group: list[str] = ["one"]
        self.took_s = 0.0
        self.define(**definition)
        self.stream(desired="running")
        self.lag()
        self.state()
        self.begin()

    def begin(self) -> None:
        """Start another process."""
        sight = Sight(self.book, self, self, lambda: self.pressures)
        self.evaluator = Evaluator(sight, self.snapshot, self.clock, self.members)

    def define(self, **definition: Any) -> None:
        given = {"platform": "shop", "auth": {"type": "none"}, "overload": OVERLOAD} | definition
        self.source: SourceView | None = SourceView(
            id="s", tenant="acme", platform="shop", name="shop", version=1, topic=topics.raw("acme", "shop"), open=True,
            definition=SourceDefinition.model_validate(given), partitioning="source", partitions=1,
        )  # fmt: skip

    def stream(self, desired: str) -> None:
        given = {"name": "orders", "topics": ["acme.webhook.shop"], "targetTable": "orders"}
        definition = StreamDefinition.model_validate(given)
        self.view = StreamView("t", "acme", "orders", 1, definition, desired, 1, accept_loss=False, frozen=False)

    def snapshot(self) -> Snapshot:
        topic = TopicView("acme.webhook.shop", "", "acme", "webhook", "shop", 1, "0", paused=False)
        sources = {} if self.source is None else {"s": self.source}
        return replace(EMPTY, revision=1, sources=sources, streams={"t": self.view}, topics={topic.name: topic})

    def many(self, ids: Collection[str]) -> Mapping[str, StreamState]:
        return {one: self.states[one] for one in ids if one in self.states}

    def losses(self, ids: Collection[str]) -> Mapping[str, tuple[int, int]]:
        return {one: self.taken[one] for one in ids if one in self.taken}

    def members(self, group: str) -> Collection[str]:
        assert group == "hookberg-0"
        self.clock.advance(self.took_s)
        return self.in_group

    # ---- what is told
    def lag(self, events: int = 0, age_s: float = 0.0, origin: Origin = "stage", drained: float | None = 10.0) -> None:
        for one in ("stage", "tables") if not self.pressures else (origin,):
            at_ms = self.clock.time_ns() // 1_000_000
            record = Pressure("acme", "s", one, at_ms, 0, events, age_s, 0, drained, 0.0)
            self.pressures["s", one] = record

    def state(self, **more: Any) -> None:
        given: dict[str, Any] = {"state": State.RUNNING, "generation": 1, "owner": "w1", "lag_s": 0.0} | more
        self.states["t"] = StreamState("t", **given)

    def look(self, after_s: float = EVERY_S, *, fresh: bool = True) -> list[str]:
        """Let time pass and judge; return what was done to alerts. `fresh`: stage and writers still say the same."""
        self.book.did.clear()
        self.clock.advance(after_s)
        at_ms = self.clock.time_ns() // 1_000_000
        if fresh:
            for key, record in self.pressures.items():
                changed = {name: getattr(record, name) for name in record.__struct_fields__} | {"measured_at_ms": at_ms}
                self.pressures[key] = Pressure(**changed)
            self.states = {one: replace(state, updated_at_ms=at_ms) for one, state in self.states.items()}
        self.evaluator.look(self.snapshot())
        return list(self.book.did)

    def alert(self, kind: AlertKind, entity: tuple[str, str] = SOURCE) -> Alert:
        return self.book.alerts[kind, entity]

    def depths(self, *lags: int) -> list[list[str]]:
        found = []
        for lag in lags:
            self.lag(lag)
            found.append(self.look())
        return found


def test_nothing_is_wrong_where_nothing_waits() -> None:
    world = World()
    assert [world.look() for _ in range(5)] == [[]] * 5


def test_depth_opens_at_its_threshold_escalates_and_closes_well_below() -> None:
    found = World().depths(999, 1000, 1000, 4999, 5000, 3501, 3499, 701, 699, 0)
    assert [one[0] if one else "" for one in found] == [
        "", "open depth source warn", "", "", "update depth source alarm", "", "update depth source warn", "",
        "close depth source", "",
    ]  # fmt: skip


def test_what_is_well_must_stay_so_before_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluator, "HOLD_S", 30.0)
    world = World()
    seen: list[str] = []
    for number in range(100):  # a backlog that comes and goes with every commit
        world.lag(0 if number % 3 else 1200)
        seen += [did for did in world.look() if not did.startswith("update depth source warn")]
    assert seen == ["open depth source warn"]
    world.lag(6000)
    assert world.look() == ["update depth source alarm"]
    world.lag(1200)
    did = [one for _ in range(18) for one in world.look()]
    assert [one for one in did if "alarm" not in one] == ["update depth source warn"], "lowered as late"
    world.lag(0)
    assert [one for _ in range(15) for one in world.look()] == []
    assert world.look() == ["close depth source"]


def test_an_open_alert_is_brought_up_to_date_now_and_then() -> None:
    world = World()
    world.lag(2000)
    world.look()
    did = [world.look() for _ in range(int(UPDATE_S / EVERY_S))]
    assert [one for one in did if one] == [["update depth source warn"]]


def test_it_says_how_much_how_fast_and_what_to_do() -> None:
    world = World()
    world.lag(1200, 12.0, drained=4.0)
    world.look()
    alert = world.alert(AlertKind.DEPTH)
    assert alert.message.startswith(
        "source shop: 1200 events wait for the stage, 1000 are its warn threshold; 4 a second"
    )
    assert {
        "lagEvents": 1200,
        "threshold": 1000,
        "secondsToDrain": 300,
        "origin": "stage",
    }.items() <= alert.details.items()
    assert alert.details["sample"]["topic"] == "acme.webhook.shop"


def test_the_worse_of_stage_and_writers_counts() -> None:
    world = World()
    world.lag(10)
    world.lag(7000, origin="tables")
    assert world.look() == ["open depth source alarm"]
    assert world.alert(AlertKind.DEPTH).details["origin"] == "tables"


def test_age_has_two_thresholds_as_well() -> None:
    world = World()
    seen = []
    for age_s in (59, 60, 600, 421, 419, 41, 39):
        world.lag(5, age_s)
        seen += world.look()
    levels = ["open age source warn", "update age source alarm", "update age source warn", "close age source"]
    assert seen == levels


def test_what_nobody_measures_closes_nothing_and_opens_nothing() -> None:
    world = World()
    world.lag(1000)
    world.look()
    world.lag(0)
    del world.pressures["s", "tables"]
    assert world.look() == [], "half the truth"
    assert world.look(STALE_S + 1, fresh=False) == [], "an old record says nothing"
    world.pressures.clear()
    world.lag(0)
    assert world.look() == ["close depth source"]


def test_a_paused_source_is_deep_and_old_on_purpose_until_its_retention_is_near() -> None:
    world = World(paused=True, retention={"rawDays": 10})
    world.lag(10**6, 4.9 * DAY_S)
    assert world.look() == []
    world.lag(10**6, 5 * DAY_S)
    assert world.look() == ["open retention source warn"]
    assert "resume it" in world.alert(AlertKind.RETENTION).message
    world.lag(10**6, 8 * DAY_S)
    assert world.look() == ["update retention source alarm"]
    assert world.alert(AlertKind.RETENTION).details["share"] == 0.8
    world.lag(0, 3.6 * DAY_S)
    assert world.look() == ["update retention source warn"]
    world.lag(0, 3.4 * DAY_S)
    assert world.look() == ["close retention source"]


def test_pausing_closes_what_is_on_purpose_now() -> None:
    world = World()
    world.lag(2000)
    world.look()
    world.define(paused=True)
    assert world.look() == ["close depth source"]


def test_what_is_deleted_has_no_open_alert() -> None:
    world = World()
    world.lag(2000)
    world.look()
    world.source = None
    assert world.look() == ["close depth source"]


def test_a_stream_is_stale_by_what_waits_and_fresh_again_well_below() -> None:
    world = World()
    seen = []
    for behind_s in (LEAST_WARN_S - 1, LEAST_WARN_S, LEAST_ALARM_S, LEAST_WARN_S, 0.0):
        world.state(lag_s=behind_s, lag_records=5)
        seen += world.look()
    ends = ["update freshness stream alarm", "update freshness stream warn", "close freshness stream"]
    assert seen == ["open freshness stream warn", *ends]


def test_a_writer_that_fails_or_is_not_there_makes_its_stream_stale_after_a_while() -> None:
    world = World()
    world.look()
    world.state(state=State.FAILED, reason=Reason.WRITER_FAILED.value, message="the catalog is away")
    assert world.look(LEAST_WARN_S - EVERY_S - 1) == []
    assert world.look(2 * EVERY_S) == ["open freshness stream warn"]
    assert "the catalog is away" in world.alert(AlertKind.FRESHNESS, STREAM).message
    world.state()
    assert world.look() == ["close freshness stream"]
    assert world.look(LEAST_WARN_S + STALE_S, fresh=False) == ["open freshness stream warn"], "nobody says anything"
    world.stream(desired="stopped")
    assert world.look() == ["close freshness stream"], "nobody wants it"


def test_a_stream_that_waits_for_its_topic_is_not_stale() -> None:
    world = World()
    world.state(state=State.WAITING)
    assert [world.look(100) for _ in range(10)] == [[]] * 10


def test_a_stream_that_will_lose_what_its_topics_keep_is_told_at_half_and_at_most() -> None:
    world = World(retention={"eventDays": 2})
    at_ms = world.clock.time_ns() // 1_000_000
    world.state(state=State.FAILED, reason=Reason.WRITER_FAILED.value, committed_at_ms=at_ms)
    assert "open retention stream warn" in world.look(DAY_S)
    assert "update retention stream alarm" in world.look(0.6 * DAY_S)
    world.state(committed_at_ms=at_ms)
    assert "close retention stream" in world.look()


def test_what_the_stage_lost_is_told_with_its_range_for_a_day() -> None:
    world = World()
    world.evaluator.note(Ledger("acme.webhook.shop", "id", 3, 0, 9, "0", world.clock.time_ns() // 1000, 0, (), ()))
    assert world.look() == []
    lost = Ledger("acme.webhook.shop", "id", 3, 0, 9, "0", world.clock.time_ns() // 1000, 0, (), (), ((2, 9), (11, 12)))
    world.evaluator.note(lost)
    assert world.look() == ["open loss source alarm"]
    alert = world.alert(AlertKind.LOSS)
    assert alert.details["lostRecords"] == 8
    sample = {"topic": "acme.webhook.shop", "partition": 3, "firstOffset": 11, "lastOffset": 11}
    assert (alert.details["sample"], len(alert.details["ranges"])) == (sample, 2)
    world.begin()
    assert world.look() == [], "another process takes it over"
    assert world.look(QUIET_S) == ["close loss source"]


def test_a_stream_that_waits_for_somebody_to_accept_a_loss_is_told() -> None:
    world = World()
    world.state(state=State.FAILED, reason=Reason.OFFSETS_EXPIRED.value, message="records 3 to 9 are lost. Start with")
    assert world.look() == ["open loss stream alarm"]
    world.state()
    assert world.look() == ["close loss stream"]


def test_a_loss_budget_is_told_when_half_of_it_and_when_all_is_spent() -> None:
    world = World(overload=OVERLOAD | {"policy": "shed"})
    seen = []
    for taken, shed in ((0, 0), (10_000, 49), (10_000, 50), (10_000, 100), (20_000, 139), (60_000, 139), (90_000, 139)):
        world.taken["s"] = taken, shed
        seen += [did for did in world.look(30) if not did.startswith("update lossBudget source warn ")]
    assert seen == [
        "open lossBudget source warn", "update lossBudget source alarm", "update lossBudget source warn",
        "close lossBudget source",
    ]  # fmt: skip
    world.taken["s"] = 91_000, 1_139
    assert world.look() == ["open lossBudget source alarm"]
    did = [one for _ in range(11) for one in world.look(60) if not one.startswith("update")]
    assert did == ["close lossBudget source"], "the window went by"


def test_a_source_that_does_not_shed_any_more_has_no_loss_budget() -> None:
    world = World(overload=OVERLOAD | {"policy": "shed"})
    world.taken["s"] = 0, 0
    world.look()
    world.taken["s"] = 100, 90
    world.look()
    world.define(overload=OVERLOAD)
    assert world.look() == ["close lossBudget source"]


def test_a_group_that_starts_again_and_again_is_told_once_and_for_its_tenant() -> None:
    world = World()
    world.look()
    seen = []
    for number in range(7):
        world.in_group = [f"start {number}"]
        seen += world.look(10)
    assert seen == ["open restarts group warn", "update restarts group alarm"]
    alert = world.alert(AlertKind.RESTARTS, entity_of("acme", "0"))
    assert (alert.tenant_id, alert.details["group"], alert.details["restarts"]) == ("acme", "0", 6)
    did = [one for _ in range(60) for one in world.look(10) if one.startswith("close")]
    assert did == ["close restarts group"]
    world.clock.advance(RESTARTS_S)
    assert world.look() == []


def test_kafka_that_does_not_answer_is_asked_seldom() -> None:
    world = World()
    world.took_s = 15.0
    began = world.clock.at_s
    for _ in range(20):
        world.look(1)
    assert world.clock.at_s - began < 20 + 15 * (1 + 20 // AWAY_S) + 15


def test_a_stream_whose_writer_changes_again_and_again_is_told() -> None:
    world = World()
    world.look()
    seen = []
    for number in range(3):
        world.state(owner=f"w{number + 2}")
        seen += world.look(20)
    assert seen == ["open restarts stream warn"]
    world.view = replace(world.view, generation=2)
    world.state(owner="w9", generation=2)
    assert world.look(RESTARTS_S) == ["close restarts stream"], "that one was asked for"


@pytest.mark.parametrize("events", [1000, 5000])
def test_open_alerts_are_taken_over_by_the_next_process(events: int) -> None:
    world = World()
    world.lag(events)
    world.look()
    world.begin()
    assert [one.split()[0] for one in world.look()] == ["update"]
    world.lag(0)
    assert world.look() == ["close depth source"]


async def test_what_the_registry_does_not_take_is_told_when_it_is_back() -> None:
    world = World()
    world.lag(2000)
    world.book.away = True
    await world.evaluator.step()
    assert world.book.did == []
    world.book.away = False
    await world.evaluator.step()
    assert world.book.did == ["open depth source warn"]
