"""The webhooks and contacts as the engine knows them: where a lane leads now.

Lives here: look-ups by lane. Not here: reading the registry (engine.py asks again whenever its revision moves).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.definitions.notification import OWN_ENDPOINT, ContactView, Lane, WebhookView
from schemas.definitions.webhook import WebhookStatus


@dataclass(slots=True)
class Directory:
    """Webhooks that are not deleted and contacts, by id; `silenced`: those that 410 disabled since it was read."""

    webhooks: dict[str, WebhookView] = field(default_factory=dict)
    contacts: dict[str, ContactView] = field(default_factory=dict)
    silenced: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, webhooks: Iterable[WebhookView], contacts: Iterable[ContactView]) -> "Directory":
        """Index what the registry said."""
        return cls({one.id: one for one in webhooks}, {one.id: one for one in contacts})

    def endpoint(self, lane: Lane) -> str | None:
        """Return where a lane leads; None while nothing is to be sent by it."""
        webhook = self.webhooks.get(lane.webhook_id)
        if webhook is None or not self._open(webhook):
            return None
        if lane.receiver == OWN_ENDPOINT:
            return webhook.definition.webhook_config.endpoint
        contact = self.contacts.get(lane.receiver)
        return None if contact is None or contact.tenant != webhook.tenant else contact.definition.endpoint

    def receiver_gone(self, lane: Lane) -> bool:
        """Tell whether a webhook is to be sent, but this receiver of it is no more."""
        webhook = self.webhooks.get(lane.webhook_id)
        return webhook is not None and self._open(webhook) and self.endpoint(lane) is None

    def fallback(self, webhook_id: str) -> Lane | None:
        """Return the lane of a webhook's fallback: that one's own endpoint; None = nobody is to be told."""
        webhook = self.webhooks.get(webhook_id)
        named = None if webhook is None else webhook.definition.fallback
        other = None if named is None or named.id is None else self.webhooks.get(named.id)
        if webhook is None or other is None or other.tenant != webhook.tenant:
            return None
        return None if other.definition.webhook_config.endpoint is None else Lane(other.id)

    def _open(self, webhook: WebhookView) -> bool:
        enabled = webhook.definition.enabled and webhook.status is not WebhookStatus.DISABLED
        return enabled and webhook.id not in self.silenced
