"""What the answers about an outbound webhook's deliveries look like, and how they are made of the registry's values.

Lives here: models of the document and plain translations. Times are ms since the epoch, as in the webhook itself.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import Field

from schemas.backing.registry.outbound.log import Told
from schemas.backing.registry.outbound.statistics import Statistics, Window
from schemas.definitions.base import Definition
from schemas.definitions.notification import Attempt, Delivery, DeliveryKind, DeliveryState
from schemas.reasons import Reason

ANSWERS = ("2xx", "3xx", "4xx", "5xx", "none")
"""Classes of an answer; `none`: there was none."""
_TEXTS = {reason.value: reason.text for reason in Reason}


class DeliveryLine(Definition):
    """One delivery in a list; `events` says how many it holds, `text` how its last attempt went, in words."""

    id: str = Field(description="the header `webhook-id` of each attempt")
    webhook_id: str
    receiver: str | None = Field(description="a contact's id; null: the webhook's own endpoint")
    kind: DeliveryKind
    state: DeliveryState
    events: int
    attempts: int
    created_at: int
    updated_at: int
    next_attempt: int | None
    last_attempt: int | None
    last_status_code: int | None
    last_reason: str | None
    text: str


class WebhookDeliveryPage(Definition):
    """One page of a webhook's deliveries, newest first."""

    items: list[DeliveryLine]
    next_cursor: str | None


class AttemptAnswer(Definition):
    """One request and its answer, bodies cut to bounds, without secrets and signatures; `text` says it in words."""

    number: int
    at: int
    duration_ms: int
    url: str
    status_code: int | None
    reason: str | None
    text: str
    request: dict[str, Any]
    response: dict[str, Any]


class WebhookDeliveryAnswer(DeliveryLine):
    """One delivery with its events as stored and its attempts, oldest first (the newest hundred)."""

    event_list: list[dict[str, Any]]
    attempt_list: list[AttemptAnswer]


class WindowAnswer(Definition):
    """Attempts by answer, deliveries made in the time by their state now, durations of the newest 10,000 attempts."""

    attempts: dict[str, int]
    success_rate: float | None
    p50_ms: int | None
    p95_ms: int | None
    measured: int
    deliveries: dict[str, int]


class StatisticsAnswer(Definition):
    """How a webhook's deliveries go: in the last hour, the last day and all that the log keeps."""

    webhook_id: str
    at: int
    pending: int
    oldest_pending_at: int | None
    last_success_at: int | None
    last_failure_at: int | None
    hour: WindowAnswer
    day: WindowAnswer
    log: WindowAnswer


class TestAnswer(Definition):
    """A test that was asked for; `attempt` is there when it was made within `wait`."""

    delivery_id: str
    attempt: AttemptAnswer | None


class ResendAnswer(Definition):
    """What was asked to be sent again: how many deliveries match, and how many of them, the oldest, will be sent."""

    matching: int
    resending: int


def line(delivery: Delivery) -> dict[str, Any]:
    """Return a delivery as a line of a list."""
    made = delivery.last_attempt_at_ms is not None
    return {
        "id": delivery.id,
        "webhookId": delivery.lane.webhook_id,
        "receiver": delivery.lane.receiver or None,
        "kind": delivery.kind.value,
        "state": delivery.state.value,
        "events": len(delivery.events),
        "attempts": delivery.attempts,
        "createdAt": delivery.created_at_ms,
        "updatedAt": delivery.updated_at_ms,
        "nextAttempt": delivery.next_attempt_at_ms if delivery.state is DeliveryState.PENDING else None,
        "lastAttempt": delivery.last_attempt_at_ms,
        "lastStatusCode": delivery.last_status,
        "lastReason": delivery.last_reason,
        "text": words(delivery.last_status, delivery.last_reason) if made else "not tried yet",
    }


def whole(told: Told) -> dict[str, Any]:
    """Return a delivery with its events and attempts."""
    events = [event.to_wire() for event in told.events]
    return {**line(told.delivery), "eventList": events, "attemptList": [attempt(one) for one in told.attempts]}


def attempt(one: Attempt) -> dict[str, Any]:
    """Return one attempt."""
    return {
        "number": one.number,
        "at": one.at_ms,
        "durationMs": one.duration_ms,
        "url": one.url,
        "statusCode": one.status,
        "reason": one.reason,
        "text": words(one.status, one.reason),
        "request": dict(one.request),
        "response": dict(one.response),
    }


def figures(webhook_id: str, told: Statistics) -> dict[str, Any]:
    """Return a webhook's figures; every answer class and state is named, with 0 where there is none."""
    return {
        "webhookId": webhook_id,
        "at": told.at_ms,
        "pending": told.pending,
        "oldestPendingAt": told.oldest_pending_at_ms,
        "lastSuccessAt": told.last_success_at_ms,
        "lastFailureAt": told.last_failure_at_ms,
        **{name: _window(window) for name, window in told.windows.items()},
    }


def words(status: int | None, reason: str | None) -> str:
    """Return how an attempt went for a person: `503 Service Unavailable`, and the reason's own text."""
    answer = "" if status is None else f"{status} {_phrase(status)}".rstrip()
    if reason is None:
        return answer or "no answer"
    text = _TEXTS.get(reason, reason)
    return f"{answer}: {text}" if answer else text


def _window(window: Window) -> dict[str, Any]:
    return {
        "attempts": _counted(window.attempts, ANSWERS),
        "successRate": window.success_rate,
        "p50Ms": window.p50_ms,
        "p95Ms": window.p95_ms,
        "measured": window.measured,
        "deliveries": _counted(window.deliveries, tuple(state.value for state in DeliveryState)),
    }


def _counted(counts: Mapping[str, int], names: tuple[str, ...]) -> dict[str, int]:
    return {**dict.fromkeys(names, 0), **counts}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
