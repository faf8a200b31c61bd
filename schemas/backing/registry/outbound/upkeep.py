"""What keeps the queue bounded: how much waits, what is given up, what the log lets go of.

Lives here: counting, giving up, pruning; each call is one bounded transaction of the lease's holder.
"""

from dataclasses import dataclass

from sqlalchemy import delete, func, select, update

from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.outbound.lease import fence
from schemas.backing.registry.outbound_tables import OUTBOUND_DELIVERIES, OUTBOUND_EVENTS, PENDING
from schemas.definitions.notification import DeliveryState, Lane, Lease
from schemas.definitions.sending import Waiting

MOST = 1_000
"""Rows of one transaction of pruning or giving up."""
_D = OUTBOUND_DELIVERIES.c
_E = OUTBOUND_EVENTS.c


@dataclass(frozen=True, slots=True)
class Horizon:
    """Before when, in ms since the epoch, what has ended and what still waits is let go of."""

    ended_ms: int
    pending_ms: int


def waiting(rim: Rim) -> dict[Lane, Waiting]:
    """Return what waits in each lane: one scan of the pending deliveries."""
    lane = (_D.webhook_id, _D.receiver)
    first = func.min(_D.next_attempt_at_ms).label("due_ms")
    query = select(*lane, func.count().label("pending"), first).where(PENDING).group_by(*lane)
    with rim.database.read() as connection:
        return {
            Lane(row.webhook_id, row.receiver): Waiting(row.pending, row.due_ms or 0)
            for row in connection.execute(query)
        }


def oldest_ms(rim: Rim) -> int | None:
    """Return when the oldest pending delivery was made; None when nothing waits."""
    with rim.database.read() as connection:
        found: int | None = connection.execute(select(func.min(_D.created_at_ms)).where(PENDING)).scalar()
    return found


def give_up(
    rim: Rim,
    lease: Lease,
    lane: Lane,
    state: DeliveryState,
    reason: str,
    *,
    most: int,
    due_before_ms: int | None = None,
) -> int:
    """End up to `most` of a lane's pending deliveries, those due first; return how many. They can be resent."""
    chosen = select(_D.id).where(PENDING, _D.webhook_id == lane.webhook_id, _D.receiver == lane.receiver)
    if due_before_ms is not None:
        chosen = chosen.where(_D.next_attempt_at_ms < due_before_ms)
    chosen = chosen.order_by(_D.next_attempt_at_ms, _D.first_event).limit(min(most, MOST))
    with rim.database.write() as connection:
        fence(connection, lease)
        values = {
            "state": state.value,
            "takes_more": False,
            "last_reason": reason,
            "next_attempt_at_ms": None,
            "updated_at_ms": rim.now_ms(),
        }
        return connection.execute(update(OUTBOUND_DELIVERIES).where(_D.id.in_(chosen)).values(**values)).rowcount


def prune(rim: Rim, lease: Lease, horizon: Horizon) -> int:
    """Delete a part of what is older than the horizon; return how many rows went, 0 = nothing is left to delete.

    Events go when no delivery that holds them is left; the newest one stays, for sequences never begin anew.
    """
    with rim.database.write() as connection:
        fence(connection, lease)
        gone = 0
        for pending, before in ((False, horizon.ended_ms), (True, horizon.pending_ms)):
            old = select(_D.id).where(_D.created_at_ms < before)
            state = _D.state == DeliveryState.PENDING.value if pending else _D.state != DeliveryState.PENDING.value
            old = old.where(state).order_by(_D.created_at_ms).limit(MOST)
            gone += connection.execute(delete(OUTBOUND_DELIVERIES).where(_D.id.in_(old))).rowcount
        if gone:
            return gone
        before = min(horizon.ended_ms, horizon.pending_ms)
        kept = select(func.min(_D.first_event)).where(_D.created_at_ms < max(horizon.ended_ms, horizon.pending_ms))
        first_kept: int | None = connection.execute(kept).scalar()
        newest: int | None = connection.execute(select(func.max(_E.sequence))).scalar()
        bound = min(number for number in (first_kept, newest or 0) if number is not None)
        events = select(_E.sequence).where(_E.created_at_ms < before, _E.sequence < bound).limit(MOST)
        return connection.execute(delete(OUTBOUND_EVENTS).where(_E.sequence.in_(events))).rowcount
