"""Freshness, retention, restarts and loss of streams, by what their writers say.

Lives here: the rules over stream states. Stopped streams are nobody's trouble: their state says no more than that.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

from schemas.backing.registry import StreamState
from schemas.definitions.stream import State, read_topic
from schemas.definitions.view import Snapshot, StreamView
from schemas.reasons import Reason
from streams.alerts.backlog import HALF, MOST
from streams.alerts.finding import Finding, Judged, Now, Open, instant, level, level_of, sources_of, span

WARN_AT, ALARM_AT = 6.0, 60.0
"""Times of a stream's `freshnessSeconds` that what waits may be old, and at least:"""
LEAST_WARN_S, LEAST_ALARM_S = 60.0, 600.0
RESTARTS_S = 600.0
FEW, MANY = 3, 6
"""Restarts within `RESTARTS_S` at which they are told."""
_DAY_S = 86_400


class Freshness:
    """What waits for a stream's table is too old, or its writer does not work. Remembers when each was well last."""

    def __init__(self) -> None:
        self._well_ms: dict[str, int] = {}

    def judge(self, now: Now, standing: Open) -> Judged:
        """Judge each stream that shall run by the age of what waits, or by how long nobody has written."""
        judged: Judged = {}
        for stream, state in _running(now):
            entity = ("stream", stream.id)
            behind_s = self._behind_s(now, stream, state)
            fresh_s = stream.definition.freshness_seconds
            warn_s, alarm_s = max(LEAST_WARN_S, WARN_AT * fresh_s), max(LEAST_ALARM_S, ALARM_AT * fresh_s)
            found = level(level_of(standing, entity), behind_s / warn_s, behind_s / alarm_s)
            judged[entity] = None
            if found is not None:
                why, do = _why(state)
                message = (
                    f"stream {stream.name}: its table is {span(behind_s)} behind, {fresh_s:g} s are wanted; {why}. {do}"
                )
                details = {
                    **_figures(stream, state),
                    "behindSeconds": round(behind_s, 1),
                    "threshold": alarm_s if found == "alarm" else warn_s,
                    "freshnessSeconds": fresh_s,
                }
                judged[entity] = Finding(stream.tenant, found, message, details)
        return judged

    def _behind_s(self, now: Now, stream: StreamView, state: StreamState | None) -> float:
        since_ms = self._well_ms.setdefault(stream.id, now.at_ms)
        if state is not None and state.state is State.WAITING:
            self._well_ms[stream.id] = now.at_ms
            return 0.0
        if state is not None and state.state is State.RUNNING:
            behind_s = state.lag_s or 0.0
            self._well_ms[stream.id] = now.at_ms - int(behind_s * 1000)
            return behind_s
        return (now.at_ms - since_ms) / 1000


def retention(now: Now, standing: Open) -> Judged:
    """Judge how old what waits for a stream is against what its topics keep: at 50 % and 80 %."""
    judged: Judged = {}
    for stream, state in _running(now):
        kept = _kept_days(now.snapshot, stream)
        if state is None or kept is None:
            continue
        entity, behind_s = ("stream", stream.id), state.lag_s or 0.0
        if state.state is State.FAILED and state.committed_at_ms is not None:
            behind_s = max(behind_s, (now.at_ms - state.committed_at_ms) / 1000)
        share = behind_s / (kept * _DAY_S)
        found = level(level_of(standing, entity), share / HALF, share / MOST)
        judged[entity] = None
        if found is not None:
            message = (
                f"stream {stream.name}: it stands at events of {span(behind_s)} ago, its topics keep {kept} days "
                f"({share:.0%}); then it fails with offsets_expired. {_why(state)[1]}"
            )
            expires_ms = now.at_ms + int((kept * _DAY_S - behind_s) * 1000)
            details = {**_figures(stream, state), "behindSeconds": round(behind_s), "retentionSeconds": kept * _DAY_S,
                       "share": round(share, 3), "expiresAt": instant(expires_ms)}  # fmt: skip
            judged[entity] = Finding(stream.tenant, found, message, details)
    return judged


