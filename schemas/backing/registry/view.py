"""The cached view: the newest snapshot, polled by revision, served on when the database is away.

Lives here: when a snapshot is loaded. Not here: how (snapshot.py). Implements ports.RegistryView.
Queries run in one thread of its own, so a database that hangs can block nothing else.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from schemas.definitions.view import EMPTY, Snapshot
from schemas.errors import HookbergError
from schemas.logs import logger
from schemas.ports import Clock

_LOG = logger(__name__)
_LEAST_GAP_S = 0.1
"""Refreshes are at least this far apart: unknown URLs cost the database ten queries a second at most."""
_AWAY_PAUSE_S = 1.0
"""After a failure, refreshes answer at once with what is known for this long."""

Listener = Callable[[Snapshot], None]


class SnapshotSource(Protocol):
    """What the view needs of the registry."""

    def revision(self) -> int:
        """Return the newest revision; blocking."""

    def load(self) -> Snapshot:
        """Return the newest snapshot; blocking."""


class CachedView:
    """Keeps the newest snapshot. `poll_s` is also the time within which a change is seen by every process."""

    def __init__(self, registry: SnapshotSource, *, poll_s: float, clock: Clock) -> None:
        self._registry = registry
        self._poll_s = poll_s
        self._clock = clock
        self._snapshot = EMPTY
        self._listeners: list[Listener] = []
        self._thread: ThreadPoolExecutor | None = None
        self._poller: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self._busy = asyncio.Lock()
        self._asked_at = float("-inf")
        self._seen_at: float | None = None
        self._failed_at = float("-inf")
        self._away = False

    def current(self) -> Snapshot:
        """Return the newest snapshot known; `EMPTY` before the first load."""
        return self._snapshot

    def age_s(self) -> float:
        """Return the seconds since the database last answered; infinite before it ever did."""
        return float("inf") if self._seen_at is None else self._clock.monotonic() - self._seen_at

    def listen(self, callback: Listener) -> None:
        """Call `callback` with each new snapshot, in the event loop; what it raises is logged."""
        self._listeners.append(callback)

    async def start(self) -> None:
        """Load once and poll until `stop`; a database that is away is retried.

        Raises `ConfigurationError` when the first load says so (tables missing, wrong vault key).
        """
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="registry-view")
        self._poller = asyncio.create_task(self._poll(), name="registry-view")
        try:
            await self._ask(first=True)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop polling; the last snapshot stays."""
        for task in (self._poller, self._next):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._poller = self._next = None
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = None

    async def refresh(self) -> Snapshot:
        """Ask the database now: the answer is of a query that began after this call, or the last known when away.

        Callers share a query; there are at most ten a second, so this may wait 0.1 s.
        """
        if self._thread is None or self._clock.monotonic() - self._failed_at < _AWAY_PAUSE_S:
            return self._snapshot
        if self._next is None:
            self._next = asyncio.create_task(self._run_next(), name="registry-refresh")
        await asyncio.shield(self._next)
        return self._snapshot

    async def _run_next(self) -> None:
        try:
            async with self._busy:
                wait = self._asked_at + _LEAST_GAP_S - self._clock.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                self._next = None  # who comes now needs a query that begins later
                await self._query()
        finally:
            if self._next is asyncio.current_task():
                self._next = None

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            await self._ask()

    async def _ask(self, *, first: bool = False) -> None:
        async with self._busy:
            await self._query(first=first)

    async def _query(self, *, first: bool = False) -> None:
        self._asked_at = self._clock.monotonic()
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._thread, self._fetch)
        except Exception as exc:
            self._failed_at = self._clock.monotonic()
            if first and not _passes(exc):
                raise
            if not self._away:
                self._away = True
                _LOG.warning("registry_away", error=str(exc)[:300], bug=not isinstance(exc, HookbergError))
            return
        if self._away:
            self._away = False
            _LOG.info("registry_back", age_s=round(self.age_s(), 3))
        self._seen_at = self._clock.monotonic()
        self._failed_at = float("-inf")
        if found is not None:
            self._publish(found)

    def _fetch(self) -> Snapshot | None:
        return None if self._registry.revision() == self._snapshot.revision else self._registry.load()

    def _publish(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        for listener in self._listeners:
            try:
                listener(snapshot)
            except Exception as exc:  # noqa: BLE001 one listener's bug must not blind the process
                _LOG.error("registry_listener_failed", error=repr(exc)[:300])


def _passes(exc: Exception) -> bool:
    """Tell whether the fault may pass by itself: the database is away."""
    reason = getattr(exc, "reason", None)
    return isinstance(exc, HookbergError) and reason is not None and reason.status == 503  # noqa: PLR2004
