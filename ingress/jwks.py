"""Key sets of token issuers: read beside the requests, kept, read anew, and never asked for more often than agreed.

Lives here: when a key set is read and how long it counts. Not here: the call itself (schemas/backing/egress), what a
key may be used for (schemas/signing/jwk.py), the judging (jwt.py). Format: RFC 7517 section 5, and the `jwks_uri` of
OpenID Connect Discovery.
"""

import asyncio
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import orjson

from schemas.definitions.auth_jwt import TokenAuth
from schemas.definitions.view import Snapshot
from schemas.errors import Transient
from schemas.logs import logger
from schemas.metrics import Metrics
from schemas.ports import Clock, Egress, RegistryView
from schemas.signing import jwk
from schemas.signing.jwk import TokenKey

LIMIT_BYTES = 1 << 19
MAX_SETS = 2_000
MAX_WAITING = 64
"""Requests that wait for one read; the others are answered at once."""
WAIT_S = 3.0
_READING = 4
_EVERY_S = 1.0
_FIRST_RETRY_S = 5.0
_LONGEST_RETRY_S = 3_600.0
_log = logger("ingress")


class KeySource(Protocol):
    """The keys that are at hand; asked for each request, so it never waits."""

    def keys(self, url: str) -> tuple[TokenKey, ...] | None:
        """Return an issuer's keys; None when they are not known, or too old to prove anything."""


class NoKeys:
    """Implements KeySource where no key set is read: whoever needs one is refused."""

    def keys(self, url: str) -> tuple[TokenKey, ...] | None:  # noqa: ARG002 the protocol's
        """Return None: no key is known."""
        return None


@dataclass(frozen=True, slots=True)
class KeyTimes:
    """Seconds: `cache` until a set is read anew, `stale` until it counts no more, `retry` between reads of one set."""

    cache_s: float
    stale_s: float
    retry_s: float


class _Set:
    """What is known of one key set, by the monotonic clock."""

    __slots__ = ("failures", "keys", "read_at", "reading", "tried_at", "waiting")

    def __init__(self) -> None:
        self.keys: tuple[TokenKey, ...] = ()
        self.read_at = -math.inf
        self.tried_at = -math.inf
        self.failures = 0
        self.waiting = 0
        self.reading: asyncio.Task[None] | None = None


class KeySets:
    """The key sets of one worker's sources. Implements KeySource."""

    def __init__(self, egress: Egress, clock: Clock, times: KeyTimes, metrics: Metrics) -> None:
        self._egress = egress
        self._clock = clock
        self._times = times
        self._reads = metrics.counter("hookberg_key_set_reads_total")
        self._sets: dict[str, _Set] = {}
        self._asked = asyncio.Semaphore(_READING)
        self._beside = asyncio.Semaphore(_READING)

    def keys(self, url: str) -> tuple[TokenKey, ...] | None:
        """Return an issuer's keys; None when they were never read, or not for `stale_s`: old keys prove nothing."""
        held = self._sets.get(url)
        if held is None or self._clock.monotonic() - held.read_at > self._times.stale_s:
            return None
        return held.keys

    def failing(self, url: str) -> bool:
        """Tell whether the last read of a set failed, so that nobody knows whether there is a new key."""
        held = self._sets.get(url)
        return held is not None and held.failures > 0

    async def renewed(self, url: str) -> bool:
        """Read a set for a token whose key is not here; True when it was read, and the token is worth another look.

        One read serves all who wait, at most WAIT_S; there is none before the last one is `retry_s` old, so tokens with
        invented key ids cost the issuer nothing more.
        """
        held = self._held(url)
        if held is None or held.waiting >= MAX_WAITING:
            return False
        if held.reading is None:
            if self._clock.monotonic() - held.tried_at < self._pause(held, self._times.retry_s):
                return False
            self._start(url, held, self._asked)
        assert held.reading is not None  # noqa: S101 just started
        held.waiting += 1
        try:
            done, _ = await asyncio.wait({held.reading}, timeout=WAIT_S)
        finally:
            held.waiting -= 1
        return bool(done) and held.failures == 0

    async def run(self, view: RegistryView) -> None:
        """Follow the registry's sources for ever: read what is new or due, forget what nobody needs."""
        seen: Snapshot | None = None
        wanted: frozenset[str] = frozenset()
        try:
            while True:
                snapshot = view.current()
                if snapshot is not seen:
                    seen, wanted = snapshot, wanted_by(snapshot)
                self.follow(wanted)
                await asyncio.sleep(_EVERY_S)
        finally:
            await self.close()

    def follow(self, wanted: Iterable[str]) -> None:
        """Start a read of each wanted set that is new or due; forget the others."""
        urls = frozenset(wanted)
        for url in [one for one, held in self._sets.items() if one not in urls and held.reading is None]:
            del self._sets[url]
        for url in urls:
            held = self._held(url)
            if held is not None and held.reading is None and self._due(held):
                self._start(url, held, self._beside)

    async def close(self) -> None:
        """End the reads that are under way."""
        tasks = [held.reading for held in self._sets.values() if held.reading is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _held(self, url: str) -> _Set | None:
        held = self._sets.get(url)
        if held is None and len(self._sets) < MAX_SETS:
            held = self._sets[url] = _Set()
        return held

    def _due(self, held: _Set) -> bool:
        now = self._clock.monotonic()
        if held.failures:
            return now - held.tried_at >= self._pause(held, _LONGEST_RETRY_S)
        return now - held.read_at >= self._times.cache_s

    def _pause(self, held: _Set, longest_s: float) -> float:
        """Return how long a set is left alone after its last read: longer with each failure in a row."""
        if not held.failures:
            return self._times.retry_s
        return float(min(_FIRST_RETRY_S * 2 ** min(held.failures - 1, 16), longest_s))

    def _start(self, url: str, held: _Set, turn: asyncio.Semaphore) -> None:
        held.tried_at = self._clock.monotonic()
        held.reading = asyncio.create_task(self._read(url, held, turn), name="key-set")

    async def _read(self, url: str, held: _Set, turn: asyncio.Semaphore) -> None:
        shown = url.partition("?")[0]
        try:
            async with turn:
                began = self._clock.monotonic()
                found = jwk.from_set(await self._document(url))
        except (Transient, ValueError) as exc:
            held.failures += 1
            self._reads.labels("failed").inc()
            _log.warning("key_set_not_read", key_set=shown, error=str(exc)[:300], failures=held.failures)
        else:
            self._reads.labels("read").inc()
            if held.failures or {key.id for key in found} != {key.id for key in held.keys}:
                _log.info("key_set_read", key_set=shown, keys=len(found))
            held.keys, held.read_at, held.failures = found, began, 0
        finally:
            held.reading = None

    async def _document(self, url: str) -> object:
        """Return a key set, or the one that an OpenID provider's metadata names; one step and no more."""
        found = orjson.loads(await self._egress.get(url, limit_bytes=LIMIT_BYTES))
        if isinstance(found, dict) and "keys" not in found and isinstance(found.get("jwks_uri"), str):
            return orjson.loads(await self._egress.get(found["jwks_uri"], limit_bytes=LIMIT_BYTES))
        return found


def wanted_by(snapshot: Snapshot) -> frozenset[str]:
    """Return the key sets that the open sources of a snapshot need."""
    auths = (one.definition.auth for one in snapshot.sources.values() if one.definition.enabled)
    urls = (auth.keys_url() for auth in auths if isinstance(auth, TokenAuth))
    return frozenset(url for url in urls if url is not None)
