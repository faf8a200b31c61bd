"""The queue of outbound webhooks, which is their log: lease, intake, deliveries, requests.

Lives here: the one object that `Registry` makes. Each method is one transaction; those of the lease's holder raise
`LeaseLost`. What a delivery is: schemas/definitions/notification.py; its way: sinks/notify/README.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.backing.registry.objects.posted_events import PostedEvents
from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.outbound import acting, intake, lease, queue, upkeep
from schemas.backing.registry.outbound.lease import LeaseLost
from schemas.backing.registry.outbound.queue import SetStatus
from schemas.backing.registry.outbound.upkeep import Horizon
from schemas.definitions.notification import Cursor, DeliveryState, Lane, Lease, Matched
from schemas.definitions.sending import Result, Told, Turn, Waiting

__all__ = ["Horizon", "LeaseLost", "Outbound"]
LINGER_S = 1.0


@dataclass(frozen=True, slots=True)
class Outbound:
    """The repository of deliveries."""

    rim: Rim
    set_status: SetStatus

    def acquire(self, owner: str, ttl_s: float) -> Lease | None:
        """Take the lease when it is free, has run out or was this owner's; None while another holds it."""
        return lease.acquire(self.rim, owner, ttl_s)

    def renew(self, held: Lease, ttl_s: float) -> bool:
        """Keep the lease for another `ttl_s`; False when somebody else has it."""
        return lease.renew(self.rim, held, ttl_s)

    def release(self, held: Lease) -> None:
        """Give the lease back; nothing happens when it is another's by now."""
        lease.release(self.rim, held)

    def cursors(self) -> Mapping[str, int]:
        """Return how far each feed was taken in."""
        return intake.cursors(self.rim)

    def take_in(
        self, held: Lease, taken: Sequence[Matched], cursors: Sequence[Cursor], linger_s: float = LINGER_S
    ) -> Mapping[Lane, int]:
        """Write events that have a lane, their deliveries and the cursors; return when each touched lane has work.

        A batch is due when it is full, or `linger_s` after its first event; times in ms since the epoch. Cursors never
        go back; a repetition (every cursor stands where it is to be moved) writes nothing. Raises `LeaseLost`.
        """
        return intake.take_in(self.rim, held, taken, cursors, linger_s)

    def turn(self, held: Lease, results: Sequence[Result], told: Sequence[Told], wanted: Mapping[Lane, int]) -> Turn:
        """Record results and statuses, then claim up to so many due deliveries of each wanted lane.

        What is claimed takes no more events. Raises `LeaseLost`: then nothing was recorded.
        """
        return queue.turn(self.rim, self.set_status, held, results, told, wanted)

    def waiting(self) -> Mapping[Lane, Waiting]:
        """Return what waits in each lane: one scan of the pending deliveries."""
        return upkeep.waiting(self.rim)

    def oldest_ms(self) -> int | None:
        """Return when the oldest pending delivery was made; None when nothing waits."""
        return upkeep.oldest_ms(self.rim)

    def give_up(
        self,
        held: Lease,
        lane: Lane,
        state: DeliveryState,
        reason: str,
        *,
        most: int,
        due_before_ms: int | None = None,
    ) -> int:
        """End up to `most` (1000) of a lane's pending deliveries, those due first; return how many. Resendable."""
        return upkeep.give_up(self.rim, held, lane, state, reason, most=most, due_before_ms=due_before_ms)

    def prune(self, held: Lease, horizon: Horizon) -> int:
        """Delete a part of what is older than the horizon; return how many rows went, 0 = nothing is left to delete."""
        gone = upkeep.prune(self.rim, held, horizon)
        return gone or PostedEvents(self.rim).prune(horizon.ended_ms, upkeep.MOST)

    def asked(self) -> bool:
        """Tell whether anything was asked."""
        return acting.waiting(self.rim)

    def act(self, held: Lease) -> Mapping[Lane, int]:
        """Do what was asked, each once; return the lanes that have work now."""
        return acting.act(self.rim, held)
