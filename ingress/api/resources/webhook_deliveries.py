"""`/webhooks/{uuid}/deliveries`: the log of an outbound webhook, and what is to be sent again.

Reads are of the registry's rows, which are the queue itself; what is asked of the notify process is a row that it takes
(202). Times in queries and bodies: RFC 3339, or ms since the epoch.
"""

from typing import Any

from pydantic import Field

from ingress.api import paging
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.resources.webhook_log_shapes import (
    ResendAnswer,
    WebhookDeliveryAnswer,
    WebhookDeliveryPage,
    line,
    whole,
)
from ingress.api.routes import Query, Route
from schemas.backing.registry.outbound import log, requests
from schemas.backing.registry.outbound.log import Wanted
from schemas.definitions.base import Definition
from schemas.definitions.key import Permission
from schemas.definitions.notification import DeliveryKind, DeliveryState
from schemas.errors import Refused
from schemas.reasons import Reason

FAILED = (DeliveryState.RETRY_LIMIT_REACHED, DeliveryState.CANCELED)
"""What `resend` sends again unless told otherwise: not delivered, and tried no more."""
_READ, _WRITE = Permission.WEBHOOKS_READ, Permission.WEBHOOKS_WRITE
_ANSWERS = {"none": 0, "2xx": 2, "3xx": 3, "4xx": 4, "5xx": 5}
_FILTERS = (
    Query("state", "string", f"one of {', '.join(DeliveryState)}", maximum=32),
    Query("kind", "string", f"one of {', '.join(DeliveryKind)}", maximum=32),
    Query("since", "string", "made then or later: RFC 3339, or ms since the epoch", maximum=40),
    Query("until", "string", "made before: RFC 3339, or ms since the epoch", maximum=40),
    Query("eventId", "string", "those that hold this event", maximum=36),
    Query("failed", "boolean", "those that were given up or canceled, or whose last attempt failed"),
    Query("answer", "string", f"the last attempt's answer: {', '.join(_ANSWERS)}", maximum=4),
)


class ResendRequest(Definition):
    """Which deliveries of a webhook to send again: made since then (RFC 3339, or ms since the epoch).

    `states`: retryLimitReached and canceled unless told otherwise; pending ones go by themselves.
    """

    since: str | int = Field(union_mode="left_to_right")
    until: str | int | None = Field(default=None, union_mode="left_to_right")
    states: tuple[DeliveryState, ...] = Field(default=FAILED, min_length=1, max_length=len(DeliveryState))


async def list_webhook_deliveries(call: Call) -> Answer:
    """List deliveries of a webhook, newest first."""
    wanted = Wanted(
        state=call.chosen("state", DeliveryState),
        kind=call.chosen("kind", DeliveryKind),
        since_ms=_asked(call, "since"),
        until_ms=_asked(call, "until"),
        event_id=call.query.get("eventId"),
        answer=_answer(call),
        failed=bool(call.query.get("failed", False)),
    )
    rim = call.env.registry.outbound.rim
    page = await call.threads.run(log.page, rim, call.tenant, call.named("uuid"), wanted, call.page)
    return Answer(paging.page([line(each) for each in page.items], page.next_cursor))


async def get_webhook_delivery(call: Call) -> Answer:
    """Show a delivery, its events and every attempt."""
    rim = call.env.registry.outbound.rim
    told = await call.threads.run(log.one, rim, call.tenant, call.named("uuid"), call.named("deliveryId"))
    return Answer(whole(told))


async def resend_webhook_delivery(call: Call) -> Answer:
    """Send a delivery again under its id, a delivered one too."""
    webhook, delivery = call.named("uuid"), call.named("deliveryId")
    rim = call.env.registry.outbound.rim
    await call.threads.run(requests.resend, rim, call.tenant, webhook, delivery, actor=call.actor)
    return Answer({"matching": 1, "resending": 1})


async def resend_webhook_deliveries(call: Call) -> Answer:
    """Send all failed deliveries since a time again."""
    given = call.given(ResendRequest)
    if DeliveryState.PENDING in given.states:
        raise shapes.refuse("/states", "pending deliveries are sent by themselves")
    since, until = _moment("/since", given.since), given.until
    asked = await call.threads.run(
        requests.resend_failed,
        call.env.registry.outbound.rim,
        call.tenant,
        call.named("uuid"),
        given.states,
        since,
        None if until is None else _moment("/until", until),
        actor=call.actor,
    )
    return Answer({"matching": asked.matching, "resending": asked.resending})


def _answer(call: Call) -> int | None:
    text = call.query.get("answer")
    if text is not None and text not in _ANSWERS:
        raise Refused(Reason.BAD_REQUEST, f"answer: one of {', '.join(_ANSWERS)}")
    return None if text is None else _ANSWERS[text]


def _asked(call: Call, name: str) -> int | None:
    text = call.query.get(name)
    try:
        return None if text is None else _ms(text)
    except (ValueError, OverflowError):
        raise Refused(Reason.BAD_REQUEST, f"{name}: {_FORMS}") from None


def _moment(pointer: str, value: str | int) -> int:
    try:
        return _ms(value)
    except (ValueError, OverflowError):
        raise shapes.refuse(pointer, _FORMS) from None


_FORMS = "an RFC 3339 time as 2026-11-21T10:00:00Z, or ms since the epoch"
_MOST_MS = 1 << 53


def _ms(value: str | int) -> int:
    """Return a time in ms; raise ValueError for what is none."""
    digits: Any = value
    if isinstance(value, int) or (value.isascii() and value.isdigit() and len(value) <= len(str(_MOST_MS))):
        found = int(digits)
    else:
        found = shapes.epoch_ms(value)
    if not 0 <= found <= _MOST_MS:
        raise ValueError(value)
    return found


ROUTES = (
    Route("GET", "/webhooks/{uuid}/deliveries", list_webhook_deliveries, "List a webhook's deliveries", _READ,
          WebhookDeliveryPage, query=(*_FILTERS, *shapes.PAGE)),
    Route("GET", "/webhooks/{uuid}/deliveries/{deliveryId}", get_webhook_delivery, "Show a delivery and its attempts",
          _READ, WebhookDeliveryAnswer),
    Route("POST", "/webhooks/{uuid}/deliveries/{deliveryId}/resend", resend_webhook_delivery, "Send a delivery again",
          _WRITE, ResendAnswer, status=202, refusals=(Reason.WEBHOOK_DISABLED,)),
    Route("POST", "/webhooks/{uuid}/resend", resend_webhook_deliveries, "Send failed deliveries again", _WRITE,
          ResendAnswer, status=202, takes=ResendRequest, refusals=(Reason.WEBHOOK_DISABLED,),
          example={"since": "2026-11-21T10:00:00Z"}),
)  # fmt: skip
