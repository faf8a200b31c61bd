"""What waits in the raw topics of a group: records, age of the oldest, how fast it is done.

Lives here: what is asked of Kafka about which partition, and what the answers mean. Not here: asking
(agents/pressure.py), levels and records (schemas/pressure.py). Pure: offsets and times come in. README.md, Pressure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas.overload import Backlog
from schemas.pressure import Rate

MOST_ASKED = 1_000
"""Partitions that Kafka is asked about at a look; the others have their turn at the next ones."""
QUIET_ASKED = 50
"""Of these, partitions of which fetches say that nothing waits: whether fetches still say so."""
STALE_S = 3.0
"""An end of a log is believed so long; while it is old, what waits does not become less."""
Place = tuple[str, int]
"""(topic name, partition)."""


class Standing(NamedTuple):
    """A raw partition now: next offset to decide and partition time (ms, 0 = nothing decided yet), by the last commit.

    `end`: the end of the log as fetches told it; None: not told, or not to be believed.
    """

    position: int
    time_ms: int
    end: int | None


@dataclass(slots=True)
class _Log:
    """What was learned of one log; nothing that waits in it is older than `since_ms` (0 = not known).

    `end` was told at `told_s`; `before`: the end at the look before, which was at `before_ms`; `first`: its first
    offset, as far as that was asked for.
    """

    end: int = -1
    told_s: float = -STALE_S
    before: int | None = None
    before_ms: int = 0
    first: int = 0
    position: int = 0
    lag: int = 0
    since_ms: int = 0


class Backlogs:
    """The raw partitions of a group, look after look: `ends`, `ages`, `expired`, then `topics`."""

    def __init__(self) -> None:
        self._logs: dict[Place, _Log] = {}
        self._rates: dict[str, Rate] = {}
        self._turn = 0

    def ends(self, standing: Mapping[Place, Standing]) -> list[Place]:
        """Return the partitions whose end Kafka is to be asked for.

        While records wait nothing may be fetched, so fetches do not tell it. What they tell at the end of a log is
        fresh: Kafka answers a fetch as soon as a record comes. So is what they tell while a partition flows.
        """
        wait = [place for place, one in standing.items() if not self._told(place, one)]
        waiting = set(wait)
        quiet = [place for place in standing if place not in waiting]
        self._turn += 1
        return _turn(wait, MOST_ASKED - QUIET_ASKED, self._turn) + _turn(quiet, QUIET_ASKED, self._turn)

    def ages(self, now_s: float, standing: Mapping[Place, Standing], ends: Mapping[Place, int]) -> dict[Place, int]:
        """Take the ends that Kafka told; return, of partitions behind, the time (ms) after which to look for a record.

        What came since the look before needs no question: it is no older than that.
        """
        wanted: dict[Place, int] = {}
        for place in self._logs.keys() - standing.keys():
            del self._logs[place]
        for place, one in standing.items():
            log = self._logs.setdefault(place, _Log())
            told = ends.get(place)
            if told is None and self._told(place, one):
                told = one.end
            if told is not None:
                log.end, log.told_s = told, now_s
            elif one.end is not None:
                log.end = max(log.end, one.end)
            if log.end > one.position and (log.before is None or one.position < log.before):
                wanted[place] = one.time_ms
        chosen = _turn(list(wanted), MOST_ASKED, self._turn)
        return {place: wanted[place] for place in chosen}

    def expired(self, standing: Mapping[Place, Standing], younger: Mapping[Place, tuple[int, int]]) -> list[Place]:
        """Return the partitions whose first offset is to be asked for: what waited there may have expired."""
        return [place for place, (offset, _) in younger.items() if offset > standing[place].position]

    def topics(
        self,
        now_ms: int,
        now_s: float,
        standing: Mapping[Place, Standing],
        younger: Mapping[Place, tuple[int, int]],
        firsts: Mapping[Place, int],
        sizes: Mapping[str, float],
        unknown_bytes: int,
    ) -> Iterator[tuple[str, Backlog, float | None]]:
        """Yield topic name, what waits and records done a second; a topic that could not be measured is left out."""
        waits: dict[str, tuple[int, float]] = {}
        done: dict[str, int] = {}
        unknown: set[str] = set()
        for place, one in standing.items():
            topic, log = place[0], self._logs[place]
            log.first = max(log.first, firsts.get(place, 0))
            done[topic] = done.get(topic, 0) + one.position
            found = None
            if now_s - log.told_s < STALE_S:
                found = self._wait(now_ms, one, log, younger.get(place), new=log.told_s == now_s)
            if found is None:
                unknown.add(topic)
                continue
            lag, oldest_s = waits.get(topic, (0, 0.0))
            waits[topic] = lag + found[0], max(oldest_s, found[1])
            log.before, log.before_ms = log.end, now_ms
        for topic in self._rates.keys() - done.keys():
            del self._rates[topic]
        for topic, total in done.items():
            rate = self._rates.setdefault(topic, Rate())
            rate.add(now_s, total)
            if topic not in unknown:
                events, age_s = waits[topic]
                yield topic, Backlog(events, age_s, int(events * sizes.get(topic, unknown_bytes))), rate.per_s

    def _told(self, place: Place, one: Standing) -> bool:
        """Tell whether fetches tell the end: nothing waits, or what was there at the look before is done."""
        if one.end is None:
            return False
        log = self._logs.get(place)
        return one.end <= one.position or (log is not None and log.before is not None and one.position >= log.before)

    def _wait(
        self, now_ms: int, one: Standing, log: _Log, younger: tuple[int, int] | None, *, new: bool
    ) -> tuple[int, float] | None:
        """Return the records that wait and the age of the oldest, at most; None: its age is not known at all.

        An end that is not `new` may be far behind by now: as much waits as when it was told.
        """
        if one.position < log.position:
            log.since_ms = 0
        log.position = one.position
        at = max(one.position, log.first)
        lag = log.lag = max(0, log.end - at) if new else max(log.lag, log.end - at)
        if not lag:
            log.since_ms = now_ms
            return 0, 0.0
        if not new and log.since_ms:
            return lag, max(0.0, (now_ms - log.since_ms) / 1000)
        caught_up = log.before is not None and one.position >= log.before
        if younger is None and not caught_up and not log.since_ms:
            return None
        since_ms = max(log.since_ms, one.time_ms, log.before_ms if caught_up else 0)
        if younger is not None and (younger[0] <= at or not one.time_ms):
            since_ms = max(since_ms, younger[1])  # the record's own time, or that of one before it
        log.since_ms = since_ms
        return (lag, max(0.0, (now_ms - since_ms) / 1000)) if since_ms else None


def _turn(places: Sequence[Place], most: int, turn: int) -> list[Place]:
    """Return `most` of the places, others at another turn."""
    if len(places) <= most:
        return list(places)
    start = turn * most % len(places)
    return [places[(start + number) % len(places)] for number in range(most)]
