"""The registry's own log as a feed: sources, streams, schemas, keys, roles, webhooks, alerts.

Lives here: reading the log in order. Not here: what a row tells (changed.py). The very first start begins before the
oldest webhook, or now when there is none: no webhook is told what happened before it was made.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from schemas.definitions.entity import Entity
from schemas.definitions.notification import Cursor
from sinks.notify.feeds.audience import Audience, ChangesLog
from sinks.notify.feeds.changed import FEED, TYPES, event_of
from sinks.notify.feeds.fed import Fed, Read

PAGE = 500


class Log(ChangesLog, Protocol):
    """The log of changes."""

    def before(self, at_ms: int) -> int:
        """Return the newest revision that was written before a time."""


class EntitiesNow(Protocol):
    """Objects by type and id."""

    def many(self, references: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Entity]:
        """Return those that there are."""


class Cursors(Protocol):
    """How far feeds were taken in."""

    def cursors(self) -> Mapping[str, int]:
        """Return it by feed."""


class Source(Protocol):
    """What the feed reads of the registry."""

    @property
    def changes(self) -> Log:
        """Return the log."""

    @property
    def entities(self) -> EntitiesNow:
        """Return the objects."""

    @property
    def outbound(self) -> Cursors:
        """Return the cursors."""

    def revision(self) -> int:
        """Return the newest revision."""


class ChangesFeed:
    """Reads the log from the stored cursor on."""

    name = FEED

    def __init__(self, registry: Source, audience: Audience) -> None:
        self._registry, self._audience = registry, audience
        self._at: int | None = None

    def read(self) -> Read:
        """Return the next changes, those of tenants without webhooks as positions alone."""
        after = self._at if self._at is not None else self._begin()
        page = self._registry.changes.page(after, PAGE)
        if not page:
            self._at = after
            return Read(lag=0)
        matchers = self._audience.fresh()
        told = [change for change in page if change.tenant_id in matchers and change.entity_type in TYPES]
        entities = self._registry.entities.many(
            reference
            for change in told
            for reference in ((change.entity_type, change.entity_id), ("key", change.actor))
        )
        events = {
            change.revision: event_of(
                change, entities.get((change.entity_type, change.entity_id)), entities.get(("key", change.actor))
            )
            for change in told
        }
        self._at = page[-1].revision
        fed = [Fed(events.get(one.revision), one.at_ms, Cursor(FEED, one.revision)) for one in page]
        return Read(fed, more=len(page) == PAGE, lag=None if len(page) == PAGE else 0)

    def again(self) -> None:
        """Begin at the stored cursor."""
        self._at = None

    def close(self) -> None:
        """Nothing is held."""

    def _begin(self) -> int:
        stored = self._registry.outbound.cursors().get(FEED)
        if stored is not None:
            return stored
        now = self._registry.revision()
        since = [matcher.since_ms for matcher in self._audience.fresh().values() if matcher.since_ms is not None]
        return min(now, self._registry.changes.before(min(since))) if since else now
