"""The process of outbound webhooks: the lease, then feeds and engine under it until it ends.

Lives here: what runs beside what. Not here: settings, logs, health page (deploy/processes/notify.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from schemas import logs
from schemas.backing.registry import LeaseLost, Registry
from schemas.definitions.notification import Lane, Lease
from schemas.errors import EXIT_RESTART
from schemas.ports import Clock
from schemas.settings.notify import DeliverySettings
from sinks.notify.engine.attempting import Egress
from sinks.notify.engine.engine import Engine
from sinks.notify.engine.ports import World
from sinks.notify.feeds import intake, openmetadata, tables
from sinks.notify.feeds.audience import Audience
from sinks.notify.feeds.changes import ChangesFeed
from sinks.notify.feeds.fed import Feed
from sinks.notify.feeds.posted import PostedFeed
from sinks.notify.feeds.topics import Records, TopicsFeed
from sinks.notify.keeper import Keeper
from sinks.notify.measures import Measures, Standing

T = TypeVar("T")
log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the process is given. `kafka`: a client's settings, None = no feed of topics; `chance()` 0..1."""

    registry: Registry
    egress: Egress
    kafka: Mapping[str, Any] | None
    clock: Clock
    measures: Measures
    chance: Callable[[], float]
    owner: str


class App:
    """One notify process."""

    def __init__(self, given: DeliverySettings, parts: Parts) -> None:
        self._given, self._parts = given, parts
        self._threads = {name: ThreadPoolExecutor(1, f"notify-{name}") for name in ("queue", "lease")}
        lease = partial(self._call, "lease")
        outbound = parts.registry.outbound
        self._keeper = Keeper(outbound, lease, parts.owner, given.notify_lease_s, parts.clock.monotonic)
        self._engine: Engine | None = None
        self._feeding: asyncio.Task[None] | None = None

    def faults(self) -> dict[str, str]:
        """Say what is wrong, by check; "" = nothing."""
        ended = self._feeding is not None and self._feeding.done()
        return {"lease": self._keeper.fault(), "feeds": "ended" if ended else ""}

    def standing(self) -> Standing:
        """Return how the engine stands."""
        return Standing() if self._engine is None else self._engine.standing()

    async def run(self, stop: asyncio.Event) -> int:
        """Deliver until `stop`; return the exit code: another start is wanted when the lease is lost."""
        try:
            lease = await self._keeper.acquire(stop)
            if lease is None:
                return 0
            try:
                await self._deliver(lease, stop)
            except LeaseLost as error:
                log.warning("notify_lease_lost", error=str(error))
                return EXIT_RESTART
            finally:
                await self._keeper.release()
        finally:
            for threads in self._threads.values():
                threads.shutdown(wait=False, cancel_futures=True)
        return 0

    async def _deliver(self, lease: Lease, stop: asyncio.Event) -> None:
        """Run lease, feeds and engine; whichever fails ends all, and its error is raised."""
        engine = self._engine = Engine(self._world(lease))
        ending = asyncio.Event()
        keeping = asyncio.create_task(self._keeper.keep(), name="lease")
        feeding = self._feeding = asyncio.create_task(intake.run(self._intakes(lease, engine), ending), name="feeds")
        sending = asyncio.create_task(engine.run(ending), name="engine")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        tasks = {keeping, feeding, sending}
        try:
            done, _ = await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            ending.set()
            for task in done - {stopping}:
                task.result()
            await asyncio.gather(feeding, sending)
        finally:
            ending.set()
            keeping.cancel()
            if not stop.is_set():
                sending.cancel()
            stopping.cancel()
            await asyncio.gather(stopping, *tasks, return_exceptions=True)

    def _world(self, lease: Lease) -> World:
        parts = self._parts
        return World(
            book=parts.registry,
            lease=lease,
            egress=parts.egress,
            given=self._given,
            clock=parts.clock,
            chance=parts.chance,
            call=partial(self._call, "queue"),
            leads=self._keeper.leads,
            measures=parts.measures,
        )

    def _intakes(self, lease: Lease, engine: Engine) -> Sequence[intake.Intake]:
        parts, given = self._parts, self._given
        loop = asyncio.get_running_loop()

        def taken(due: Mapping[Lane, int]) -> None:
            loop.call_soon_threadsafe(engine.moved, dict(due))

        into = intake.Into(
            outbound=parts.registry.outbound,
            lease=lease,
            counts=parts.measures,
            taken=taken,
            clock=parts.clock,
            linger_s=given.notify_linger_s,
            poll_s=given.notify_poll_s,
        )
        audience = Audience(parts.registry)
        return [intake.Intake(feed, audience, into) for feed in self._feeds(audience)]

    def _feeds(self, audience: Audience) -> Sequence[Feed]:
        parts = self._parts
        registry = parts.registry
        feeds: list[Feed] = [ChangesFeed(registry, audience), PostedFeed(registry, audience)]
        if parts.kafka is not None:
            for name, told in (("tables", tables), ("openmetadata", openmetadata)):
                records = Records(name, told.listens, told.read, partial(parts.measures.lost, name))
                feeds.append(TopicsFeed(records, registry, audience, parts.kafka))
        return feeds

    def _call(self, thread: str, work: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads[thread], work)
