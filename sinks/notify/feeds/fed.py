"""What feeds hand over: events, and how far the feed is read with each of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.definitions.notification import Cursor
from schemas.wire.entity_event import EntityEvent


@dataclass(frozen=True, slots=True)
class Fed:
    """One position of a feed: its event, None = there is none; `at_ms`: when we came to know of it.

    `cursor` stands behind it: stored together with the event, so that neither is without the other.
    """

    event: EntityEvent | None
    at_ms: int
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class Read:
    """One bounded round of a feed, in order; `more`: another round would find something at once."""

    fed: Sequence[Fed] = ()
    more: bool = False
    lag: int | None = None
    """Positions that are not read yet; None: not known."""


class Feed(Protocol):
    """A source of entity events. Blocking; raises `Transient` or `Refused` while what it reads is away."""

    name: str
    """As in metrics and logs."""

    def read(self) -> Read:
        """Return what comes after what was returned before; of the first call, after the stored cursors."""

    def again(self) -> None:
        """Forget what was returned and not taken in: the next call begins at the stored cursors."""

    def close(self) -> None:
        """End."""
