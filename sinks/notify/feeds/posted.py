"""What anyone told with `POST /api/v1/events`, as a feed: rows by sequence, the events as they were taken."""

from collections.abc import Sequence
from typing import Protocol

from schemas import logs
from schemas.definitions.notification import Cursor
from schemas.definitions.posted import FEED, Posted
from schemas.errors import Poison
from schemas.wire.entity_event import EntityEvent
from sinks.notify.feeds.audience import Audience
from sinks.notify.feeds.changes import Cursors
from sinks.notify.feeds.fed import Fed, Read

PAGE = 100
"""An event has up to 256 KiB."""

log = logs.logger(__name__)


class Rows(Protocol):
    """The posted events."""

    def after(self, sequence: int, limit: int) -> Sequence[Posted]:
        """Return rows after a sequence, of all tenants, oldest first."""


class Source(Protocol):
    """What the feed reads of the registry."""

    @property
    def posted_events(self) -> Rows:
        """Return the rows."""

    @property
    def outbound(self) -> Cursors:
        """Return the cursors."""


class PostedFeed:
    """Reads the rows from the stored cursor on."""

    name = FEED

    def __init__(self, registry: Source, audience: Audience) -> None:
        self._registry, self._audience = registry, audience
        self._at: int | None = None

    def read(self) -> Read:
        """Return the next events, those of tenants without webhooks as positions alone."""
        after = self._at if self._at is not None else self._registry.outbound.cursors().get(FEED, 0)
        rows = self._registry.posted_events.after(after, PAGE)
        if not rows:
            self._at = after
            return Read(lag=0)
        matchers = self._audience.fresh()
        fed = [
            Fed(_event(row) if row.tenant_id in matchers else None, row.at_ms, Cursor(FEED, row.sequence))
            for row in rows
        ]
        self._at = rows[-1].sequence
        return Read(fed, more=len(rows) == PAGE, lag=None if len(rows) == PAGE else 0)

    def again(self) -> None:
        """Begin at the stored cursor."""
        self._at = None

    def close(self) -> None:
        """Nothing is held."""


def _event(row: Posted) -> EntityEvent | None:
    """Return the event of a row; one that cannot be read is told in the log and holds up nobody."""
    try:
        return row.event()
    except Poison as error:
        log.warning("notify_record_unread", sequence=row.sequence, tenant=row.tenant_id, error=str(error))
        return None
