"""From what an origin measures of its sources to the records that it tells: level, rates, and what is told when.

Lives here: what the stage and the writers do alike. Not here: measuring (streams/backlog.py, sinks/pressure.py), the
record (schemas/wire/pressure.py), what a level means (schemas/overload.py). Pure: times come in.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.definitions.view import SourceView
from schemas.overload import Backlog, Level, level, share
from schemas.wire.pressure import Origin, Pressure

WINDOW_S = 30.0
"""What rates are taken over."""
KNOWN_S = 5.0
"""A rate over less is not known."""
CALM_S = 5.0
"""A calm source is told again after it: half of the time after which a record says nothing."""
NEAR = 0.5
"""A source is calm below this share of its first threshold."""
_STEP_S = 2.0


class Rate:
    """How fast a number that only grows does so, over the last half minute. A lower number begins anew."""

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, at_s: float, total: int) -> None:
        """Take the number at a time; a few samples are kept however often this is called."""
        samples = self._samples
        if samples and total < samples[-1][1]:
            samples.clear()
        if len(samples) > 1 and at_s - samples[-2][0] < _STEP_S:
            samples[-1] = at_s, total
        else:
            samples.append((at_s, total))
        while samples[0][0] < at_s - WINDOW_S:
            samples.popleft()

    @property
    def grown(self) -> int:
        """Return by how much it grew."""
        return self._samples[-1][1] - self._samples[0][1] if self._samples else 0

    @property
    def per_s(self) -> float | None:
        """Return the rate a second; None while it is not known."""
        if not self._samples:
            return None
        took = self._samples[-1][0] - self._samples[0][0]
        return self.grown / took if took >= KNOWN_S else None


@dataclass(frozen=True, slots=True)
class Measure:
    """What was measured of one source now."""

    backlog: Backlog
    drained_per_s: float | None
    quarantine_ratio: float = 0.0


class Pressures:
    """The sources of one origin in one process: their levels, and when each was told last."""

    def __init__(self, origin: Origin) -> None:
        self._origin: Origin = origin
        self._levels: dict[str, Level] = {}
        self._due_ms: dict[str, int] = {}

    def take(self, now_ms: int, sources: Mapping[str, SourceView], found: Mapping[str, Measure]) -> list[Pressure]:
        """Return the records to tell now.

        `found` holds the measured sources only: one that could not be measured is not told, and nobody knows after
        `STALE_S`; its level is kept. A paused source is calm: what waits is meant to wait.
        """
        records = []
        for source_id, measure in found.items():
            source = sources.get(source_id)
            if source is None:
                continue
            definition = source.definition
            before, overload = self._levels.get(source_id), definition.overload
            now = level(before or Level.CALM, measure.backlog, overload)
            if definition.paused:
                now = Level.CALM
            self._levels[source_id] = now
            if now is before and now_ms < self._due_ms.get(source_id, 0):
                continue
            near = now is not Level.CALM or share(measure.backlog, overload.warn) >= NEAR
            self._due_ms[source_id] = now_ms + (0 if near else int(CALM_S * 1000))
            records.append(self._record(source, now_ms, now, measure))
        return records

    def gone(self, sources: Mapping[str, SourceView]) -> list[str]:
        """Return the sources that were told and are deleted, once each: their records get a tombstone."""
        gone = [source_id for source_id in self._levels if source_id not in sources]
        self.forget(gone)
        return gone

    def forget(self, source_ids: Iterable[str]) -> None:
        """Begin anew with sources: others measure them now, or nobody does."""
        for source_id in source_ids:
            self._levels.pop(source_id, None)
            self._due_ms.pop(source_id, None)

    def _record(self, source: SourceView, now_ms: int, now: Level, measure: Measure) -> Pressure:
        backlog, drained = measure.backlog, measure.drained_per_s
        return Pressure(
            tenant_id=source.tenant,
            source_id=source.id,
            origin=self._origin,
            measured_at_ms=now_ms,
            level=int(now),
            lag_events=backlog.events,
            lag_seconds=round(backlog.age_s, 3),
            lag_bytes=backlog.bytes,
            drained_per_s=None if drained is None else round(drained, 3),
            quarantine_ratio=round(measure.quarantine_ratio, 4),
        )
