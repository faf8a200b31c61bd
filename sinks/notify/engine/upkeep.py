"""What keeps the queue bounded and the memory right: counting, giving up, letting go of the old log.

Lives here: when and of which lanes. Not here: the SQL (schemas/backing/registry/outbound/upkeep.py).
"""

from collections.abc import Mapping

from schemas import logs
from schemas.backing.registry.outbound import Horizon
from schemas.definitions.notification import DeliveryState, FailureDetails, Lane
from schemas.definitions.sending import Waiting
from schemas.definitions.webhook import WebhookStatus
from schemas.reasons import Reason
from sinks.notify.engine.lanes import Lanes
from sinks.notify.engine.ports import World
from sinks.notify.engine.schedule import Schedule
from sinks.notify.engine.sending import Sender

EVERY_S = 10.0
PRUNE_EVERY_MS = 600_000
DAY_MS = 86_400_000
_PART = 1_000
log = logs.logger(__name__)


class Upkeep:
    """Looks at the whole queue now and then. `pending` and `oldest_ms` (0 = nothing waits) are of the last look."""

    def __init__(self, world: World, lanes: Lanes, sender: Sender) -> None:
        self._world, self._lanes, self._sender = world, lanes, sender
        self._patience_ms = int(Schedule.of(world.given).patience_s * 1000)
        self._pruned_ms = 0
        self.every_s = EVERY_S
        self.pending = 0
        self.oldest_ms = 0

    async def look(self) -> Mapping[Lane, Waiting]:
        """Read what waits, and let every lane know of its work."""
        world = self._world
        waiting = await world.call(world.book.outbound.waiting)
        oldest_ms = await world.call(world.book.outbound.oldest_ms) if waiting else None
        self.pending, self.oldest_ms = sum(each.pending for each in waiting.values()), oldest_ms or 0
        self._lanes.moved({lane: each.due_ms for lane, each in waiting.items()})
        return waiting

    async def once(self) -> None:
        """Look, give up what may wait no longer, prune."""
        world, now_ms = self._world, self._world.now_ms()
        most = world.given.notify_max_pending
        for lane, each in (await self.look()).items():
            if self._sender.receiver_gone(lane):
                await self._give_up(lane, DeliveryState.CANCELED, Reason.RECEIVER_GONE, each.pending)
            elif each.pending > most:
                await self._give_up(lane, DeliveryState.CANCELED, Reason.TOO_MANY_PENDING, each.pending - most)
        for lane, standing in self._lanes.items():
            if standing.circuit.open and not standing.asleep:
                await self._expire(lane, now_ms)
        if now_ms - self._pruned_ms >= PRUNE_EVERY_MS:
            self._pruned_ms = now_ms
            await self._prune(now_ms)

    async def _expire(self, lane: Lane, now_ms: int) -> None:
        before_ms = now_ms - self._patience_ms
        state, reason = DeliveryState.RETRY_LIMIT_REACHED, Reason.WAITED_TOO_LONG
        if await self._give_up(lane, state, reason, self._world.given.notify_max_pending, before_ms):
            failure = FailureDetails(now_ms, None, f"{reason}: {reason.text}")
            self._sender.gave_way(lane, WebhookStatus.RETRY_LIMIT_REACHED, failure)

    async def _give_up(
        self, lane: Lane, state: DeliveryState, reason: Reason, most: int, before_ms: int | None = None
    ) -> int:
        world, ended = self._world, 0
        while ended < most:
            part = min(_PART, most - ended)
            gone = await world.call(
                lambda part=part: world.book.outbound.give_up(  # type: ignore[misc]
                    world.lease, lane, state, reason, most=part, due_before_ms=before_ms
                )
            )
            ended += gone
            if gone < part:
                break
        for _ in range(ended):
            world.measures.resulted(state)
        if ended:
            log.warning("notify_given_up", webhook=lane.webhook_id, receiver=lane.receiver, reason=reason, count=ended)
        return ended

    async def _prune(self, now_ms: int) -> None:
        kept_ms = self._world.given.notify_log_days * DAY_MS
        horizon = Horizon(now_ms - kept_ms, now_ms - max(kept_ms, self._patience_ms))
        world = self._world
        while await world.call(lambda: world.book.outbound.prune(world.lease, horizon)):
            pass
