"""The queue of outbound webhooks, which is their log: lease, intake, deliveries, requests.

Lives here: the one object that `Registry` makes. Each method is one transaction; those of the lease's holder raise
`LeaseLost`. What a delivery is: schemas/definitions/notification.py; its way: sinks/notify/README.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.outbound import intake, lease
from schemas.backing.registry.outbound.lease import LeaseLost
from schemas.definitions.notification import Cursor, Lane, Lease, Matched

__all__ = ["LeaseLost", "Outbound"]
LINGER_S = 1.0


@dataclass(frozen=True, slots=True)
class Outbound:
    """The repository of deliveries."""

    rim: Rim

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
