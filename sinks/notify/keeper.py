"""The lease as this process knows it: waiting for it, keeping it, and knowing when it no longer counts.

Lives here: the clock's side of the lease. Not here: the row and its epoch, which fence every write whatever a clock
says (schemas/backing/registry/outbound/lease.py). A process that could not renew in time sends nothing new until it
has: another one may have begun.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol, TypeVar

from schemas import logs
from schemas.backing.registry.outbound import LeaseLost
from schemas.definitions.notification import Lease
from schemas.errors import Refused
from schemas.reasons import Reason

T = TypeVar("T")
log = logs.logger(__name__)


class Leases(Protocol):
    """The registry's side."""

    def acquire(self, owner: str, ttl_s: float) -> Lease | None:
        """Take the lease when it can be had."""

    def renew(self, held: Lease, ttl_s: float) -> bool:
        """Keep it."""

    def release(self, held: Lease) -> None:
        """Give it back."""


class Call(Protocol):
    """Runs blocking work beside the event loop."""

    def __call__(self, work: Callable[[], T]) -> Awaitable[T]:
        """Return what the work returns."""


class Keeper:
    """One process' lease; `monotonic()` in seconds. A third of `ttl_s` passes between two renewals."""

    def __init__(self, leases: Leases, call: Call, owner: str, ttl_s: float, monotonic: Callable[[], float]) -> None:
        self._leases, self._call = leases, call
        self._owner, self._ttl_s, self._monotonic = owner, ttl_s, monotonic
        self._until = 0.0
        self._held: Lease | None = None

    def leads(self) -> bool:
        """Tell whether the lease is ours and counts now."""
        return self._held is not None and self._monotonic() < self._until

    def fault(self) -> str:
        """Say what is wrong, "" = nothing; to wait for another holder is not."""
        return "" if self._held is None or self.leads() else "the lease could not be renewed in time"

    async def acquire(self, stop: asyncio.Event) -> Lease | None:
        """Wait for the lease; None when `stop` came first."""
        told = False
        while not stop.is_set():
            began = self._monotonic()
            try:
                self._held = await self._call(lambda: self._leases.acquire(self._owner, self._ttl_s))
            except Refused as error:
                _only_away(error)
            if self._held is not None:
                self._until = began + self._ttl_s
                log.info("notify_leads", epoch=self._held.epoch)
                return self._held
            if not told:
                log.info("notify_waits", why="another process delivers, or the registry is away")
                told = True
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._ttl_s / 3)
        return None

    async def keep(self) -> None:
        """Renew for ever; raises `LeaseLost` when another process has it."""
        while self._held is not None:
            await asyncio.sleep(self._ttl_s / 3 if self.leads() else min(1.0, self._ttl_s / 3))
            held, began = self._held, self._monotonic()
            try:
                kept = await self._call(lambda held=held: self._leases.renew(held, self._ttl_s))  # type: ignore[misc]
            except Refused as error:
                _only_away(error)
                log.warning("notify_lease_not_renewed", error=str(error)[:300])
                continue
            if not kept:
                self._until = 0.0
                raise LeaseLost("another process delivers webhooks")
            self._until = began + self._ttl_s

    async def release(self) -> None:
        """Give the lease back, so that a successor need not wait."""
        held, self._held = self._held, None
        if held is not None:
            with suppress(Refused):
                await self._call(lambda: self._leases.release(held))


def _only_away(error: Refused) -> None:
    if error.reason is not Reason.REGISTRY_AWAY:
        raise error
