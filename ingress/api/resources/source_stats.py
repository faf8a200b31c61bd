"""`GET /sources/{id}/stats?window=`: what became of a source's events, by minute of event time, folded to few points.

Lives here: the window, the fold, the answer. How minutes come into the registry: streams/README.md, Minutes.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.routes import Query, Route
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.definitions.minute import MinuteCounts
from schemas.definitions.source import matches
from schemas.errors import Refused
from schemas.reasons import Reason

DEFAULT = "24h"
MAX_POINTS = 200
MAX_DAYS = 90
SHOWN_TYPES = 50
STEPS = (1, 5, 15, 30, 60, 120, 180, 360, 720, 1440)
"""Minutes a point may stand for; the least that makes few enough points is taken."""
_WINDOW = re.compile(r"([1-9][0-9]{0,5})([mhd])", re.ASCII)
_UNITS = {"m": 1, "h": 60, "d": 1440}
_MINUTE_MS = 60_000
Sums = dict[str, int]
"""Outcome -> number of events."""

_QUERY = (
    Query("window", "string", f"how far back, for example 1h, 24h or 7d; default {DEFAULT}", minimum=2, maximum=7),
    Query("eventType", "string", "only event types that fit this glob, for example push or issue*", minimum=1),
)


class StatsPoint(Definition):
    """What became of the events of one point: event times from `at` on, for `stepSeconds`."""

    at: datetime
    outcomes: Sums


class StatsType(Definition):
    """What became of the events of one type in the whole window."""

    event_type: str
    outcomes: Sums


class SourceStats(Definition):
    """A source's minutes, folded; points without events are there, with no outcomes.

    `completeUntil`: everything with an event time before it is counted, but for what comes later still, which mends its
    point then; null while no process counts. `otherTypes`: events of types beyond the bound, `otherTimes`: events whose
    own time is too old or in the future, in the point of their decision. With `eventType` neither is in `outcomes` and
    `points`: whether they fit is not known.
    """

    source: str
    window: str
    event_type: str | None
    step_seconds: int = Field(ge=60)
    since: datetime
    until: datetime
    complete_until: datetime | None
    outcomes: Sums
    points: list[StatsPoint]
    event_types: list[StatsType]
    other_types: Sums
    other_times: Sums


async def get_source_stats(call: Call) -> Answer:
    """Show what became of a source's events, over time."""
    window = call.query.get("window", DEFAULT)
    minutes = _minutes(window)
    wanted = call.query.get("eventType")
    record = await call.threads.run(call.env.registry.sources.get, call.tenant, call.named("id"))
    step = next((step for step in STEPS if minutes <= step * MAX_POINTS), STEPS[-1])
    count = -(-minutes // step)
    until = (call.env.clock.time_ns() // 1_000_000 // _MINUTE_MS // step + 1) * step
    since = until - count * step
    book = call.env.registry.minutes
    complete = await call.threads.run(
        book.complete, call.tenant
    )  # first: what is stored meanwhile is newer, never older
    folded = await call.threads.run(lambda: fold(book.read(record.id, since, until), since, step, count, wanted))
    answer = {
        "source": record.name,
        "window": window,
        "eventType": wanted,
        "stepSeconds": step * 60,
        "since": _at(since),
        "until": _at(until),
        "completeUntil": None if complete is None else _at(complete),
    }
    return Answer(answer | folded)


def fold(rows: Iterable[MinuteCounts], since: int, step: int, count: int, wanted: str | None) -> dict[str, Any]:
    """Sum minutes into `count` points of `step` minutes from minute `since` on, and over all by event type."""
    points: list[Sums] = [{} for _ in range(count)]
    types: dict[str, Sums] = {}
    whole, other_types, other_times = Sums(), Sums(), Sums()
    fits: dict[str, bool] = {}
    for row in rows:
        sums = points[(row.minute - since) // step]
        for event_type, outcomes in row.types.items():
            if wanted is not None:
                if event_type not in fits:
                    fits[event_type] = matches(wanted, event_type)
                if not fits[event_type]:
                    continue
            for into in (sums, whole, types.setdefault(event_type, {})):
                _add(into, outcomes)
        for others, outcomes in ((other_types, row.other_types), (other_times, row.other_times)):
            for into in (others,) if wanted is not None else (others, sums, whole):
                _add(into, outcomes)
    ranked = sorted(types, key=lambda name: (-sum(types[name].values()), name))
    for name in ranked[SHOWN_TYPES:]:
        _add(other_types, types[name])
    return {
        "outcomes": whole,
        "points": [{"at": _at(since + number * step), "outcomes": sums} for number, sums in enumerate(points)],
        "eventTypes": [{"eventType": name, "outcomes": types[name]} for name in ranked[:SHOWN_TYPES]],
        "otherTypes": other_types,
        "otherTimes": other_times,
    }


def _add(into: Sums, outcomes: Mapping[str, int]) -> None:
    for outcome, n in outcomes.items():
        into[outcome] = into.get(outcome, 0) + n


def _minutes(window: str) -> int:
    found = _WINDOW.fullmatch(window)
    minutes = 0 if found is None else int(found[1]) * _UNITS[found[2]]
    if not 0 < minutes <= MAX_DAYS * _UNITS["d"]:
        raise Refused(Reason.BAD_REQUEST, f"window: minutes, hours or days, at most {MAX_DAYS}d, for example 30m or 7d")
    return minutes


def _at(minute: int) -> str:
    return str(shapes.instant(minute * _MINUTE_MS))


ROUTES = (
    Route("GET", "/sources/{id}/stats", get_source_stats, "Show what became of a source's events, over time",
          Permission.SOURCES_READ, SourceStats, query=_QUERY),
)  # fmt: skip
