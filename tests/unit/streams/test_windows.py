"""Minutes: by event time, closed by the ledger's time, mended by what is late, nothing dropped at a bound."""

from typing import Any

import pytest

from schemas.definitions.minute import MinuteCounts
from schemas.wire.ledger import Count, Ledger
from streams.windows import IDLE_US, MINUTE_US, Bounds, Windows

LATE_US = 2 * MINUTE_US
BOUNDS = Bounds(lateness_us=LATE_US, retention_minutes=60, types=2, live=100)
HERE, THERE = ("ledger", 0), ("ledger", 1)
NOW = 1_000_000
"""A minute since the epoch."""


def record(*counts: Count, at: float = NOW) -> Ledger:
    """Make a ledger record that was decided `at`, in minutes."""
    return Ledger("t", "id", 0, 0, 1, "0", int(at * MINUTE_US), 0, counts, ())


def one(event_type: str = "push", minute: int = NOW, outcome: str = "clean", n: int = 1, source: str = "s") -> Count:
    return Count(source, event_type, minute, outcome, n)


def rows(windows: Windows) -> list[tuple[int, dict[str, Any]]]:
    return [(row.minute, dict(row.types)) for row in windows.rows(100)]


def tell(windows: Windows) -> list[MinuteCounts]:
    told = windows.rows(100)
    windows.told(told)
    return told


def test_counts_go_by_minute_of_event_time_type_and_outcome() -> None:
    windows = Windows(BOUNDS)
    windows.count(HERE, 5, record(one(n=3), one("pull", NOW - 1), one(outcome="duplicate", n=2)))
    windows.count(HERE, 7, record(one()))
    assert sorted(rows(windows)) == [
        (NOW - 1, {"pull": {"clean": 1}}),
        (NOW, {"push": {"clean": 4, "duplicate": 2}}),
    ]
    assert windows.next_offset(HERE) == 8
    assert windows.next_offset(THERE) is None


def test_a_replay_adds_nothing() -> None:
    windows = Windows(BOUNDS)
    assert windows.count(HERE, 5, record(one()))
    assert not windows.count(HERE, 5, record(one()))
    assert not windows.count(HERE, 4, record(one()))
    assert windows.count(THERE, 4, record(one()))
    assert [row.types for row in windows.rows(9)] == [{"push": {"clean": 1}}] * 2


def test_a_minute_closes_when_the_ledgers_time_is_past_its_end_and_the_lateness() -> None:
    windows = Windows(BOUNDS)
    windows.count(HERE, 0, record(one()))
    windows.count(THERE, 0, record())
    assert windows.complete("ledger", 2) == NOW - 2
    assert not windows.closed_untold()
    windows.count(HERE, 1, record(at=NOW + 2.9))
    assert not windows.closed_untold()
    windows.count(HERE, 2, record(at=NOW + 3))
    assert windows.closed_untold()
    assert windows.complete("ledger", 2) == NOW - 2  # the other partition may bring more of it
    windows.count(THERE, 1, record(at=NOW + 3))
    assert windows.complete("ledger", 2) == NOW + 1


def test_a_quiet_ledgers_minutes_close_as_well() -> None:
    windows = Windows(BOUNDS)
    windows.count(HERE, 0, record(one()))
    assert windows.complete("ledger", 2) is None
    windows.quiet(HERE, (NOW + 3) * MINUTE_US)
    windows.quiet(THERE, (NOW + 4) * MINUTE_US)
    assert windows.closed_untold()
    assert windows.complete("ledger", 2) == NOW + 1
    windows.quiet(HERE, NOW * MINUTE_US)
    assert windows.complete("ledger", 2) == NOW + 1  # time never goes back


def test_a_late_count_mends_the_closed_minute() -> None:
    windows = Windows(BOUNDS)
    windows.count(HERE, 0, record(one()))
    windows.quiet(HERE, (NOW + 3) * MINUTE_US)
    tell(windows)
    assert windows.rows(9) == []
    windows.count(HERE, 1, record(one(n=2), at=NOW + 3))
    assert rows(windows) == [(NOW, {"push": {"clean": 3}})]
    assert windows.closed_untold()


def test_a_count_later_than_that_has_a_row_of_its_own_so_that_sums_stay_sums() -> None:
    windows = Windows(BOUNDS)
    windows.count(HERE, 0, record(one()))
    tell(windows)
    windows.quiet(HERE, (NOW + 3) * MINUTE_US + IDLE_US)
    assert len(windows.let_go(["ledger"])) == 1
    assert len(windows) == 0
    windows.count(HERE, 9, record(one(n=2), at=NOW + 9))
    (row,) = windows.rows(9)
    assert (row.minute, row.first, row.types) == (NOW, 9, {"push": {"clean": 2}})


