"""Floods: by share and by streak, over again only when a source is clearly well, told once, never lost."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from schemas.definitions.alert import Alert, AlertKind, AlertStatus
from schemas.definitions.source import Flood
from schemas.definitions.view import Snapshot, SourceView, TopicView
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.ledger import Count, Ledger, Other
from streams.account import Account
from streams.agents.flooding import UPDATE_S, Flooding
from streams.floods import HALF_LIFE, LEAST, Floods, Health
from tests.fakes.clock import ManualClock
from tests.unit.streams.made import Partition, record, snapshot, source

RATIO, STREAK = Flood(ratio=0.5), Flood(streak=10)


def test_the_account_tells_clean_and_quarantined_events_of_each_source() -> None:
    account = Account(0)
    bodies = b'[{"id":"a"},{"id":"a"},7]', b"neither", b'{"id":"b","type":"ping"}'
    account.add(Partition(source()).decide(*(record(body, n) for n, body in enumerate(bodies))), 3)
    assert account.failures() == {"source-1": (1, 2)}


def test_a_share_floods_after_enough_events_and_is_over_below_half_of_it() -> None:
    health = Health()
    health.take(0, LEAST - 1)
    assert not health.floods(RATIO), "too few to tell"
    health.take(0, 1)
    assert health.floods(RATIO)
    took = 0
    while not health.well(RATIO):
        health.take(1, 0)
        took += 1
        assert not health.floods(RATIO) or health.share >= 0.5
    assert HALF_LIFE * 0.5 < took < HALF_LIFE * 4
    assert health.share < 0.25


@pytest.mark.parametrize("portion", [1, 7, 1000])
def test_a_share_hardly_depends_on_how_transactions_are_cut(portion: int) -> None:
    health = Health()
    for _ in range(4000 // portion):
        health.take(portion - portion // 4, portion // 4) if portion > 1 else health.take(1, 0)
    assert health.share == pytest.approx((portion // 4) / portion, abs=0.02)


def test_a_streak_floods_and_is_over_with_a_run_of_clean_ones() -> None:
    health = Health()
    health.take(0, 9)
    assert not health.floods(STREAK)
    health.take(1, 0)
    health.take(0, 9)
    assert not health.floods(STREAK), "a clean one ended the run"
    health.take(0, 1)
    assert health.floods(STREAK)
    health.take(9, 0)
    assert not health.well(STREAK)
    health.take(1, 0)
    assert health.well(STREAK)


class Book:
    """Implements ports.AlertBook in memory; `away`: the registry is."""

    def __init__(self, *ids: str) -> None:
        self.open_ids, self.away, self.calls = set(ids), False, list[tuple[str, str]]()
        self.details: Mapping[str, Any] = {}

    def open(
        self, _tenant: str, _kind: AlertKind, entity: tuple[str, str], message: str, details: Mapping[str, Any]
    ) -> Alert:
        self._here()
        self.open_ids.add(entity[1])
        self.details = details
        self.calls.append(("open", entity[1]))
        return alert(entity[1], message, details)

    def close(self, _kind: AlertKind, entity: tuple[str, str]) -> bool:
        self._here()
        self.open_ids.discard(entity[1])
        self.calls.append(("close", entity[1]))
        return True

    def opened(self, _kind: AlertKind, _entity_ids: Iterable[str] | None = None) -> list[Alert]:
        self._here()
        return [alert(entity, "", {}) for entity in sorted(self.open_ids)]

    def _here(self) -> None:
        if self.away:
            raise Refused(Reason.REGISTRY_AWAY)


def alert(entity: str, message: str, details: Mapping[str, Any]) -> Alert:
    return Alert("a", "acme", AlertKind.QUARANTINE, AlertStatus.OPEN, "source", entity, message, details, 0, 0, None)


class World:
    """One process that tells of floods."""

    def __init__(self, book: Book, *sources: SourceView) -> None:
        self.book, self.floods, self.clock, self.sources = book, Floods(), ManualClock(), sources
        self.alerts = Flooding(self.floods, book, self.snapshot, self.clock.monotonic)

    def snapshot(self) -> Snapshot:
        topics = {
            each.topic: TopicView(each.topic, "", "acme", "webhook", each.platform, 4, "g", paused=False)
            for each in self.sources
        }
        made = snapshot(source())
        views = {each.id: each for each in self.sources}
        return Snapshot(1, made.tenants, views, {}, {}, {}, {}, topics, {})

    async def step(self, clean: int = 0, failed: int = 0) -> list[tuple[str, str]]:
        before = len(self.book.calls)
        if clean or failed:
            self.alerts.note(ledger(clean, failed))
        await self.alerts.step()
        return self.book.calls[before:]


async def test_a_flood_opens_one_alert_and_closes_it() -> None:
    world = World(Book(), source(flood={"ratio": 0.5}))
    assert await world.step(failed=30) == [("open", "source-1")]
    assert await world.step(failed=30) == [], "it is open, and was told a moment ago"
    world.clock.advance(UPDATE_S)
    assert await world.step(failed=30) == [("open", "source-1")], "its figures are brought up to date"
    assert await world.step(clean=20) == []
    assert await world.step(clean=200) == [("close", "source-1")]
    assert await world.step(clean=200) == []


async def test_a_source_without_thresholds_never_floods_and_one_that_lost_them_is_well() -> None:
    world = World(Book(), source())
    assert await world.step(failed=500) == []
    world.sources = (source(flood={"streak": 5}),)
    assert await world.step(failed=1) == [("open", "source-1")]
    world.sources = (source(),)
    assert await world.step() == [("close", "source-1")]


async def test_a_source_that_is_gone_has_no_open_alert() -> None:
    world = World(Book(), source(flood={"streak": 5}))
    await world.step(failed=9)
    world.sources = ()
    assert await world.step() == [("close", "source-1")]


async def test_what_the_registry_did_not_take_is_told_when_it_is_back() -> None:
    book = Book()
    world = World(book, source(flood={"streak": 5}))
    assert await world.step() == []
    book.away = True
    assert await world.step(failed=9) == []
    book.away = False
    assert await world.step() == [("open", "source-1")]
    book.away = True
    assert await world.step(clean=50) == []
    book.away = False
    assert await world.step() == [("close", "source-1")]


async def test_an_alert_that_the_process_before_left_open_is_closed_by_this_one() -> None:
    world = World(Book("source-1"), source(flood={"ratio": 0.5}))
    assert await world.step(clean=5) == [], "too few events to say that it is well"
    assert await world.step(clean=LEAST) == [("close", "source-1")]


async def test_an_alert_shows_one_of_the_events_that_are_in_quarantine() -> None:
    world = World(Book(), source(flood={"streak": 5}))
    await world.step(clean=3, failed=9)
    assert await world.step(failed=9) == [("open", "source-1")]
    sample = {"topic": "t", "partition": 2, "offset": 9, "item": 0, "eventId": "q9", "reason": "bad_record"}
    assert world.book.details["sample"] == sample
    assert world.book.details["level"] == "alarm"


def ledger(clean: int, failed: int) -> Ledger:
    """Return the record of a transaction; others than clean and quarantined events tell nothing."""
    outcomes = {"clean": clean, "quarantined": failed, "duplicate": 50}
    counts = tuple(Count("source-1", "push", 7, outcome, n) for outcome, n in outcomes.items())
    others = [
        Other(offset, 0, "source-1", "quarantined", "bad_record", f"q{offset}") for offset in range(1, failed + 1)
    ]
    others.append(Other(99, 0, "source-1", "duplicate", None, "d"))
    return Ledger("t", "id", 2, 0, 100, "0", 1, clean + failed + 50, counts, tuple(others))
