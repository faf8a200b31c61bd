"""A backlog is taken in rounds of a quarter of a second, so that what comes for others waits for one at most."""

from types import SimpleNamespace
from typing import Any

import pytest

from streams.engine.rounds import BUFFERED_BYTES, LEAST, LEAST_SHARE, MOST, ROUND_S, START, Rounds
from tests.fakes.clock import ManualClock


class World:
    """Partitions with ends, a clock, and the fetcher that is told."""

    def __init__(self) -> None:
        self.clock, self.ends = ManualClock(), dict[str, int]()
        self.fetcher = SimpleNamespace(_max_partition_fetch_bytes=0, _fetch_max_bytes=50 << 20)
        client = SimpleNamespace(_fetcher=self.fetcher)
        self.rounds = Rounds(self.ends.get, lambda: client, self.clock.monotonic)

    def round(self, took_s: float, **last: int) -> float:
        """Decide a round that brought each partition up to offset `last`; return the pause after it."""
        self.rounds.begin()
        self.clock.advance(took_s)
        records: dict[Any, Any] = {name: [SimpleNamespace(offset=offset)] for name, offset in last.items()}
        return self.rounds.over(records, 4)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("records_a_second", [20, 1_000, 14_000, 1_000_000])
@pytest.mark.parametrize("partitions", [1, 4, 64])
def test_rounds_take_their_time_whatever_the_records_cost(world: World, records_a_second: int, partitions: int) -> None:
    names = {f"p{number}": 1_000 for number in range(partitions)}
    world.ends.update(dict.fromkeys(names, 1000000))
    took_s = 0.0
    for _ in range(30):
        took_s = world.rounds.share * partitions / records_a_second
        assert world.round(took_s, **names) == 0.0, "nothing waits behind a backlog"
    floor = max(LEAST, partitions * LEAST_SHARE) / records_a_second
    assert took_s <= max(1.01 * ROUND_S, floor)
    assert took_s >= min(ROUND_S / 2.2, (MOST - partitions) / records_a_second)


def test_the_partitions_that_are_behind_share_a_round_and_the_others_are_not_counted(world: World) -> None:
    world.ends.update({"behind": 1_000_000, "also": 1_000_000, "even": 11})
    world.round(ROUND_S * 0.9, behind=10, also=10, even=10)
    assert world.rounds.share == world.rounds.budget // 2


def test_what_is_fetched_beforehand_is_bounded_for_all_together(world: World) -> None:
    names = {f"p{number}": 10 for number in range(640)}
    world.ends.update(dict.fromkeys(names, 1_000))
    world.round(ROUND_S, **names)
    assert world.fetcher._max_partition_fetch_bytes == BUFFERED_BYTES // 640
    assert world.fetcher._fetch_max_bytes == 50 << 20, "one large batch must not use up what the others may send"


def test_quiet_sources_are_taken_with_a_pause_and_each_backlog_begins_small(world: World) -> None:
    world.ends.update({"behind": 1_000, "even": 11})
    for _ in range(5):
        world.round(0.001, behind=10, even=10)
    assert world.rounds.budget > START
    assert world.round(0.001, behind=999, even=10) > 0
    assert world.rounds.budget == START


def test_one_long_round_is_followed_by_smaller_ones(world: World) -> None:
    world.ends["behind"] = 1_000_000
    for _ in range(40):
        world.round(0.001, behind=10)
    assert world.rounds.budget == MOST
    world.round(10 * ROUND_S, behind=10)
    assert world.rounds.budget == MOST // 4
