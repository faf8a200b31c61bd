"""What the queue of outbound webhooks gives to the engine that sends, and what it takes back (spec section 10).

Lives here: values of one turn: claims, results, what a webhook is told to be. Not here: what is kept (notification.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.definitions.notification import Attempt, Delivery, DeliveryState, FailureDetails, Lane
from schemas.definitions.webhook import WebhookStatus
from schemas.wire.entity_event import EntityEvent


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery to send, and its events; it grows no more. Events that the log no longer has are left out."""

    delivery: Delivery
    events: tuple[EntityEvent, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What an attempt made of its delivery; `next_attempt_at_ms` None = it is not tried again.

    `attempt` None: given up without a request, then `reason` says why.
    """

    delivery: Delivery
    attempt: Attempt | None
    state: DeliveryState
    reason: str | None
    next_attempt_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """The status that results give a webhook; the lane `fallback` hears of it when it is another than before."""

    webhook_id: str
    status: WebhookStatus
    failure: FailureDetails | None = None
    fallback: Lane | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A lane's pending deliveries: how many, and when the first is due, in ms since the epoch."""

    pending: int
    due_ms: int


@dataclass(frozen=True, slots=True)
class Turn:
    """What one transaction gave: deliveries to send by lane, oldest first, and when each asked lane has work again.

    `again_ms` None = nothing is left for now; `moved`: lanes that got new work.
    """

    claims: Mapping[Lane, tuple[Claim, ...]] = field(default_factory=dict)
    again_ms: Mapping[Lane, int | None] = field(default_factory=dict)
    moved: Mapping[Lane, int] = field(default_factory=dict)
