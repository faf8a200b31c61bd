"""One attempt: a claim rendered, posted, and kept for the log.

Lives here: what the log keeps of request and answer (bounded, without secrets), and Retry-After. Not here: the bytes
(formats/), the call (schemas/backing/egress), what it means (verdict.py).
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from schemas.backing.egress import shown
from schemas.definitions.notification import Attempt, WebhookView
from schemas.definitions.sending import Claim
from schemas.reasons import Reason
from sinks.notify import formats, signing
from sinks.notify.outgoing import Outcome, Outgoing

KEPT_REQUEST = 16_384
KEPT_ANSWER = 4_096
"""Bytes of a body that the log keeps."""


class Posted(Protocol):
    """What a call came to."""

    status: int | None
    reason: Reason | None
    detail: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    duration_ms: int


class Egress(Protocol):
    """Posts. Implemented by schemas.backing.egress.HttpEgress."""

    async def post(
        self, url: str, *, headers: Sequence[tuple[str, str]], body: bytes, timeout_s: float, limit_bytes: int
    ) -> Any:  # noqa: ANN401 a Posted
        """Post once; never raises but when it is cancelled."""


async def attempt(
    egress: Egress, webhook: WebhookView, claim: Claim, endpoint: str, now_ms: int, base_url: str = ""
) -> tuple[Attempt, Outcome]:
    """Send a claim's message to an endpoint once; return the attempt without its reason, and what it came to.

    `base_url`: of the API, for links in messages to chats.
    """
    outgoing = formats.render(
        webhook,
        claim.events,
        message_id=claim.delivery.id,
        now_s=now_ms // 1000,
        endpoint=endpoint,
        base_url=base_url,
    )
    posted = await egress.post(
        outgoing.url,
        headers=outgoing.headers,
        body=outgoing.body,
        timeout_s=float(webhook.definition.webhook_config.timeout),
        limit_bytes=KEPT_ANSWER,
    )
    outcome = Outcome(
        status=posted.status,
        reason=posted.reason,
        detail=posted.detail,
        headers=posted.headers,
        body=posted.body,
        duration_ms=posted.duration_ms,
        retry_after_s=retry_after_s(posted.headers, now_ms / 1000),
    )
    return _kept(claim, outgoing, outcome, now_ms), outcome


def retry_after_s(headers: Sequence[tuple[str, str]], now_s: float) -> float | None:
    """Return how long a receiver asks to be left alone, given in seconds or as a date; None = it does not."""
    for name, value in headers:
        if name.lower() != "retry-after":
            continue
        text = value.strip()
        if text.isascii() and text.isdigit():
            return float(text[:12])
        try:
            at = parsedate_to_datetime(text)
        except (TypeError, ValueError, IndexError, OverflowError):
            return None
        aware = at if at.tzinfo is not None else at.replace(tzinfo=dt.UTC)
        return max(0.0, aware.timestamp() - now_s)
    return None


def _kept(claim: Claim, outgoing: Outgoing, outcome: Outcome, now_ms: int) -> Attempt:
    request: Mapping[str, Any] = {
        "headers": dict(outgoing.shown),
        "body": _text(signing.hidden(outgoing.body), KEPT_REQUEST),
    }
    response: Mapping[str, Any] = {
        "headers": dict(outcome.headers),
        "body": _text(outcome.body, KEPT_ANSWER),
        "detail": outcome.detail[:500],
    }
    return Attempt(
        delivery_id=claim.delivery.id,
        number=claim.delivery.attempts + 1,
        at_ms=now_ms,
        duration_ms=outcome.duration_ms,
        url=shown(outgoing.url),
        status=outcome.status,
        reason=None,
        request=request,
        response=response,
    )


def _text(body: bytes, most: int) -> str:
    return body[:most].decode("utf-8", "replace")
