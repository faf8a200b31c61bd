"""What `hookberg notify` counts and times of itself; the names are those of schemas/metrics.py.

Lives here: the one place that knows them. Not here: what is said of one endpoint, which the log of deliveries answers
(schemas/backing/registry/outbound/log.py). https://prometheus.io/docs/practices/instrumentation/
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from schemas.definitions.notification import DeliveryState
from schemas.metrics import Metrics
from schemas.series import Read


@dataclass(frozen=True, slots=True)
class Standing:
    """How the engine stands now: deliveries that wait, the oldest one's age, requests under way, circuits open."""

    leads: bool = False
    pending: int = 0
    oldest_s: float = 0.0
    in_flight: int = 0
    open_circuits: int = 0


class Measures:
    """The metrics of one notify process."""

    def __init__(self, metrics: Metrics) -> None:
        self._events = metrics.counter("hookberg_notify_events_total")
        self._no_contact = metrics.counter("hookberg_notify_no_contact_total")
        self._lost = metrics.counter("hookberg_notify_lost_total")
        self._lag = metrics.gauge("hookberg_notify_feed_lag")
        self._attempts = metrics.counter("hookberg_notify_attempts_total")
        self._seconds = metrics.timings("hookberg_notify_attempt_seconds")
        self._deliveries = metrics.counter("hookberg_notify_deliveries_total")
        self._metrics = metrics

    def watch(self, standing: Callable[[], Standing]) -> None:
        """Have the gauges read from `standing()` at each scrape; it is cheap and blocks on nothing."""
        gauges: Mapping[str, Callable[[Standing], float]] = {
            "hookberg_notify_leads": lambda now: now.leads,
            "hookberg_notify_pending": lambda now: now.pending,
            "hookberg_notify_oldest_seconds": lambda now: now.oldest_s,
            "hookberg_notify_in_flight_requests": lambda now: now.in_flight,
            "hookberg_notify_open_circuits": lambda now: now.open_circuits,
        }
        for name, of in gauges.items():
            self._metrics.read(name, _reading(of, standing))

    def took_in(self, feed: str, events: int) -> None:
        """Count events of a feed: changes, posted, tables, openmetadata."""
        self._events.labels(feed).inc(events)

    def no_contact(self, role: str) -> None:
        """Count a receiver (admin, owner, follower) that is no contact or has no endpoint."""
        self._no_contact.labels(role).inc()

    def lost(self, feed: str, records: int) -> None:
        """Count records of a feed that were gone before they were read."""
        self._lost.labels(feed).inc(records)

    def lags(self, feed: str, positions: int) -> None:
        """Tell how many positions of a feed are not taken in."""
        self._lag.labels(feed).set(positions)

    def attempted(self, status: int | None, duration_ms: int) -> None:
        """Count one request by the class of its answer, None = there was none."""
        self._attempts.labels("none" if status is None else f"{status // 100}xx").inc()
        self._seconds.observe(duration_ms / 1000)

    def resulted(self, state: DeliveryState) -> None:
        """Count what an attempt made of its delivery; still pending = it is retried."""
        self._deliveries.labels("retried" if state is DeliveryState.PENDING else state.value).inc()


def _reading(of: Callable[[Standing], float], standing: Callable[[], Standing]) -> Read:
    return lambda: {(): float(of(standing()))}
