"""Connections that are kept for the next call to the same endpoint, a bounded number for a bounded time.

Lives here: which connection a call gets. A connection is kept by scheme, host and port of the URL, together with the
addresses that were checked when it was made: it never leads anywhere else, and is not used for another name behind the
same address (its certificate was not asked for that). HTTP itself is aiohttp's: https://docs.aiohttp.org
"""

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import aiohttp

from schemas.backing.egress.names import Pinned

Endpoint = tuple[str, str, int]
"""Scheme, host and port."""
_BUFFER = 1 << 14
_MAX_HEAD_LINE = 8190
_MAX_HEAD_LINES = 100


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long connections are kept: `max_idle` of all while nobody uses them, each `idle_s` at most.

    Many servers close theirs after 5 s (https://nodejs.org/api/http.html#serverkeepalivetimeout). After `max_age_s` a
    name is looked up anew, busy or not: an endpoint that moved is found within it.
    """

    max_idle: int = 256
    idle_s: float = 4.0
    max_age_s: float = 60.0


KEEPING = Keeping()


@dataclass(slots=True)
class Line:
    """One connection, used by one call at a time; `used` tells that it has carried a call before."""

    endpoint: Endpoint
    session: aiohttp.ClientSession = field(repr=False)
    made_at: float
    idle_since: float = 0.0
    used: bool = False


class Pool:
    """Lends connections; `addresses(host, port)` looks up and checks. `open` counts those lent or kept."""

    def __init__(
        self, addresses: Callable[[str, int], Awaitable[Sequence[str]]], tls: ssl.SSLContext, keeping: Keeping
    ) -> None:
        self._addresses = addresses
        self._keeping = keeping
        self._tls = tls
        self._idle: OrderedDict[int, Line] = OrderedDict()
        self._by_endpoint: dict[Endpoint, list[Line]] = {}
        self._lent = 0

    @property
    def open(self) -> int:
        """Return how many connections there are."""
        return self._lent + len(self._idle)

    async def lend(self, endpoint: Endpoint, *, fresh: bool = False) -> Line:
        """Return a connection to an endpoint: the one used last, else (or when `fresh`) one to be made."""
        now = asyncio.get_running_loop().time()
        await self._close_older(now)
        while not fresh and (line := self._newest(endpoint)) is not None:
            if now - line.made_at < self._keeping.max_age_s:
                self._lent += 1
                return line
            await line.session.close()
        self._lent += 1
        try:
            return Line(endpoint, self._session(await self._addresses(endpoint[1], endpoint[2])), now)
        except BaseException:
            self._lent -= 1
            raise

    async def give_back(self, line: Line, *, keep: bool) -> None:
        """Take a connection back; `keep` when its last call left it fit for another."""
        self._lent -= 1
        if not keep:
            await line.session.close()
            return
        line.used, line.idle_since = True, asyncio.get_running_loop().time()
        self._idle[id(line)] = line
        self._by_endpoint.setdefault(line.endpoint, []).append(line)
        if len(self._idle) > self._keeping.max_idle:
            await self._drop_oldest()

    async def close(self) -> None:
        """Close what is kept."""
        while self._idle:
            await self._drop_oldest()

    async def _close_older(self, now: float) -> None:
        while self._idle and now - next(iter(self._idle.values())).idle_since > self._keeping.idle_s:
            await self._drop_oldest()

    def _newest(self, endpoint: Endpoint) -> Line | None:
        kept = self._by_endpoint.get(endpoint)
        if not kept:
            return None
        line = kept[-1]
        self._forget(line)
        return line

    async def _drop_oldest(self) -> None:
        line = next(iter(self._idle.values()))
        self._forget(line)
        await line.session.close()

    def _forget(self, line: Line) -> None:
        del self._idle[id(line)]
        kept = self._by_endpoint[line.endpoint]
        kept.remove(line)
        if not kept:
            del self._by_endpoint[line.endpoint]

    def _session(self, addresses: Sequence[str]) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=Pinned(addresses),
            ssl=self._tls,
            use_dns_cache=False,
            limit=1,
            keepalive_timeout=self._keeping.idle_s,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Content-Type"),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            read_bufsize=_BUFFER,
            max_line_size=_MAX_HEAD_LINE,
            max_field_size=_MAX_HEAD_LINE,
            max_headers=_MAX_HEAD_LINES,
        )
