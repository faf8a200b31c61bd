"""`/alerts`: what is wrong with sources and streams now, and was, newest first."""

from datetime import datetime
from typing import Any

from ingress.api import paging
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.routes import Query, Route
from schemas.definitions.alert import Alert, AlertKind, AlertStatus
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.errors import Refused
from schemas.reasons import Reason

_FILTERS = (
    Query("status", "string", "open or closed", maximum=8),
    Query("kind", "string", f"one of {', '.join(AlertKind)}", maximum=32),
    Query("entityId", "string", "id of the source, stream or worker group that it is about", maximum=36),
    Query("since", "string", "opened at or after this RFC 3339 time, or open still", maximum=40),
)


class AlertAnswer(Definition):
    """An alert; `details` are the figures when it was last looked at, by kind (streams/README.md)."""

    id: str
    tenant_id: str
    kind: AlertKind
    status: AlertStatus
    entity_type: str
    entity_id: str
    message: str
    details: dict[str, Any]
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None


class AlertPage(Definition):
    """One page of alerts, newest first."""

    items: list[AlertAnswer]
    next_cursor: str | None


async def list_alerts(call: Call) -> Answer:
    """List alerts, open and closed."""
    page = await call.threads.run(
        call.env.registry.alerts.list,
        call.tenant,
        call.page,
        status=call.chosen("status", AlertStatus),
        kind=call.chosen("kind", AlertKind),
        entity_id=call.query.get("entityId"),
        since_ms=_moment(call),
    )
    return Answer(paging.page([_wire(alert) for alert in page.items], page.next_cursor))


async def get_alert(call: Call) -> Answer:
    """Show an alert."""
    return Answer(_wire(await call.threads.run(call.env.registry.alerts.get, call.tenant, call.named("id"))))


def _moment(call: Call) -> int | None:
    text = call.query.get("since")
    try:
        return None if text is None else shapes.epoch_ms(text)
    except (ValueError, OverflowError) as exc:
        raise Refused(Reason.BAD_REQUEST, "since: an RFC 3339 time, for example 2026-11-21T10:00:00Z") from exc


def _wire(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.id,
        "tenantId": alert.tenant_id,
        "kind": alert.kind.value,
        "status": alert.status.value,
        "entityType": alert.entity_type,
        "entityId": alert.entity_id,
        "message": alert.message,
        "details": dict(alert.details),
        "openedAt": shapes.instant(alert.opened_at_ms),
        "updatedAt": shapes.instant(alert.updated_at_ms),
        "closedAt": shapes.instant(alert.closed_at_ms),
    }


ROUTES = (
    Route("GET", "/alerts", list_alerts, "List alerts", Permission.EVENTS_READ, AlertPage,
          query=(*_FILTERS, *shapes.PAGE)),
    Route("GET", "/alerts/{id}", get_alert, "Show an alert", Permission.EVENTS_READ, AlertAnswer),
)  # fmt: skip
