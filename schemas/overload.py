"""What a measured backlog means: how near it is to a source's thresholds, and the level, with hysteresis.

Pure; the stage judges by it what it publishes, the edge what it measures itself while nobody publishes. A level is
entered at its threshold and left only below `LEAVE` of it, so that a backlog around a threshold is not told again and
again (tests/simulation shows it).
"""

from dataclasses import dataclass
from enum import IntEnum

from schemas.definitions.overload import Bound, Overload, Threshold

LEAVE = 0.7
"""Share of a threshold below which its level is left."""


class Level(IntEnum):
    """Between which thresholds a backlog stands."""

    CALM = 0
    WARN = 1
    ALARM = 2
    BOUND = 3


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits: records, age of the oldest in seconds, their bytes as stored."""

    events: int
    age_s: float
    bytes: int = 0


def share(backlog: Backlog, threshold: Threshold) -> float:
    """Return how much of a threshold is reached: 1 or more = past it."""
    shares = [backlog.events / threshold.events, backlog.age_s / threshold.age_seconds]
    if isinstance(threshold, Bound):
        shares.append(backlog.bytes / threshold.bytes)
    return max(shares)


def level(before: Level, backlog: Backlog, overload: Overload) -> Level:
    """Return the level now, `before` being the last one."""
    shares = {
        Level.WARN: share(backlog, overload.warn),
        Level.ALARM: share(backlog, overload.alarm),
        Level.BOUND: share(backlog, overload.bound),
    }
    for one in (Level.BOUND, Level.ALARM, Level.WARN):
        if shares[one] >= (LEAVE if before >= one else 1.0):
            return one
    return Level.CALM