def loss(now: Now, _standing: Open) -> Judged:
    """Judge whether a stream waits for somebody to accept that records are lost to it."""
    judged: Judged = {}
    for stream, state in _running(now):
        if state is None:
            continue
        judged["stream", stream.id] = None
        if state.state is State.FAILED and state.reason == Reason.OFFSETS_EXPIRED.value:
            message = f"stream {stream.name}: {state.message}"
            judged["stream", stream.id] = Finding(stream.tenant, "alarm", message, _figures(stream, state))
    return judged


class Restarts:
    """Writers whose process changes again and again while nobody asked for it."""

    def __init__(self) -> None:
        self._owners: dict[str, tuple[int, str]] = {}
        self._changed: dict[str, deque[int]] = {}

    def judge(self, now: Now, standing: Open) -> Judged:
        """Judge how often a running stream got another process within ten minutes, at the same generation."""
        judged: Judged = {}
        since_ms = now.at_ms - int(RESTARTS_S * 1000)
        for stream, state in _running(now):
            times = self._changed.setdefault(stream.id, deque(maxlen=MANY * 10))
            if state is not None and state.owner:
                generation, owner = self._owners.get(stream.id, (state.generation, state.owner))
                if (generation, owner) != (state.generation, state.owner) and generation == state.generation:
                    times.append(now.at_ms)
                self._owners[stream.id] = state.generation, state.owner
            while times and times[0] < since_ms:
                times.popleft()
            entity = ("stream", stream.id)
            found = level(level_of(standing, entity), len(times) / FEW, len(times) / MANY)
            judged[entity] = None
            if found is not None:
                message = (
                    f"stream {stream.name}: {len(times)} times in ten minutes another process wrote its table. Look "
                    "why the writers end: their log, memory, the catalog"
                )
                details = {**_figures(stream, state), "restarts": len(times), "windowSeconds": RESTARTS_S,
                           "lastAt": instant(times[-1])}  # fmt: skip
                judged[entity] = Finding(stream.tenant, found, message, details)
        for kept in (self._owners, self._changed):
            for stream_id in kept.keys() - now.snapshot.streams.keys():
                del kept[stream_id]
        return judged


def _running(now: Now) -> Iterator[tuple[StreamView, StreamState | None]]:
    for stream in now.snapshot.streams.values():
        if stream.desired == "running":
            state = now.state(stream.id)
            yield stream, None if state is None or state.generation < stream.generation else state


def _kept_days(snapshot: Snapshot, stream: StreamView) -> int | None:
    topics = {read_topic(topic) for topic in stream.definition.topics}
    return min((one.definition.retention.event_days for one in sources_of(snapshot, topics)), default=None)


def _why(state: StreamState | None) -> tuple[str, str]:
    """Return what holds a stream up, and what to do."""
    if state is None:
        return "no writer says anything of it", "Look whether `hookberg sinks` runs and is a member of its group"
    if state.state is State.FAILED:
        return f"{state.reason}: {(state.message or '')[:200]}", "Put that right; it goes on by itself, or with start"
    if state.state is State.RUNNING:
        return "it is written", "More comes than is written: give the writers another member, or it fewer columns"
    return f"it is {state.state.value}", "Look at the writers' log"


def _figures(stream: StreamView, state: StreamState | None) -> dict[str, Any]:
    if state is None:
        return {"stream": stream.name, "state": None, "sample": None}
    return {
        "stream": stream.name,
        "state": state.state.value,
        "reason": state.reason,
        "lagEvents": state.lag_records,
        "lagSeconds": state.lag_s,
        "owner": state.owner,
        "sample": {
            "snapshotId": None if state.snapshot_id is None else str(state.snapshot_id),
            "lastCommitAt": instant(state.committed_at_ms),
            "positions": {topic: dict(list(at.items())[:4]) for topic, at in list(state.positions.items())[:2]},
        },
    }
