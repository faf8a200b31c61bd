"""What a backlog means: shares, levels, and that a level is not left where it was entered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.definitions.base import read
from schemas.definitions.overload import Overload
from schemas.errors import Refused
from schemas.overload import LEAVE, Backlog, Level, level, share

RULES = read(
    Overload,
    {
        "warn": {"events": 100, "ageSeconds": 10},
        "alarm": {"events": 1000, "ageSeconds": 100},
        "bound": {"events": 10_000, "ageSeconds": 1000, "bytes": 1_000_000},
    },
)


@pytest.mark.parametrize(
    ("backlog", "expected"),
    [
        (Backlog(99, 9.9, 999_999), Level.CALM),
        (Backlog(100, 0), Level.WARN),
        (Backlog(0, 10), Level.WARN),
        (Backlog(0, 100), Level.ALARM),
        (Backlog(10_000, 0), Level.BOUND),
        (Backlog(1, 0, 1_000_000), Level.BOUND),
    ],
)
def test_a_level_is_entered_at_its_threshold_by_records_age_or_bytes(backlog: Backlog, expected: Level) -> None:
    assert level(Level.CALM, backlog, RULES) == expected


def test_a_level_is_left_well_below_its_threshold() -> None:
    assert level(Level.ALARM, Backlog(700, 0), RULES) == Level.ALARM
    assert level(Level.ALARM, Backlog(699, 0), RULES) == Level.WARN
    assert level(Level.WARN, Backlog(69, 0), RULES) == Level.CALM


@given(st.sampled_from(Level), st.integers(0, 20_000), st.floats(0, 2_000))
def test_a_level_repeats_itself_and_more_backlog_is_never_a_lower_level(
    before: Level, events: int, age_s: float
) -> None:
    now = level(before, Backlog(events, age_s), RULES)
    assert level(now, Backlog(events, age_s), RULES) == now
    assert level(before, Backlog(events + 1, age_s), RULES) >= now


def test_share_is_the_worst_of_the_measures() -> None:
    assert share(Backlog(50, 9), RULES.warn) == 0.9
    assert share(Backlog(0, 0, 500_000), RULES.bound) == 0.5
    assert 0 < LEAVE < 1


def test_thresholds_that_fall_are_refused() -> None:
    with pytest.raises(Refused, match="must not fall"):
        read(Overload, {"alarm": {"events": 10, "ageSeconds": 600}})
