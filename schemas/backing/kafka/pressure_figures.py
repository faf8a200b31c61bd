"""What is told on `_hookberg.pressure` is told to Prometheus too: how much of each source waits, and how old it is.

Lives here: the newest measures of one process. Not here: measuring, and when it is told (schemas/pressure.py).
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from schemas.metrics import Metrics
from schemas.wire.pressure import STALE_S, Origin, Pressure


class Told(Protocol):
    """Where measures go. Implemented by schemas.backing.kafka.pressure.PressureTopic."""

    def tell(self, records: Iterable[Pressure], gone: Iterable[tuple[str, Origin]] = ()) -> None:
        """Send records, and tombstones of (source id, origin)."""

    def close(self) -> None:
        """Send what is under way."""


class Watched:
    """Hands measures on and keeps the newest of each source; what is older than `STALE_S` is nobody's lag any more."""

    def __init__(self, told: Told, metrics: Metrics, now_ms: Callable[[], int]) -> None:
        self._told, self._now_ms = told, now_ms
        self._latest: dict[tuple[str, Origin], Pressure] = {}
        metrics.read("hookberg_source_oldest_seconds", lambda: self._by(lambda one: one.lag_seconds))
        metrics.read("hookberg_source_lag_records", lambda: self._by(lambda one: one.lag_events))
        metrics.read("hookberg_source_drained_per_second", lambda: self._by(lambda one: one.drained_per_s))

    def tell(self, records: Iterable[Pressure], gone: Iterable[tuple[str, Origin]] = ()) -> None:
        """Send records, and tombstones of (source id, origin)."""
        news, ended = list(records), list(gone)
        latest = dict(self._latest)
        for one in news:
            latest[one.source_id, one.origin] = one
        for key in ended:
            latest.pop(key, None)
        self._latest = latest  # read by scrapes, which run in another thread
        self._told.tell(news, ended)

    def close(self) -> None:
        """Send what is under way."""
        self._told.close()

    def _by(self, figure: Callable[[Pressure], float | None]) -> dict[tuple[str, ...], float]:
        since = self._now_ms() - int(STALE_S * 1000)
        fresh = ((key, figure(one)) for key, one in self._latest.items() if one.measured_at_ms >= since)
        return {key: float(value) for key, value in fresh if value is not None}
