"""One simulated notify process: the real lease keeper and engine, a feed, and a death at any step.

Lives here: what runs in a process, and where it may be killed or frozen: before and after each transaction, before and
after each request. A killed process does nothing more; a frozen one goes on later, not knowing that it stood still.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from schemas.backing.egress.post import Posted
from schemas.backing.registry import LeaseLost, Registry
from schemas.definitions.notification import Cursor, Lane, Lease, Matched
from schemas.definitions.sending import Turn
from schemas.metrics import Metrics
from schemas.settings.notify import DeliverySettings
from sinks.notify.engine.engine import Engine
from sinks.notify.engine.ports import World
from sinks.notify.keeper import Keeper
from sinks.notify.measures import Measures
from tests.simulation.notify.loop import Clock
from tests.simulation.notify.network import Network

T = TypeVar("T")
FEED = "changes"


class Killed(BaseException):
    """The process ends here."""


@dataclass(slots=True)
class Fate:
    """What happens to a process at a step (`at` counts down): nothing, "kill", or "freeze" for some seconds."""

    what: str = ""
    at: int = -1
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What processes share. `story`: the events of the feed in their order; `told`: how many happened by now."""

    registry: Registry
    network: Network
    clock: Clock
    given: DeliverySettings
    story: Sequence[Matched]
    told: Callable[[], int]
    epochs: list[int]
    """Of the lease, of each transaction that recorded or took in, in their order."""


class Process:
    """One process; `end` tells how it ended."""

    def __init__(self, name: str, ground: Ground, chance: random.Random, fate: Fate) -> None:
        self.name, self._ground, self._chance, self._fate = name, ground, chance, fate
        self._dead = False
        self._died = asyncio.Event()
        self.stop = asyncio.Event()
        ground_clock = ground.clock.monotonic
        self.keeper = Keeper(ground.registry.outbound, self.call, name, ground.given.notify_lease_s, ground_clock)
        self.end = ""

    async def run(self) -> None:
        """Live until stopped, killed, or told that another one leads."""
        living, dying = asyncio.create_task(self._live()), asyncio.create_task(self._died.wait())
        await asyncio.wait({living, dying}, return_when=asyncio.FIRST_COMPLETED)
        for task in (living, dying):
            task.cancel()
        results = await asyncio.gather(living, dying, return_exceptions=True)
        if self._dead:
            self.end = "killed"
        elif isinstance(results[0], LeaseLost):
            self.end = "lost"
        elif isinstance(results[0], BaseException):
            raise results[0]
        else:
            self.end = "stopped"

    async def call(self, work: Callable[[], T]) -> T:
        """Do blocking work: a step before it, one after it."""
        await self._step()
        result = work()
        await self._step()
        return result

    async def post(
        self, url: str, *, headers: Sequence[tuple[str, str]], body: bytes, timeout_s: float, limit_bytes: int
    ) -> Posted:
        """Send, as schemas.backing.egress does."""
        assert limit_bytes
        await self._step()
        posted = await self._ground.network.post(self.name, url, headers, body, timeout_s)
        await self._step()
        return posted

    async def _step(self) -> None:
        if self._dead:
            raise Killed
        await asyncio.sleep(self._chance.uniform(0, 0.01))
        self._fate.at -= 1
        if self._fate.at == 0 and self._fate.what == "kill":
            self._dead = True
            self._died.set()
        elif self._fate.at == 0 and self._fate.what == "freeze":
            await asyncio.sleep(self._fate.seconds)
        if self._dead:
            await asyncio.Event().wait()  # until it is swept away

    async def _live(self) -> None:
        lease = await self.keeper.acquire(self.stop)
        if lease is None:
            return
        engine = Engine(self._world(lease))
        tasks = [
            asyncio.create_task(part) for part in (self.keeper.keep(), self._feed(lease, engine), engine.run(self.stop))
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if not self._dead:
            await self.keeper.release()

    def _world(self, lease: Lease) -> World:
        ground = self._ground
        measures = Measures(Metrics())
        return World(
            book=_Book(ground), lease=lease, egress=self, given=ground.given, clock=ground.clock,
            chance=self._chance.random, call=self.call, leads=self.keeper.leads, measures=measures,
        )  # fmt: skip

    async def _feed(self, lease: Lease, engine: Engine) -> None:
        """Take in what happened, a few events at a time, from the stored cursor on."""
        ground, outbound = self._ground, self._ground.registry.outbound
        at = (await self.call(outbound.cursors)).get(FEED, 0)
        while True:
            until = min(ground.told(), at + self._chance.randint(1, 7))
            if until > at:
                taken, cursor = ground.story[at:until], Cursor(FEED, until)
                due = await self.call(lambda taken=taken, cursor=cursor: self._take_in(lease, taken, cursor))  # type: ignore[misc]
                at = until
                engine.moved(dict(due))
            await asyncio.sleep(self._chance.uniform(0.05, 2.0))

    def _take_in(self, lease: Lease, taken: Sequence[Matched], cursor: Cursor) -> dict[Lane, int]:
        due = self._ground.registry.outbound.take_in(lease, taken, [cursor], self._ground.given.notify_linger_s)
        self._ground.epochs.append(lease.epoch)
        return dict(due)


class _Book:
    """The registry, with that queue."""

    def __init__(self, ground: Ground) -> None:
        registry = ground.registry
        self.outbound: Any = _Noted(ground)
        self.webhooks, self.contacts, self.revision = registry.webhooks, registry.contacts, registry.revision


class _Noted:
    """The queue, with a note of whose results were recorded."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ground.registry.outbound, name)

    def turn(self, held: Lease, *given: Any) -> Turn:
        turned = self._ground.registry.outbound.turn(held, *given)
        self._ground.epochs.append(held.epoch)
        return turned
