"""What a result means for its delivery and its webhook: the table of ../README.md. Pure.

Statuses are OpenMetadata's: `failed` = bad callback URL, connection failures, 1xx, 3xx; `awaitingRetry` = timed out,
4xx, 5xx; `retryLimitReached` = all retries failed; `disabled` = the receiver said 410.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.definitions.notification import OWN_ENDPOINT, Delivery, DeliveryKind, DeliveryState
from schemas.definitions.webhook import WebhookStatus
from schemas.reasons import Reason
from sinks.notify.engine.schedule import Schedule
from sinks.notify.outgoing import Outcome

_GONE = 410
_CLASSES: Mapping[int, tuple[Reason | None, WebhookStatus]] = {
    2: (None, WebhookStatus.ACTIVE),
    3: (Reason.ENDPOINT_REDIRECTS, WebhookStatus.FAILED),
    4: (Reason.ENDPOINT_REFUSED, WebhookStatus.AWAITING_RETRY),
    5: (Reason.ENDPOINT_ERROR, WebhookStatus.AWAITING_RETRY),
}
"""By the first digit of a status; others say nothing."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The delivery's new state with its next attempt in `again_s` (None = none), and what the webhook becomes.

    `reason` None = accepted.
    """

    state: DeliveryState
    status: WebhookStatus
    reason: Reason | None = None
    again_s: float | None = None

    @property
    def ok(self) -> bool:
        """Tell whether the receiver took it."""
        return self.reason is None


def judge(outcome: Outcome, delivery: Delivery, schedule: Schedule, chance: float) -> Verdict:
    """Say what an attempt came to; `delivery` as it was before the attempt, `chance` 0..1 for the jitter."""
    reason, status = _meaning(outcome)
    if reason is None:
        return Verdict(DeliveryState.DELIVERED, WebhookStatus.ACTIVE)
    again_s = schedule.wait_s(delivery.tries + 1, chance, outcome.retry_after_s)
    if reason is Reason.ENDPOINT_GONE and delivery.lane.receiver == OWN_ENDPOINT:
        kept = schedule.waits[-1] if again_s is None else again_s  # goes on when the webhook is enabled again
        return Verdict(DeliveryState.PENDING, WebhookStatus.DISABLED, reason, kept)
    if delivery.kind is DeliveryKind.TEST:
        return Verdict(DeliveryState.RETRY_LIMIT_REACHED, status, reason)
    if again_s is None:
        return Verdict(DeliveryState.RETRY_LIMIT_REACHED, WebhookStatus.RETRY_LIMIT_REACHED, reason)
    return Verdict(DeliveryState.PENDING, status, reason, again_s)


def _meaning(outcome: Outcome) -> tuple[Reason | None, WebhookStatus]:
    if outcome.status is None:
        reason = outcome.reason or Reason.CONNECTION_FAILED
        timed_out = reason is Reason.ENDPOINT_TIMEOUT
        return reason, WebhookStatus.AWAITING_RETRY if timed_out else WebhookStatus.FAILED
    if outcome.status == _GONE:
        return Reason.ENDPOINT_GONE, WebhookStatus.AWAITING_RETRY
    return _CLASSES.get(outcome.status // 100, (Reason.ANSWER_UNEXPECTED, WebhookStatus.FAILED))
