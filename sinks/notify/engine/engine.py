"""The loop that sends: lanes with due work, at most so many at a time, one transaction for many results.

Lives here: when a lane is worked on and when the database is asked. Each turn writes what came back meanwhile and
claims the next deliveries of lanes that are free, so the more happens, the more one commit holds. Not here: one lane
(sending.py), what keeps the queue bounded (upkeep.py). https://docs.python.org/3/library/asyncio-task.html
"""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from schemas import logs
from schemas.definitions.notification import Lane
from schemas.definitions.sending import Claim, Told, Turn
from schemas.definitions.webhook import WebhookStatus
from schemas.errors import Refused
from schemas.reasons import Reason
from sinks.notify.engine.circuit import Circuit
from sinks.notify.engine.directory import Directory
from sinks.notify.engine.lanes import Lanes
from sinks.notify.engine.ports import World
from sinks.notify.engine.sending import Outbox, Sender
from sinks.notify.engine.statuses import Statuses
from sinks.notify.engine.upkeep import Upkeep
from sinks.notify.measures import Standing

LOOK_AHEAD = 4
"""Deliveries of a healthy lane that one turn claims."""
DRAIN_S = 8.0
"""What a stop gives to requests under way; below the 10 s that container engines give to a whole stop."""
AWAY_S = 1.0
"""Between two tries of a database that is away, and between two looks at a lease that does not count."""
log = logs.logger(__name__)


