"""What is known of each source's backlog, and what its requests meet because of it.

Lives here: the newest record of each origin, what was measured here while nobody told, who is strained. A request reads
`strained`, which holds only sources whose requests meet something: with none, that is all it costs. Not here: reading
Kafka (schemas/backing/kafka/pressure_reader.py, measure.py), what follows from a level (policies.py). What is unknown
is calm: nothing is made up.
"""

import random
from collections.abc import Callable, Iterable, Mapping

import msgspec

from ingress.overload import policies
from ingress.overload.budget import LossBudget
from ingress.overload.delays import Delays
from ingress.overload.policies import Strain
from ingress.tally import Tally
from schemas.definitions.view import SourceView
from schemas.errors import Overloaded
from schemas.overload import Backlog, Level, level, share
from schemas.ports import Clock, RegistryView
from schemas.reasons import Reason
from schemas.vendors import adapter
from schemas.wire.pressure import STALE_S, News, Origin, Pressure

OWN_FRESH_S = 15.0
"""How long a measurement of our own counts: three of measure.py's rounds."""
_STAGE: Origin = "stage"
_MS = 1000
_NS = 1_000_000_000


class _Told(msgspec.Struct, frozen=True, gc=False):
    """A record, and when it was measured by our monotonic clock."""

    record: Pressure
    at: float


class _Own(msgspec.Struct, frozen=True, gc=False):
    """A measurement of our own."""

    backlog: Backlog
    level: Level
    at: float


class Watch:
    """One worker's knowledge. `strained` is replaced, never changed: read it once."""

    def __init__(
        self, view: RegistryView, clock: Clock, tally: Tally, *, jitter: Callable[[], float] = random.random
    ) -> None:
        self.strained: Mapping[str, Strain] = {}
        self.delays = Delays()
        self._view, self._clock, self._tally, self._jitter = view, clock, tally, jitter
        self._told: dict[str, dict[str, _Told]] = {}
        self._own: dict[str, _Own] = {}
        self._budgets: dict[str, LossBudget] = {}
        self._raised: set[str] = set()

    def take(self, news: Iterable[News]) -> None:
        """Take in records as they were read; of a source and origin the one that was measured last counts.

        Two processes may tell of a source for a moment, while one takes its group over from the other.
        """
        now, wall_ms = self._clock.monotonic(), self._clock.time_ns() * _MS // _NS
        for source_id, origin, record in news:
            if record is None:
                self._told.get(source_id, {}).pop(origin, None)
                continue
            told = self._told.setdefault(source_id, {})
            before = told.get(origin)
            if before and record.measured_at_ms < before.record.measured_at_ms and self._is_fresh(before, now):
                continue
            age_s = max(0, wall_ms - record.measured_at_ms) / _MS
            told[origin] = _Told(record, now - age_s)
            if record.level > Level.CALM:
                self._raised.add(source_id)
        self.judge()

    def measured(self, found: Mapping[str, Backlog]) -> None:
        """Take in what was measured here, by source id; levels have hysteresis of their own.

        A paused source is calm, as the stage tells it: what waits is meant to wait.
        """
        now, sources = self._clock.monotonic(), self._view.current().sources
        for source_id, backlog in found.items():
            source = sources.get(source_id)
            if source is None or source.definition.paused:
                self._own.pop(source_id, None)
                continue
            before = self._own.get(source_id)
            then = level(Level.CALM if before is None else before.level, backlog, source.definition.overload)
            self._own[source_id] = _Own(backlog, then, now)
            if then > Level.CALM:
                self._raised.add(source_id)
        self.judge()

    def told(self, source_id: str) -> list[Pressure]:
        """Return what was told of a source, one record an origin, and still counts."""
        now = self._clock.monotonic()
        return [each.record for each in self._told.get(source_id, {}).values() if self._is_fresh(each, now)]

    def unknown(self, source_ids: Iterable[str]) -> list[str]:
        """Return those of whom the stage has told nothing that still counts."""
        now = self._clock.monotonic()
        return [one for one in source_ids if not self._is_fresh(self._told.get(one, {}).get(_STAGE), now)]

    def judge(self) -> None:
        """Decide anew who is strained; called for news and once a second, since records age."""
        now, sources = self._clock.monotonic(), self._view.current().sources
        found = {}
        for source_id in list(self._raised):
            source = sources.get(source_id)
            known = [] if source is None else self._known(source_id, now)
            if source is None or all(each[0] is Level.CALM for each in known):
                self._raised.discard(source_id)
                continue
            meets = self._strain(source, known)
            if meets is not None:
                found[source_id] = meets
        self.strained = found

    def tend(self) -> None:
        """Once a second: let go of what is about no source any more, begin the windows of loss budgets."""
        now_s, sources = self._clock.time_ns() / _NS, self._view.current().sources
        for kept in (self._told, self._own, self._budgets):
            if len(kept) > len(sources):
                for source_id in [one for one in kept if one not in sources]:
                    del kept[source_id]
        for source in sources.values():
            overload = source.definition.overload
            if overload.policy != "shed":
                self._budgets.pop(source.id, None)
                continue
            budget, taken = self._budgets.get(source.id), self._tally.taken(source.id)
            if budget is None or budget.shed != overload.shed:
                self._budgets[source.id] = LossBudget(overload.shed, taken, now_s)
            else:
                budget.roll(taken, now_s)
        self.judge()

    def may_lose(self, source_id: str) -> bool:
        """Take one delivery from a source's loss budget; False when it is spent, or not known yet."""
        budget = self._budgets.get(source_id)
        return budget is not None and budget.take(self._tally.taken(source_id), self._clock.time_ns() / _NS)

    def refusal(self, meets: Strain, reason: Reason) -> Overloaded:
        """Return what a request of a strained source is refused with."""
        return Overloaded(reason, policies.retry_after_s(meets, self._jitter()))

    def levels(self) -> dict[str, int]:
        """Return how many sources meet something, by the name of their level."""
        counts = {each.name.lower(): 0 for each in Level if each is not Level.CALM}
        for meets in self.strained.values():
            counts[meets.level.name.lower()] += 1
        return counts

    def _known(self, source_id: str, now: float) -> list[tuple[Level, Backlog, float | None]]:
        """Return what still counts of a source: level, backlog, events drained a second."""
        told = self._told.get(source_id, {})
        found = [
            (Level(each.record.level), each.record.backlog, each.record.drained_per_s)
            for each in told.values()
            if self._is_fresh(each, now)
        ]
        own = self._own.get(source_id)
        if own is not None and now - own.at <= OWN_FRESH_S and not self._is_fresh(told.get(_STAGE), now):
            found.append((own.level, own.backlog, None))
        return found

    @staticmethod
    def _strain(source: SourceView, known: list[tuple[Level, Backlog, float | None]]) -> Strain | None:
        """Return what follows from the worst that is known."""
        overload = source.definition.overload
        worst = max(known, key=lambda each: (each[0], share(each[1], overload.alarm)))
        return policies.strain(*worst, overload, adapter(source.platform))

    @staticmethod
    def _is_fresh(told: _Told | None, now: float) -> bool:
        return told is not None and now - told.at <= STALE_S
