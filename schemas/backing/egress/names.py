"""Names: looked up once, every address behind them checked, and connected to as they were checked.

Lives here: the look-up, the check of what it gives, the resolver that gives nothing else. Not here: which addresses are
allowed (guard.py). What happens where this is two look-ups: https://en.wikipedia.org/wiki/DNS_rebinding
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from aiohttp.abc import AbstractResolver, ResolveResult

from schemas.backing.egress.guard import Guard
from schemas.errors import Transient

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
LOOK_UPS = 4
"""Threads for look-ups of what is fetched."""


class Forbidden(Transient):
    """An address that may not be called."""


class Unresolved(Transient):
    """A name without an address."""


class Names:
    """Looks names up in `threads` of its own, so that a look-up outlives its deadline and keeps nothing else waiting.

    One name takes one thread at a time: who asks for it meanwhile waits for the same answer.
    """

    def __init__(self, guard: Guard, resolve: Resolve | None = None, *, threads: int = LOOK_UPS) -> None:
        self._guard = guard
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="egress-names")
        self._asked: dict[tuple[str, int], asyncio.Future[Sequence[str]]] = {}
        self._resolve = resolve or self._looked_up

    async def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """Return every address of a host; raise `Forbidden` when one may not be called, `Unresolved` without any."""
        try:
            found = tuple(dict.fromkeys(await self._resolve(host, port)))
        except (OSError, UnicodeError) as exc:
            raise Unresolved(f"the name {host} cannot be resolved: {exc}") from None
        if not found:
            raise Unresolved(f"the name {host} has no address")
        for one in found:
            if not self._guard.allows(ipaddress.ip_address(one)):
                raise Forbidden(self._guard.forbidden(f"{host} ({one})"))
        return found

    def close(self) -> None:
        """Let go of the threads; a look-up that hangs is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _looked_up(self, host: str, port: int) -> Sequence[str]:
        key = (host, port)
        asked = self._asked.get(key)
        if asked is None:
            ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
            asked = asyncio.ensure_future(self._told(ask))
            self._asked[key] = asked
            asked.add_done_callback(partial(self._answered, key))
        return await asyncio.shield(asked)

    async def _told(self, ask: Callable[[], Sequence[tuple[object, ...]]]) -> Sequence[str]:
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return [str(info[4][0]) for info in found]  # type: ignore[index]

    def _answered(self, key: tuple[str, int], asked: asyncio.Future[Sequence[str]]) -> None:
        del self._asked[key]
        if not asked.cancelled():
            asked.exception()  # whoever asked may be gone: it is nobody's then


class Pinned(AbstractResolver):
    """Answers with the addresses that were checked, so that no second look-up can give another."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 aiohttp's signature
    ) -> list[ResolveResult]:
        """Return what was checked, whatever is asked."""
        return [
            ResolveResult(
                hostname=host,
                host=one,
                port=port,
                family=socket.AF_INET6 if ":" in one else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for one in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""