class Engine:
    """Sends everything that is due until it is stopped; one a lease."""

    def __init__(self, world: World) -> None:
        self._world = world
        given = world.given
        probe_ms = int(given.notify_circuit_probe_s * 1000)
        self._lanes = Lanes(lambda: Circuit(given.notify_circuit_failures, probe_ms))
        self._statuses, self._outbox, self._directory = Statuses(), Outbox(), Directory()
        self._sender = Sender(world, self._lanes, self._statuses, self._outbox, lambda: self._directory)
        self._upkeep = Upkeep(world, self._lanes, self._sender)
        self._woken = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._telling: Sequence[Told] = ()
        self._revision = -1
        self._ending = False
        self._failure: BaseException | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`, then let requests under way end; raises `LeaseLost`, and what is a bug."""
        await self._read_directory()
        await self._upkeep.look()
        parts = [self._pump(), self._poll(), self._keep_up()]
        tasks = [asyncio.create_task(part) for part in parts]
        stopping = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()
            await self._drain(tasks[0])
        finally:
            for task in (stopping, *tasks, *self._running):
                task.cancel()
            await asyncio.gather(stopping, *tasks, *self._running, return_exceptions=True)

    def moved(self, due: dict[Lane, int]) -> None:
        """Hear of lanes that have work, from the event loop's thread."""
        self._lanes.moved(due)
        self._woken.set()

    def standing(self) -> Standing:
        """Return how it stands, from memory."""
        circuits = sum(standing.circuit.open for _, standing in self._lanes.items())
        age_s = max(0.0, (self._world.now_ms() - self._upkeep.oldest_ms) / 1000) if self._upkeep.oldest_ms else 0.0
        return Standing(self._world.leads(), self._upkeep.pending, age_s, self._sender.in_flight, circuits)

    async def _drain(self, pump: "asyncio.Task[None]") -> None:
        """End without beginning anything: what comes back in time is written, the rest is sent again some day."""
        self._ending = True
        self._woken.set()
        if self._running:
            await asyncio.wait(set(self._running), timeout=DRAIN_S)
        late = set(self._running)
        for task in late:
            task.cancel()
        if late:
            log.warning("notify_cut_short", requests=len(late))
            await asyncio.wait(late)
        self._woken.set()
        await asyncio.wait({pump}, timeout=2.0)
        if pump.done():
            pump.result()

    async def _pump(self) -> None:
        while True:
            self._woken.clear()
            if self._failure is not None:
                raise self._failure
            if self._ending and not self._running and not self._outbox:
                return
            wanted = self._wanted()
            if wanted or self._outbox:
                if not await self._turn(wanted):
                    await self._rest(AWAY_S)
            else:
                await self._rest(self._idle_s())

    def _wanted(self) -> dict[Lane, int]:
        """Take the lanes that may be worked on, with how many deliveries each may have at once."""
        free = self._world.given.notify_concurrency - len(self._running)
        if self._ending or free <= 0 or not self._world.leads():
            return {}
        taken = self._lanes.take(self._world.now_ms(), free, self._directory.endpoint)
        return {lane: 1 if self._lanes.of(lane).circuit.failures else LOOK_AHEAD for lane in taken}

    def _idle_s(self) -> float | None:
        """Return how long nothing will be due; None = until something comes."""
        next_ms = self._lanes.next_ms()
        if self._ending or next_ms is None or len(self._running) >= self._world.given.notify_concurrency:
            return None
        return max(0.0, (next_ms - self._world.now_ms()) / 1000) if self._world.leads() else AWAY_S

    async def _rest(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    async def _turn(self, wanted: dict[Lane, int]) -> bool:
        """Write, claim, begin; False when the database is away: everything is as it was then."""
        world = self._world
        results, told = self._outbox.take()
        self._telling = told
        try:
            turn = await world.call(lambda: world.book.outbound.turn(world.lease, results, told, wanted))
        except Refused as error:
            if error.reason is not Reason.REGISTRY_AWAY:
                raise
            log.warning("notify_registry_away", error=str(error)[:300])
            self._outbox.put_back(results, told)
            for lane in wanted:
                self._lanes.release(lane, world.now_ms())
            return False
        finally:
            self._telling = ()
        for one in told:
            if one.status is WebhookStatus.DISABLED:
                self._silence(one.webhook_id)
        self._lanes.moved(turn.moved)
        self._begin(wanted, turn)
        return True

    def _begin(self, wanted: dict[Lane, int], turn: Turn) -> None:
        for lane in wanted:
            claims, again_ms = turn.claims.get(lane), turn.again_ms.get(lane)
            if not claims:
                self._lanes.release(lane, again_ms)
                continue
            task = asyncio.create_task(self._work(lane, claims, again_ms))
            self._running.add(task)
            task.add_done_callback(self._worked)

    async def _work(self, lane: Lane, claims: Sequence[Claim], again_ms: int | None) -> None:
        left = await self._sender.send(lane, claims, lambda: not self._ending)
        self._lanes.release(lane, self._world.now_ms() if left else again_ms)

    def _worked(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = task.exception()
        self._woken.set()

    def _silence(self, webhook_id: str) -> None:
        """Know a webhook that 410 disabled to be so, from the commit on."""
        directory = self._directory
        directory.silenced.discard(webhook_id)
        known = directory.webhooks.get(webhook_id)
        if known is not None:
            directory.webhooks[webhook_id] = replace(known, status=WebhookStatus.DISABLED)

    async def _poll(self) -> None:
        """Look for changes of webhooks and for requests."""
        while True:
            await asyncio.sleep(self._world.given.notify_poll_s)
            await self._patiently(self._read_directory())
            await self._patiently(self._do_requests())

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(self._upkeep.every_s)
            if self._world.leads():
                await self._patiently(self._upkeep.once())
                self._woken.set()

    async def _patiently(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Refused as error:
            if error.reason is not Reason.REGISTRY_AWAY:
                raise
            log.warning("notify_registry_away", error=str(error)[:300])
            await asyncio.sleep(AWAY_S)

    async def _do_requests(self) -> None:
        world = self._world
        if not world.leads() or not await world.call(world.book.outbound.asked):
            return
        moved = await world.call(lambda: world.book.outbound.act(world.lease))
        self._lanes.moved(moved, nudged=True)
        self._woken.set()

    async def _read_directory(self) -> None:
        """Read webhooks and contacts when anything in the registry has changed."""
        found = await self._world.call(self._changed)
        if found is None:
            return
        self._revision, directory = found
        directory.silenced |= self._directory.silenced
        self._directory = directory
        self._statuses.load(directory.webhooks.values(), (*self._telling, *self._outbox.told))
        self._lanes.wake(directory.endpoint)
        self._woken.set()

    def _changed(self) -> tuple[int, Directory] | None:
        book = self._world.book
        revision = book.revision()
        if revision == self._revision:
            return None
        webhooks = book.webhooks.active()
        contacts = [
            contact
            for tenant in sorted({one.tenant for one in webhooks if one.definition.webhook_config.sends_to_contacts})
            for contact in book.contacts.all(tenant)
        ]
        return revision, Directory.of(webhooks, contacts)
