"""Depth, age and retention of what waits for a source's events, by what stage and writers measured.

Lives here: three rules over the pressure records. A paused source is deep and old because somebody wants it: only its
retention is watched.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from schemas.definitions.overload import Threshold
from schemas.definitions.view import SourceView
from schemas.wire.pressure import Origin, Pressure
from streams.alerts.finding import Entity, Finding, Judged, Now, Open, instant, level, level_of, span

HALF, MOST = 0.5, 0.8
"""Shares of retention at which it is told."""
_DAY_S = 86_400
_ORIGINS: tuple[Origin, Origin] = "stage", "tables"
_WAITS = {"stage": "the stage", "tables": "a table"}


@dataclass(frozen=True, slots=True)
class _Measure:
    """One of a backlog's measures: what a record tells of it, what a threshold allows, and how both are said."""

    told: Callable[[Pressure], float]
    allowed: Callable[[Threshold], float]
    words: Callable[[Pressure, Threshold, str], str]


_DEPTH = _Measure(
    lambda one: one.lag_events,
    lambda threshold: threshold.events,
    lambda one, threshold, found: (
        f"{one.lag_events} events wait for {_WAITS[one.origin]}, {threshold.events} are its {found} threshold"
    ),
)
_AGE = _Measure(
    lambda one: one.lag_seconds,
    lambda threshold: threshold.age_seconds,
    lambda one, threshold, found: (
        f"the oldest event that waits for {_WAITS[one.origin]} is {span(one.lag_seconds)} old, "
        f"{span(threshold.age_seconds)} is its {found} threshold"
    ),
)


def depth(now: Now, standing: Open) -> Judged:
    """Judge the records that wait against `overload.warn.events` and `overload.alarm.events`."""
    return _judged(_DEPTH, now, standing)


def age(now: Now, standing: Open) -> Judged:
    """Judge the age of the oldest record that waits against `overload.warn.ageSeconds` and that of `alarm`."""
    return _judged(_AGE, now, standing)


def _judged(measure: _Measure, now: Now, standing: Open) -> Judged:
    judged: Judged = {}
    for entity, source, records, whole in _measured(now):
        overload = source.definition.overload
        worst = max(records, key=measure.told, default=None)
        if worst is None or source.definition.paused:
            _well(judged, entity, source, whole=whole)
            continue
        told = measure.told(worst)
        shares = told / measure.allowed(overload.warn), told / measure.allowed(overload.alarm)
        found = level(level_of(standing, entity), *shares)
        if found is None:
            _well(judged, entity, source, whole=whole)
            continue
        threshold = overload.alarm if found == "alarm" else overload.warn
        message = f"source {source.name}: {measure.words(worst, threshold, found)}; {_speed(worst)}. {_remedy(worst)}"
        details = {"threshold": measure.allowed(threshold), "bound": measure.allowed(overload.bound)}
        judged[entity] = Finding(source.tenant, found, message, _figures(source, worst) | details)
    return judged


def retention(now: Now, standing: Open) -> Judged:
    """Judge the age of the oldest raw record not decided against what the raw topic keeps: at 50 % and 80 %."""
    judged: Judged = {}
    for entity, source, records, _whole in _measured(now):
        worst = next((one for one in records if one.origin == "stage"), None)
        if worst is None:
            continue
        kept_s = source.definition.retention.raw_days * _DAY_S
        share = worst.lag_seconds / kept_s
        found = level(level_of(standing, entity), share / HALF, share / MOST)
        if found is None:
            judged[entity] = None
            continue
        do = "resume it" if source.definition.paused else "look at the stage (GET /readyz, its log)"
        message = (
            f"source {source.name}: the oldest event not processed is {span(worst.lag_seconds)} old, its topic keeps "
            f"{source.definition.retention.raw_days} days ({share:.0%}); what expires is lost. Now: {do}, or give it "
            "more retention.rawDays"
        )
        details = {**_figures(source, worst), "share": round(share, 3), "retentionSeconds": kept_s,
                   "expiresAt": instant(worst.measured_at_ms + int((kept_s - worst.lag_seconds) * 1000))}  # fmt: skip
        judged[entity] = Finding(source.tenant, found, message, details)
    return judged


def _measured(now: Now) -> list[tuple[Entity, SourceView, list[Pressure], bool]]:
    """Return every source with what is known of it, and whether that is all there is to know."""
    found = []
    for source in now.snapshot.sources.values():
        records = [one for origin in _ORIGINS if (one := now.pressure(source.id, origin)) is not None]
        found.append((("source", source.id), source, records, len(records) == len(_ORIGINS)))
    return found


def _well(judged: Judged, entity: Entity, source: SourceView, *, whole: bool) -> None:
    """Say that nothing is wrong, if everything is known: half the truth closes no alert."""
    if whole or source.definition.paused:
        judged[entity] = None


def _figures(source: SourceView, worst: Pressure) -> dict[str, Any]:
    drained = worst.drained_per_s
    return {
        "source": source.name,
        "origin": worst.origin,
        "lagEvents": worst.lag_events,
        "lagSeconds": worst.lag_seconds,
        "lagBytes": worst.lag_bytes,
        "drainedPerSecond": drained,
        "secondsToDrain": round(worst.lag_events / drained) if drained else None,
        "sample": {"topic": source.topic, "oldestAt": instant(worst.measured_at_ms - int(worst.lag_seconds * 1000))},
    }


def _speed(worst: Pressure) -> str:
    if worst.drained_per_s is None:
        return "how fast they are done is not known yet"
    return f"{worst.drained_per_s:.0f} a second are done" if worst.drained_per_s else "none are done"


def _remedy(worst: Pressure) -> str:
    if worst.origin == "tables":
        return "Look at its streams (hookberg stream list): one failed, or the writers need more members or a catalog"
    if not worst.drained_per_s:
        return "The stage stands still: look at its health page and log"
    return "More comes than is done: spread topics over more worker groups, or have the sender slow down"
