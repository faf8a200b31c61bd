"""`GET /overview`: sources, streams and outbound webhooks of a tenant in one answer, worst first, for `hookberg top`.

Lives here: the figures and their order. It is made of what is at hand: the view's snapshot, this process' knowledge of
pressure, a query each for counters, states, webhooks and alerts; nothing of Kafka or a table is asked.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.resources.stream_state import state_of
from ingress.api.routes import Query, Route
from schemas.backing.registry import PageRequest, StreamState, Tally
from schemas.backing.registry.outbound import statistics
from schemas.backing.registry.outbound.statistics import WebhookStanding
from schemas.definitions.alert import Alert, AlertKind, AlertStatus
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.definitions.stream import State
from schemas.definitions.view import SourceView, StreamView
from schemas.definitions.webhook import WebhookStatus
from schemas.errors import Refused
from schemas.overload import Level
from schemas.reasons import Reason
from schemas.wire.pressure import Pressure

DEFAULT, MOST = 100, 200
_ANY_OF = (Permission.SOURCES_READ, Permission.STREAMS_READ, Permission.EVENTS_READ, Permission.WEBHOOKS_READ)
_NS_IN_MS = 1_000_000
_STATES = {State.FAILED: 1_000, State.STARTING: 60, State.WAITING: 40, State.STOPPING: 5}
_WEBHOOKS = {
    WebhookStatus.RETRY_LIMIT_REACHED: 300,
    WebhookStatus.FAILED: 200,
    WebhookStatus.AWAITING_RETRY: 100,
}
_LEVEL, _ALERT = 200, 100
_LEVELS = Literal["calm", "warn", "alarm", "bound"]


class SourcePressure(Definition):
    """What waits of a source and how fast it goes, as measured within the last 10 s: by the stage, and by the writers.

    `level`: the worse of both by the source's thresholds. Of the writers: events that are in no table yet.
    """

    level: _LEVELS
    lag_events: int | None
    lag_seconds: float | None
    drained_per_second: float | None
    quarantine_ratio: float | None
    tables_lag_events: int | None
    tables_lag_seconds: float | None


class SourceLine(Definition):
    """A source in figures; counters are since it was made. `trouble`: 0 = none, more is worse."""

    id: str
    name: str
    platform: str
    enabled: bool
    paused: bool
    received: int
    refused: int
    shed: int
    last_event_at: datetime | None
    pressure: SourcePressure | None
    alerts: int
    trouble: int


class StreamLine(Definition):
    """A stream in figures; null = not known (yet). `freshnessSeconds`: what it shall keep."""

    id: str
    name: str
    target_table: str | None
    desired: Literal["running", "stopped"]
    state: State
    reason: str | None
    rows: int
    lag_events: int | None
    lag_seconds: float | None
    freshness_seconds: float
    freshness_p50_seconds: float | None
    freshness_p95_seconds: float | None
    last_commit_at: datetime | None
    alerts: int
    trouble: int


class AlertLine(Definition):
    """An open alert."""

    id: str
    kind: AlertKind
    entity_type: str
    entity_id: str
    message: str
    opened_at: datetime


class WebhookLine(Definition):
    """An outbound webhook: how its deliveries go, how many wait and since when."""

    id: str
    name: str
    status: WebhookStatus
    pending: int
    oldest_pending_at: datetime | None
    trouble: int


class Overview(Definition):
    """Worst first, at most `limit` of each; a list is null where the key may not read it; totals count all."""

    tenant_id: str
    at: datetime
    sources: list[SourceLine] | None
    sources_total: int = Field(ge=0)
    streams: list[StreamLine] | None
    streams_total: int = Field(ge=0)
    webhooks: list[WebhookLine] | None
    webhooks_total: int = Field(ge=0)
    alerts: list[AlertLine] | None
    more_alerts: bool


async def get_overview(call: Call) -> Answer:
    """Show all sources, streams, webhooks and open alerts of a tenant in figures, worst first."""
    may = {one: call.may(one) for one in _ANY_OF}
    if not any(may.values()):
        text = f"this call needs a key with one of the permissions {', '.join(_ANY_OF)}"
        raise Refused(Reason.FORBIDDEN, text)
    limit, registry, snapshot = int(call.query.get("limit", DEFAULT)), call.env.registry, call.env.view.current()
    request = PageRequest(MOST, None)
    page = await call.threads.run(registry.alerts.list, call.tenant, request, status=AlertStatus.OPEN.value)
    about = Counter(alert.entity_id for alert in page.items)
    answer: dict[str, Any] = {
        "tenantId": call.tenant,
        "at": shapes.instant(call.env.clock.time_ns() // _NS_IN_MS),
        "sources": None,
        "sourcesTotal": 0,
        "streams": None,
        "streamsTotal": 0,
        "webhooks": None,
        "webhooksTotal": 0,
        "alerts": [_alert(alert) for alert in page.items[:limit]] if may[Permission.EVENTS_READ] else None,
        "moreAlerts": may[Permission.EVENTS_READ] and (page.next_cursor is not None or len(page.items) > limit),
    }
    if may[Permission.SOURCES_READ]:
        tallies = await call.threads.run(registry.tallies.all, call.tenant)
        own = [source for source in snapshot.sources.values() if source.tenant == call.tenant]
        told = [source_line(one, tallies.get(one.id), call.env.pressures(one.id), about[one.id]) for one in own]
        answer |= {"sources": worst(told, limit), "sourcesTotal": len(told)}
    if may[Permission.STREAMS_READ]:
        states = await call.threads.run(registry.states.all, call.tenant)
        streams = [stream for stream in snapshot.streams.values() if stream.tenant == call.tenant]
        told = [stream_line(one, states.get(one.id), snapshot.topics, about[one.id]) for one in streams]
        answer |= {"streams": worst(told, limit), "streamsTotal": len(told)}
    if may[Permission.WEBHOOKS_READ]:
        standing = await call.threads.run(statistics.of_tenant, registry.outbound.rim, call.tenant)
        told = [webhook_line(one) for one in standing]
        answer |= {"webhooks": worst(told, limit), "webhooksTotal": len(told)}
    return Answer(answer)


def worst(lines: Iterable[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """Return the worst lines, by trouble and name."""
    return sorted(lines, key=lambda line: (-line["trouble"], line["name"]))[:limit]


def source_line(source: SourceView, tally: Tally | None, told: Sequence[Pressure], alerts: int) -> dict[str, Any]:
    """Return a source in figures."""
    tally = tally or Tally()
    definition = source.definition
    level = max((one.level for one in told), default=0)
    return {
        "id": source.id,
        "name": source.name,
        "platform": source.platform,
        "enabled": definition.enabled,
        "paused": definition.paused,
        "received": tally.accepted,
        "refused": sum(tally.refused.values()),
        "shed": tally.shed,
        "lastEventAt": shapes.instant(tally.last_event_at_ms),
        "pressure": _pressure(level, told),
        "alerts": alerts,
        "trouble": _LEVEL * level + _ALERT * alerts + (20 if definition.paused else 0),
    }


def _pressure(level: int, told: Sequence[Pressure]) -> dict[str, Any] | None:
    if not told:
        return None
    stage = next((one for one in told if one.origin == "stage"), None)
    tables = next((one for one in told if one.origin == "tables"), None)
    return {
        "level": Level(level).name.lower(),
        "lagEvents": stage and stage.lag_events,
        "lagSeconds": stage and stage.lag_seconds,
        "drainedPerSecond": stage and stage.drained_per_s,
        "quarantineRatio": stage and stage.quarantine_ratio,
        "tablesLagEvents": tables and tables.lag_events,
        "tablesLagSeconds": tables and tables.lag_seconds,
    }


def stream_line(
    stream: StreamView, said: StreamState | None, topics: Mapping[str, object], alerts: int
) -> dict[str, Any]:
    """Return a stream in figures; a stopped one is no trouble."""
    known = said or StreamState(stream.id, State.CREATED)
    state = state_of(stream, said, tuple(topics))
    target = stream.definition.freshness_seconds
    late = known.freshness_p95_s is not None and known.freshness_p95_s > 2 * target and state is State.RUNNING
    behind = known.lag_s is not None and known.lag_s > 2 * target and stream.desired == "running"
    return {
        "id": stream.id,
        "name": stream.name,
        "targetTable": stream.definition.target_table,
        "desired": stream.desired,
        "state": state.value,
        "reason": known.reason if state is State.FAILED else None,
        "rows": known.rows,
        "lagEvents": known.lag_records,
        "lagSeconds": known.lag_s,
        "freshnessSeconds": target,
        "freshnessP50Seconds": known.freshness_p50_s,
        "freshnessP95Seconds": known.freshness_p95_s,
        "lastCommitAt": shapes.instant(known.committed_at_ms),
        "alerts": alerts,
        "trouble": _STATES.get(state, 0) + _ALERT * alerts + (30 if late else 0) + (50 if behind else 0),
    }


def webhook_line(one: WebhookStanding) -> dict[str, Any]:
    """Return an outbound webhook in figures; a disabled one is no trouble."""
    return {
        "id": one.id,
        "name": one.name,
        "status": one.status.value,
        "pending": one.pending,
        "oldestPendingAt": shapes.instant(one.oldest_pending_at_ms),
        "trouble": _WEBHOOKS.get(one.status, 0),
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "kind": alert.kind.value,
        "entityType": alert.entity_type,
        "entityId": alert.entity_id,
        "message": alert.message,
        "openedAt": shapes.instant(alert.opened_at_ms),
    }


ROUTES = (
    Route("GET", "/overview", get_overview, "Show sources, streams, webhooks and alerts in figures, worst first", None,
          Overview, query=(Query("limit", "integer", "how many of each, worst first", minimum=1, maximum=MOST),),
          refusals=(Reason.FORBIDDEN,)),
)  # fmt: skip
