"""The edge's own look at backlogs, while nobody tells: committed against end offsets, in a thread, every few seconds.

Only sources that had requests in the last minute are asked about, and at most MAX_TOPICS of their topics at a time, in
turn. It sees records; their age only from how long a position has stood still here (a lower bound), their bytes not at
all. What cannot be measured stays unknown: nothing is refused for it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from ingress.overload.watch import Watch
from ingress.tally import Tally
from schemas.backing.kafka.lags import Place, Standing
from schemas.definitions.view import TopicView
from schemas.errors import HookbergError
from schemas.logs import logger
from schemas.overload import Backlog
from schemas.ports import Clock, RegistryView
from schemas.wire.pressure import STALE_S

EVERY_S = 5.0
TICK_S = 1.0
MAX_TOPICS = 200
Ask = Callable[[Iterable[TopicView]], Mapping[Place, Standing]]
"""How far each partition of raw topics is decided, and where it ends; blocking (schemas.backing.kafka.lags)."""
_log = logger("ingress")


class Backlogs(msgspec.Struct, frozen=True):
    """Where a worker learns of backlogs; None: not at all.

    `client`: settings of a Kafka client, by which the topic is read; `ask`: who measures; `away`: why Kafka cannot be
    asked now, by what the worker's producer knows.
    """

    client: Mapping[str, Any] | None = None
    ask: Ask | None = None
    away: Callable[[], str | None] = lambda: None


UNTOLD = Backlogs()


class _Stood(msgspec.Struct, frozen=True, gc=False):
    """A position, and since when it is known to stand there while records wait."""

    decided: int
    since: float


class Measure:
    """Looks after one worker's Watch: ages it each second, and measures where it knows nothing.

    Without `ask` nothing is measured, nor while Kafka is away.
    """

    def __init__(self, watch: Watch, view: RegistryView, tally: Tally, clock: Clock, given: Backlogs) -> None:
        self._watch, self._view, self._tally, self._clock = watch, view, tally, clock
        self._ask, self._away = given.ask, given.away
        self._stood: dict[Place, _Stood] = {}
        self._turn = 0

    async def run(self) -> None:
        """Go on for ever; cancelled at the end. The first look waits until the topic was read for a while."""
        asked = self._clock.monotonic() - EVERY_S + STALE_S
        while True:
            self._watch.tend()
            if self._clock.monotonic() - asked >= EVERY_S:
                asked = self._clock.monotonic()
                await self.look()
            await asyncio.sleep(TICK_S)

    async def look(self) -> None:
        """Measure active sources of whom nothing is known."""
        topics = self._wanted()
        if not topics or self._ask is None or self._away() is not None:
            return
        try:
            found = await asyncio.to_thread(self._ask, topics.values())
        except HookbergError as exc:
            _log.info("backlog_not_measured", error=str(exc))
            return
        except Exception:  # noqa: BLE001 what is not known disturbs no request
            _log.exception("backlog_not_measured")
            return
        waiting = self._backlogs(found, self._clock.monotonic())
        sources = self._view.current().sources.values()
        self._watch.measured({source.id: waiting[source.topic] for source in sources if source.topic in waiting})

    def _wanted(self) -> dict[str, TopicView]:
        snapshot = self._view.current()
        active = self._watch.unknown(self._tally.active())
        names = sorted({snapshot.sources[one].topic for one in active if one in snapshot.sources})
        if len(names) > MAX_TOPICS:
            start = self._turn % len(names)
            self._turn += MAX_TOPICS
            names = (names + names)[start : start + MAX_TOPICS]
        return {name: snapshot.topics[name] for name in names if name in snapshot.topics}

    def _backlogs(self, found: Mapping[Place, Standing], now: float) -> dict[str, Backlog]:
        """Return each topic's backlog: records of all partitions, the age of the one that stands longest."""
        stood: dict[Place, _Stood] = {}
        out: dict[str, Backlog] = {}
        for place, standing in found.items():
            age_s = 0.0
            if standing.waiting:
                before = self._stood.get(place)
                still = before is not None and before.decided == standing.decided
                stood[place] = before if before is not None and still else _Stood(standing.decided, now)
                age_s = now - stood[place].since
            sum_ = out.get(place[0], Backlog(0, 0.0))
            out[place[0]] = Backlog(sum_.events + standing.waiting, max(sum_.age_s, age_s))
        self._stood = stood
        return out