def test_what_is_not_told_open_or_fresh_is_not_let_go() -> None:
    windows = Windows(BOUNDS)
    windows.count(HERE, 0, record(one()))
    windows.quiet(HERE, (NOW + 9) * MINUTE_US)
    assert windows.let_go(["ledger"]) == []
    told = windows.rows(9)
    windows.count(HERE, 1, record(one(), at=NOW + 9))
    windows.told(told)  # it changed meanwhile
    assert rows(windows) == [(NOW, {"push": {"clean": 2}})]
    tell(windows)
    assert windows.let_go(["ledger"]) == []
    windows.count(HERE, 2, record(one(minute=NOW + 9), at=NOW + 9))
    tell(windows)
    windows.quiet(HERE, (NOW + 11) * MINUTE_US)
    assert len(windows.let_go(["ledger"])) == 1
    assert len(windows) == 1


def test_past_the_bound_counting_waits_and_what_is_told_goes_at_once() -> None:
    windows = Windows(Bounds(LATE_US, 60, 2, live=3))
    windows.count(HERE, 0, record(*(one(minute=NOW - past) for past in (7, 8, 9))))
    assert windows.full
    assert windows.let_go(["ledger"]) == []
    tell(windows)
    assert len(windows.let_go(["ledger"])) > 0
    assert not windows.full


def test_types_beyond_the_bound_are_one_sum_and_the_known_ones_go_on() -> None:
    windows = Windows(BOUNDS)
    windows.count(HERE, 0, record(one("a"), one("b"), one("c", n=2), one("x" * 300, n=3), one("a")))
    (row,) = windows.rows(9)
    assert (row.types, row.other_types) == ({"a": {"clean": 2}, "b": {"clean": 1}}, {"clean": 5})


@pytest.mark.parametrize("minute", [NOW - 60, NOW - 10_000, 0, -5, NOW + 11, NOW + 10_000])
def test_strange_times_are_counted_in_the_minute_of_their_decision(minute: int) -> None:
    windows = Windows(BOUNDS)
    windows.count(HERE, 0, record(one(minute=minute, n=4), one()))
    (row,) = windows.rows(9)
    assert (row.minute, row.types, row.other_times) == (NOW, {"push": {"clean": 1}}, {"clean": 4})


@pytest.mark.parametrize("minute", [NOW - 59, NOW, NOW + 10])
def test_times_inside_the_bounds_are_the_events_own(minute: int) -> None:
    windows = Windows(BOUNDS)
    windows.count(HERE, 0, record(one(minute=minute)))
    assert rows(windows) == [(minute, {"push": {"clean": 1}})]


def test_what_no_source_sent_is_nobodys_minute() -> None:
    windows = Windows(BOUNDS)
    assert windows.count(HERE, 0, record(one(source=""), one(source="x" * 37)))
    assert windows.rows(9) == []


def test_what_was_kept_is_counted_on_and_told_again() -> None:
    windows = Windows(BOUNDS)
    windows.count(HERE, 3, record(one(), one("b"), one("c"), one(minute=1)))
    tell(windows)
    kept = list(windows.changed())
    assert [key[:4] for key, _ in kept] == [b'["m"', b'["p"']  # how far comes last: it vouches for the others
    assert list(windows.changed()) == []
    again = Windows(BOUNDS)
    again.load(kept)
    assert again.next_offset(HERE) == 4
    assert again.rows(9) != []
    again.count(HERE, 3, record(one()))
    again.count(HERE, 4, record(one("c")))
    (row,) = again.rows(9)
    assert (row.first, row.last, row.types) == (3, 4, {"push": {"clean": 1}, "b": {"clean": 1}})
    assert (row.other_types, row.other_times) == ({"clean": 2}, {"clean": 1})


def test_a_half_kept_record_is_counted_where_it_was_not_kept() -> None:
    windows = Windows(BOUNDS)
    windows.count(HERE, 3, record(one(), one(source="other")))
    first, _, _ = windows.changed()
    again = Windows(BOUNDS)
    again.load([first])
    again.count(HERE, 3, record(one(), one(source="other")))
    assert sorted((row.source_id, row.types["push"]["clean"]) for row in again.rows(9)) == [("other", 1), ("s", 1)]


def test_a_minute_that_is_ahead_of_its_place_is_held_until_its_records_have_come_again() -> None:
    first = Windows(BOUNDS)
    first.count(HERE, 0, record(one()))
    kept = dict(first.changed())
    first.count(HERE, 1, record(one(), at=NOW + 1))
    minutes = [(key, value) for key, value in first.changed() if b'"m"' in key]  # the writer ended before the place
    again = Windows(Bounds(LATE_US, 60, 2, live=1))
    again.load((kept | dict(minutes)).items())
    again.quiet(HERE, (NOW + 100) * MINUTE_US)
    assert [row.types for row in tell(again)] == [{"push": {"clean": 2}}]
    assert again.let_go(["ledger"]) == []
    assert not again.full  # it waits for counting itself
    again.count(HERE, 1, record(one(), at=NOW + 1))
    assert again.rows(9) == []
    assert len(again.let_go(["ledger"])) == 1


def test_a_ledger_that_is_no_more_is_forgotten() -> None:
    windows = Windows(BOUNDS)
    windows.count(HERE, 3, record(one()))
    assert windows.let_go(["other"]) == [b'["m","ledger",0,"s",1000000]', b'["p","ledger",0]']
    assert windows.next_offset(HERE) is None
    assert list(windows.changed()) == []
