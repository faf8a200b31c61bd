"""Who listens: the webhooks and contacts of all tenants, compiled, read again when the log says that they changed.

Lives here: when they are read. Not here: what they want (match). Safe for several threads. A feed asks for a `fresh()`
audience after it has read, so that a webhook made before an event is known when the event is matched.
"""

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol

from schemas.definitions.notification import WebhookView
from schemas.definitions.view import TopicView
from schemas.wire.change import Change
from sinks.notify.books import Contacts, Webhooks
from sinks.notify.match.filters import WEBHOOK
from sinks.notify.match.tenant import Matcher

MAX_CHANGES = 1_000
_TELLING = frozenset({"webhook", "contact", "topic", "tenant"})
"""Kinds of objects by which the audience changes."""


class ChangesLog(Protocol):
    """The log of changes."""

    def page(self, after_revision: int, limit: int, tenant: str | None = None) -> list[Change]:
        """Return changes after a revision."""


class TopicRows(Protocol):
    """The topics that the registry made."""

    def list(self, tenant: str | None = None) -> Sequence[TopicView]:
        """Return them, of one tenant."""


class Listeners(Protocol):
    """What the audience is read from."""

    @property
    def changes(self) -> ChangesLog:
        """Return the log."""

    @property
    def webhooks(self) -> Webhooks:
        """Return the webhooks."""

    @property
    def contacts(self) -> Contacts:
        """Return the contacts."""

    @property
    def topics(self) -> TopicRows:
        """Return the topics."""

    def revision(self) -> int:
        """Return the newest revision."""


class Audience:
    """The compiled webhooks of each tenant that has any which takes something in."""

    def __init__(self, registry: Listeners) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._revision = -1
        self._webhooks: dict[str, tuple[WebhookView, ...]] = {}
        self._matchers: Mapping[str, Matcher] = {}
        self._topics: Mapping[str, tuple[TopicView, ...]] = {}
        self.edition = 0
        """Grows whenever something changed."""

    def fresh(self) -> Mapping[str, Matcher]:
        """Return the matchers by tenant, as of now or later; raises `Refused(registry_away)`."""
        with self._lock:
            self._look()
            return self._matchers

    def topics(self) -> Mapping[str, tuple[TopicView, ...]]:
        """Return the topics of the tenants that have a matcher, as of the last `fresh()`."""
        return self._topics

    def _look(self) -> None:
        if self._revision < 0:
            self._load(self._registry.revision(), None)
            return
        changes = self._registry.changes.page(self._revision, MAX_CHANGES)
        if not changes:
            return
        telling = {change.tenant_id for change in changes if _tells(change)}
        everything = len(changes) >= MAX_CHANGES or None in telling
        newest = self._registry.revision() if everything else changes[-1].revision
        if everything or telling:
            self._load(newest, None if everything else telling)
        self._revision = newest

    def _load(self, revision: int, tenants: set[str | None] | None) -> None:
        """Read the webhooks, and compile those of some tenants anew; None: of all."""
        found: dict[str, list[WebhookView]] = defaultdict(list)
        for webhook in self._registry.webhooks.active():
            found[webhook.tenant].append(webhook)
        matchers, topics = dict(self._matchers), dict(self._topics)
        for tenant in set(found) | set(matchers):
            webhooks = tuple(found.get(tenant, ()))
            if tenants is not None and tenant not in tenants and webhooks == self._webhooks.get(tenant, ()):
                continue
            asks = any(webhook.definition.webhook_config.sends_to_contacts for webhook in webhooks)
            matcher = Matcher(webhooks, self._registry.contacts.all(tenant) if asks else ())
            matchers.pop(tenant, None)
            topics.pop(tenant, None)
            if matcher.since_ms is not None:
                matchers[tenant] = matcher
                topics[tenant] = tuple(self._registry.topics.list(tenant))
        self._webhooks = {tenant: tuple(webhooks) for tenant, webhooks in found.items()}
        self._matchers, self._topics, self._revision = matchers, topics, revision
        self.edition += 1


def _tells(change: Change) -> bool:
    """Tell whether a change may concern who listens; how deliveries go does not: a 410 changes `enabled` too."""
    return change.entity_type in _TELLING and not (
        change.entity_type == WEBHOOK and {each.pointer for each in change.fields} == {"/status"}
    )
