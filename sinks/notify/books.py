"""Who is told, as feeds and engine read it. Implemented by the registry's repositories."""

from collections.abc import Sequence
from typing import Protocol

from schemas.definitions.notification import ContactView, WebhookView


class Webhooks(Protocol):
    """The webhooks of all tenants."""

    def active(self) -> Sequence[WebhookView]:
        """Return every webhook that is not deleted."""


class Contacts(Protocol):
    """The contacts."""

    def all(self, tenant: str) -> Sequence[ContactView]:
        """Return a tenant's."""
