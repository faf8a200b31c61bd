"""Depth, age and retention of what waits for a source's events, by what stage and writers measured.

Lives here: three rules over the pressure records. A paused source is deep and old because somebody wants it: only its
retention is watched.
"""

from typing import Any

from schemas.definitions.view import SourceView
from schemas.wire.pressure import Origin, Pressure
from streams.alerts.finding import Entity, Finding, Judged, Now, Open, instant, level, level_of, span

HALF, MOST = 0.5, 0.8
"""Shares of retention at which it is told."""
_DAY_S = 86_400
_ORIGINS: tuple[Origin, Origin] = "stage", "tables"
_WAITS = {"stage": "the stage", "tables": "a table"}


def depth(now: Now, standing: Open) -> Judged:
    """Judge the records that wait against `overload.warn.events` and `overload.alarm.events`."""
    judged: Judged = {}
    for entity, source, records, whole in _measured(now):
        overload = source.definition.overload
        worst = max(records, key=lambda one: one.lag_events, default=None)
        if worst is None or source.definition.paused:
            _well(judged, entity, source, whole=whole)
            continue
        shares = worst.lag_events / overload.warn.events, worst.lag_events / overload.alarm.events
        found = level(level_of(standing, entity), *shares)
        if found is None:
            _well(judged, entity, source, whole=whole)
            continue
        threshold = overload.alarm if found == "alarm" else overload.warn
        message = (
            f"source {source.name}: {worst.lag_events} events wait for {_WAITS[worst.origin]}, {threshold.events} are "
            f"its {found} threshold; {_speed(worst)}. {_remedy(worst)}"
        )
        details = {**_figures(source, worst), "threshold": threshold.events, "bound": overload.bound.events}
        judged[entity] = Finding(source.tenant, found, message, details)
    return judged


def age(now: Now, standing: Open) -> Judged:
    """Judge the age of the oldest record that waits against `overload.warn.ageSeconds` and that of `alarm`."""
    judged: Judged = {}
    for entity, source, records, whole in _measured(now):
        overload = source.definition.overload
        worst = max(records, key=lambda one: one.lag_seconds, default=None)
        if worst is None or source.definition.paused:
            _well(judged, entity, source, whole=whole)
            continue
        shares = worst.lag_seconds / overload.warn.age_seconds, worst.lag_seconds / overload.alarm.age_seconds
        found = level(level_of(standing, entity), *shares)
        if found is None:
            _well(judged, entity, source, whole=whole)
            continue
        threshold = overload.alarm if found == "alarm" else overload.warn
        message = (
            f"source {source.name}: the oldest event that waits for {_WAITS[worst.origin]} is "
            f"{span(worst.lag_seconds)} old, {span(threshold.age_seconds)} is its {found} threshold; {_speed(worst)}. "
            f"{_remedy(worst)}"
        )
        details = {**_figures(source, worst), "threshold": threshold.age_seconds, "bound": overload.bound.age_seconds}
        judged[entity] = Finding(source.tenant, found, message, details)
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
