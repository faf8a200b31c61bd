"""The port's implementation: a bounded number of lookups at once, each with its own budget, in threads of their own.

Lives here: `DeliveryReader`. May not live here: how a delivery is found (locate.py, follow.py, pages.py); HTTP.
"""

import asyncio
import queue
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

from pyiceberg.catalog import Catalog

from schemas.errors import Overloaded, Refused
from schemas.ports import Clock, RegistryView
from schemas.reasons import Reason
from sinks.read.deliveries import locate, pages, way
from sinks.read.deliveries.budget import Budget
from sinks.read.deliveries.facts import Facts
from sinks.read.deliveries.ground import Ground
from sinks.read.deliveries.log import Log

AT_ONCE, WAITING = 4, 16
OF_A_TENANT, WAITING_OF_A_TENANT = 3, 9
"""One tenant never holds all, so that its slow questions keep nobody else's out."""
UNKNOWN = "no such delivery"
T = TypeVar("T")


class Deliveries:
    """Implements `schemas.ports.DeliveryReader`. Kafka and catalog are opened when first needed, and kept."""

    def __init__(
        self,
        kafka: Mapping[str, Any],
        catalog: Callable[[], Catalog],
        view: RegistryView,
        clock: Clock,
        *,
        wait: Callable[[float], None] = time.sleep,
        budget: Callable[[Clock], Budget] = lambda clock: Budget(clock.monotonic),
    ) -> None:
        self._kafka, self._view, self._clock = dict(kafka), view, clock
        self._open, self._wait, self._budget = catalog, wait, budget
        self._catalog: Catalog | None = None
        self._lock = Lock()
        self._logs: queue.SimpleQueue[Log] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="delivery-reader")
        self._asked: Counter[str] = Counter()
        self._turns: dict[str, asyncio.Semaphore] = {}

    async def way(
        self, tenant: str, delivery_id: str, at: tuple[str, int, int] | None, first: int, limit: int
    ) -> dict[str, Any]:
        """Return the way of one delivery; raises `Refused(not_found)`, `Overloaded`, `Transient`."""

        def read(ground: Ground) -> dict[str, Any]:
            facts = Facts(delivery_id, now_ms=ground.now_ms)
            if at is None:
                found = locate.by_id(ground, facts, first, limit)
            else:
                found = locate.by_receipt(ground, facts, at, first, limit)
            if not found:
                raise Refused(Reason.NOT_FOUND, UNKNOWN)
            facts.why = ground.budget.why
            return way.wire(facts, first, limit)

        return await self._run(tenant, read)

    async def page(self, tenant: str, query: Mapping[str, str], limit: int, cursor: str | None) -> dict[str, Any]:
        """Return a page of deliveries, newest first; raises `Refused(bad_request)`, `Overloaded`, `Transient`."""
        return await self._run(tenant, lambda ground: pages.page(ground, query, limit, cursor))

    def close(self) -> None:
        """Leave Kafka; a thread that still reads ends by its own bounds, or with the process."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        while True:
            try:
                self._logs.get_nowait().close()
            except queue.Empty:
                return

    async def _run(self, tenant: str, read: Callable[[Ground], T]) -> T:
        asked = self._asked
        if asked.total() >= AT_ONCE + WAITING or asked[tenant] >= OF_A_TENANT + WAITING_OF_A_TENANT:
            raise Overloaded(Reason.OVERLOADED_REQUESTS, 1)
        asked[tenant] += 1
        turn = self._turns.setdefault(tenant, asyncio.Semaphore(OF_A_TENANT))
        try:
            async with turn:
                return await asyncio.get_running_loop().run_in_executor(self._pool, self._with_log, tenant, read)
        finally:
            asked[tenant] -= 1
            if not asked[tenant]:
                del asked[tenant], self._turns[tenant]

    def _with_log(self, tenant: str, read: Callable[[Ground], T]) -> T:
        try:
            log = self._logs.get_nowait()
        except queue.Empty:
            log = Log(self._kafka)
        try:
            ground = Ground(
                tenant, self._view.current(), log, self._lake, self._clock, self._wait, self._budget(self._clock)
            )
            found = read(ground)
        except Refused:
            self._logs.put(log)
            raise
        except BaseException:
            log.close()  # its connections may be what failed
            raise
        self._logs.put(log)
        return found

    def _lake(self) -> Catalog:
        with self._lock:
            if self._catalog is None:
                self._catalog = self._open()
            return self._catalog
