"""What the engine needs of the world: the queue, the webhooks, a thread for them. Implemented by the registry."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from schemas.backing.registry.outbound import Horizon
from schemas.definitions.notification import DeliveryState, Lane, Lease
from schemas.definitions.sending import Result, Told, Turn, Waiting
from schemas.ports import Clock
from schemas.settings.notify import DeliverySettings
from sinks.notify.books import Contacts, Webhooks
from sinks.notify.engine.attempting import Egress
from sinks.notify.measures import Measures

T = TypeVar("T")


class Call(Protocol):
    """Runs blocking work, one at a time, beside the event loop."""

    def __call__(self, work: Callable[[], T]) -> Awaitable[T]:
        """Return what the work returns."""


class Queue(Protocol):
    """The queue of deliveries: schemas.backing.registry.outbound.Outbound."""

    def turn(self, held: Lease, results: Sequence[Result], told: Sequence[Told], wanted: Mapping[Lane, int]) -> Turn:
        """Record results and statuses, then claim due deliveries."""

    def waiting(self) -> Mapping[Lane, Waiting]:
        """Return what waits in each lane."""

    def oldest_ms(self) -> int | None:
        """Return when the oldest pending delivery was made."""

    def give_up(
        self, held: Lease, lane: Lane, state: DeliveryState, reason: str, *, most: int, due_before_ms: int | None = None
    ) -> int:
        """End a lane's pending deliveries."""

    def prune(self, held: Lease, horizon: Horizon) -> int:
        """Delete a part of what is old."""

    def asked(self) -> bool:
        """Tell whether anything was asked."""

    def act(self, held: Lease) -> Mapping[Lane, int]:
        """Do what was asked."""


class Book(Protocol):
    """The registry, as far as the engine reads it: schemas.backing.registry.Registry."""

    @property
    def outbound(self) -> Queue:
        """Return the queue."""

    @property
    def webhooks(self) -> Webhooks:
        """Return the webhooks."""

    @property
    def contacts(self) -> Contacts:
        """Return the contacts."""

    def revision(self) -> int:
        """Return the number of the newest change."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything that the engine is given. `chance()` 0..1; `leads()` tells whether the lease still counts here."""

    book: Book
    lease: Lease
    egress: Egress
    given: DeliverySettings
    clock: Clock
    chance: Callable[[], float]
    call: Call
    leads: Callable[[], bool]
    measures: Measures

    def now_ms(self) -> int:
        """Return the wall clock in ms since the epoch."""
        return self.clock.time_ns() // 1_000_000
