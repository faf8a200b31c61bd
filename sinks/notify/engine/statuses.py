"""What webhooks are told to be, so that one is changed only when it changes. Pure.

Lives here: the status that each webhook is known to have, and which of its lanes fail. Rules: a webhook is active again
when the last of its failing lanes delivers; `retryLimitReached` stays until then, whatever fails after it; `disabled`
stays until somebody enables the webhook.
"""

from collections.abc import Iterable

from schemas.definitions.notification import FailureDetails, Lane, WebhookView
from schemas.definitions.sending import Told
from schemas.definitions.webhook import WebhookStatus

_STICKY = frozenset({WebhookStatus.RETRY_LIMIT_REACHED, WebhookStatus.DISABLED})


class Statuses:
    """The statuses of all webhooks, as this process knows them."""

    def __init__(self) -> None:
        self._known: dict[str, WebhookStatus] = {}
        self._failing: dict[str, set[Lane]] = {}

    def load(self, webhooks: Iterable[WebhookView], unwritten: Iterable[Told] = ()) -> None:
        """Take the registry's word, when it was read anew; `unwritten` is not in it yet."""
        self._known = {webhook.id: webhook.status for webhook in webhooks}
        self._known |= {told.webhook_id: told.status for told in unwritten if told.webhook_id in self._known}
        self._failing = {id_: lanes for id_, lanes in self._failing.items() if id_ in self._known}

    def delivered(self, lane: Lane) -> Told | None:
        """Return what a delivery by a lane makes of its webhook; None = nothing."""
        failing = self._failing.get(lane.webhook_id)
        if failing is not None:
            failing.discard(lane)
            if failing:
                return None
            del self._failing[lane.webhook_id]
        return self._tell(lane, WebhookStatus.ACTIVE, None, None)

    def failed(self, lane: Lane, status: WebhookStatus, failure: FailureDetails, fallback: Lane | None) -> Told | None:
        """Return what a failure makes of a webhook; `fallback`: who hears when it gives up."""
        self._failing.setdefault(lane.webhook_id, set()).add(lane)
        known = self._known.get(lane.webhook_id)
        if known in _STICKY and status is not WebhookStatus.DISABLED:
            status = known
        gives_up = status in _STICKY and status is not known
        return self._tell(lane, status, failure, fallback if gives_up else None)

    def forget(self, lane: Lane) -> None:
        """Let a lane count as healthy: nothing waits in it any more."""
        failing = self._failing.get(lane.webhook_id)
        if failing is not None:
            failing.discard(lane)

    def _tell(
        self, lane: Lane, status: WebhookStatus, failure: FailureDetails | None, fallback: Lane | None
    ) -> Told | None:
        known = self._known.get(lane.webhook_id)
        if known is None or known is WebhookStatus.DISABLED:
            return None
        if status is known and failure is None:
            return None
        self._known[lane.webhook_id] = status
        return Told(lane.webhook_id, status, failure, fallback)
