"""Levels under a load that wavers around the thresholds: they do not flap, and late reports lower none wrongly.

A topic of several partitions with a drain that is too slow now and then; Kafka does not answer now and then;
reports are lost, late and out of order. The reader believes the newest by the measurer's clock.
"""

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from schemas import overload
from schemas.overload import Backlog, Level
from schemas.pressure import Measure, Pressures
from schemas.wire.pressure import STALE_S, Pressure
from streams.backlog import Backlogs, Place, Standing
from tests.unit.streams.made import source

WARN, ALARM = 1_000, 5_000
SOURCE = source(
    overload={
        "warn": {"events": WARN, "ageSeconds": 10**6}, "alarm": {"events": ALARM, "ageSeconds": 10**6},
        "bound": {"events": 10**6, "ageSeconds": 10**6, "bytes": 10**12},
    }
)  # fmt: skip
NOW_MS = 1_700_000_000_000
PLACES: tuple[Place, ...] = tuple((SOURCE.topic, number) for number in range(4))
SECONDS = 600


def levels(curve: Callable[[int], float], draw: random.Random, noise: float = 0.2) -> list[Level]:
    """Return the levels told over a curve of backlog sizes, each look off by some noise."""
    pressures, told, sources = Pressures("stage"), [Level.CALM], {SOURCE.id: SOURCE}
    for second in range(SECONDS):
        size = max(0, int(curve(second) * (1 + noise * (2 * draw.random() - 1))))
        records = pressures.take(second * 1000, sources, {SOURCE.id: Measure(Backlog(size, 0.0), None)})
        told += [Level(record.level) for record in records]
    return told


def changes(told: list[Level]) -> int:
    return sum(before is not after for before, after in itertools.pairwise(told))


@pytest.mark.parametrize("seed", range(20))
def test_a_backlog_that_wavers_around_a_threshold_changes_the_level_once(seed: int) -> None:
    draw = random.Random(seed)
    assert changes(levels(lambda _second: 0.95 * WARN, draw, noise=0.25)) <= 1
    assert changes(levels(lambda _second: 0.95 * ALARM, draw, noise=0.25)) <= 2


@pytest.mark.parametrize("seed", range(20))
def test_a_load_that_comes_and_goes_changes_the_level_with_it_and_no_more(seed: int) -> None:
    waves = 4  # each over both thresholds and back

    def curve(second: int) -> float:
        return 3 * ALARM * (1 - math.cos(2 * math.pi * waves * second / SECONDS)) / 2

    assert changes(levels(curve, random.Random(seed))) == 4 * waves


def test_without_its_band_the_level_would_flap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "LEAVE", 1.0)
    assert changes(levels(lambda _second: 0.95 * WARN, random.Random(0), noise=0.25)) > 50


@dataclass
class Reader:
    """What an ingress worker knows: the newest measure by the measurer's clock, of any process."""

    newest: Pressure | None = None

    def take(self, record: Pressure) -> None:
        if self.newest is None or record.measured_at_ms > self.newest.measured_at_ms:
            self.newest = record

    def level(self, now_ms: int) -> Level | None:
        if self.newest is None or now_ms - self.newest.measured_at_ms > STALE_S * 1000:
            return None
        return Level(self.newest.level)


class World:
    """A stage over four logs, a Kafka that may not answer, and a topic that delivers late, twice or never."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.logs: dict[Place, list[int]] = {place: [] for place in PLACES}
        self.stands: dict[Place, tuple[int, int]] = dict.fromkeys(PLACES, (0, 0))
        self.backlogs, self.pressures, self.reader = Backlogs(), Pressures("stage"), Reader()
        self.under_way: list[tuple[int, Pressure]] = []
        self.now_s = 0
        self.true: list[int] = []
        """What waited, second by second."""

    @property
    def now_ms(self) -> int:
        return NOW_MS + self.now_s * 1000

    def second(self, come: int, drain: int) -> list[Pressure]:
        self.now_s += 1
        for place in PLACES:
            self.logs[place] += [self.now_ms] * (come // 4 + self.draw.randrange(3))
            at = min(len(self.logs[place]), self.stands[place][0] + drain // 4)
            self.stands[place] = at, self.logs[place][at - 1] if at else 0
        self.true.append(sum(len(self.logs[place]) - self.stands[place][0] for place in PLACES))
        return self.look(away=self.draw.random() < 0.2)

    def look(self, *, away: bool) -> list[Pressure]:
        told = {place: len(log) for place, log in self.logs.items()}
        standing = {}
        for place, at in self.stands.items():
            fetched = told[place] if at[0] == told[place] else max(at[0] + 1, told[place] - self.draw.randrange(2_000))
            standing[place] = Standing(*at, fetched)
        ends = {place: told[place] for place in self.backlogs.ends(standing) if not away}
        ages = self.backlogs.ages(self.now_s, standing, ends)
        younger = {} if away else {place: self.younger(place, at_ms) for place, at_ms in ages.items()}
        measured = self.backlogs.topics(self.now_ms, self.now_s, standing, younger, {}, {}, unknown_bytes=1)
        found = dict.fromkeys([SOURCE.id], one) if (one := next(map(_measure, measured), None)) else {}
        records = self.pressures.take(self.now_ms, {SOURCE.id: SOURCE}, found)
        for record in records:
            if self.draw.random() < 0.8:
                late_s = self.draw.choice([0, 0, 0, 1, 2, 7])
                self.under_way += [(self.now_s + late_s, record)] * self.draw.choice([1, 1, 2])
        for due, record in [one for one in self.under_way if one[0] <= self.now_s]:
            self.under_way.remove((due, record))
            self.reader.take(record)
        return records

    def younger(self, place: Place, at_ms: int) -> tuple[int, int]:
        return next(((n, at) for n, at in enumerate(self.logs[place]) if at > at_ms), (-1, -1))


def _measure(told: tuple[str, Backlog, float | None]) -> Measure:
    return Measure(told[1], told[2])


@pytest.mark.parametrize("seed", range(6))
def test_no_report_lowers_a_level_that_was_not_seen_to_fall(seed: int) -> None:
    world, told = World(seed), 0
    for second in range(240):
        wave = 400 if second % 80 < 40 else 40
        for record in world.second(come=wave, drain=200):
            told += 1
            lately = world.true[-4:]
            assert record.lag_events >= min(lately), f"seed {seed}, second {second}: {record}, really {lately}"
            floor = min(overload.level(Level.CALM, Backlog(waits, 0.0), SOURCE.definition.overload) for waits in lately)
            assert record.level >= floor
        level, newest = world.reader.level(world.now_ms), world.reader.newest
        if newest is not None and level is not None:
            waited = world.true[(newest.measured_at_ms - NOW_MS) // 1000 - 1]
            least = min(world.true[max(0, (newest.measured_at_ms - NOW_MS) // 1000 - 4) :])
            assert level >= overload.level(Level.CALM, Backlog(min(waited, least), 0.0), SOURCE.definition.overload)
    assert told > 100
    assert max(world.true) > ALARM


def test_a_report_that_comes_late_is_not_believed_over_a_newer_one() -> None:
    reader = Reader()
    base = Pressure("acme", SOURCE.id, "stage", NOW_MS, 2, 6_000, 0.0, 0, None, 0.0)
    reader.take(base)
    reader.take(Pressure("acme", SOURCE.id, "stage", NOW_MS - 1, 0, 0, 0.0, 0, None, 0.0))
    assert reader.level(NOW_MS) == Level.ALARM
    assert reader.level(NOW_MS + int(STALE_S * 1000) + 1) is None
