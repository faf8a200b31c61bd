"""How often one API key may call and one source may be posted to: token buckets, past them 429 with Retry-After.

Lives here: the buckets and which of them a request takes from. Not here: what a worker can carry (admission.py).
A bucket is one number, the time at which it is full again (the generic cell rate algorithm, ITU-T I.371 annex A); names
that were quiet for longest are forgotten first, so memory is bounded. Limits are of one process.
"""

import math
from dataclasses import dataclass
from typing import Self

from prometheus_client import Counter

from schemas.errors import Overloaded
from schemas.metrics import Metrics
from schemas.ports import Clock
from schemas.reasons import Reason
from schemas.settings.processes import DoorSettings

MAX_NAMES = 10_000
"""Buckets kept; one that is forgotten is full, so only more names at once than this get more than their rate."""


class Buckets:
    """One bucket a name: `burst` requests at once, `rate` a second for long."""

    def __init__(self, rate: float, burst: int, clock: Clock) -> None:
        self._gap = 1.0 / rate
        self._depth = burst * self._gap
        self._clock = clock
        self._full_at: dict[str, float] = {}

    def wait_s(self, name: str) -> float:
        """Return the seconds until a request may be taken, 0 when now; takes nothing."""
        now = self._clock.monotonic()
        return max(0.0, max(self._full_at.get(name, now), now) + self._gap - self._depth - now)

    def take(self, name: str) -> float:
        """Take a request and return 0, or take nothing and return the seconds until one may be taken."""
        wait = self.wait_s(name)
        if wait > 0:
            return wait
        now = self._clock.monotonic()
        self._full_at[name] = max(self._full_at.pop(name, now), now) + self._gap  # newest last
        if len(self._full_at) > MAX_NAMES:
            del self._full_at[next(iter(self._full_at))]
        return 0.0


@dataclass(frozen=True, slots=True)
class Rates:
    """The limits of one process; None = no limit. Each method raises `Overloaded(rate_limited_*)`."""

    keys: Buckets | None = None
    sources: Buckets | None = None
    limited: Counter | None = None

    @classmethod
    def of(cls, settings: DoorSettings, clock: Clock, metrics: Metrics) -> Self:
        """Make the limits that the settings name."""
        by_key, by_source = settings.key_requests_per_s, settings.source_requests_per_s
        return cls(
            Buckets(by_key, settings.key_burst_requests, clock) if by_key else None,
            Buckets(by_source, settings.source_burst_requests, clock) if by_source else None,
            metrics.counter("hookberg_rate_limited_total"),
        )

    def take_key(self, key_id: str) -> None:
        """Count a call or a delivery of an API key."""
        if self.keys is not None and (wait := self.keys.take(key_id)):
            raise self._over("key", Reason.RATE_LIMITED_KEY, wait)

    def ask_source(self, source_id: str) -> None:
        """Refuse a request of a source whose bucket is empty, before its body is read; counts nothing against it."""
        if self.sources is not None and (wait := self.sources.wait_s(source_id)):
            raise self._over("source", Reason.RATE_LIMITED_SOURCE, wait)

    def take_source(self, source_id: str) -> None:
        """Count a proven delivery of a source: a forger cannot empty the bucket of a sender."""
        if self.sources is not None and (wait := self.sources.take(source_id)):
            raise self._over("source", Reason.RATE_LIMITED_SOURCE, wait)

    def _over(self, limit: str, reason: Reason, wait_s: float) -> Overloaded:
        if self.limited is not None:
            self.limited.labels(limit).inc()
        return Overloaded(reason, max(1, math.ceil(wait_s)))
