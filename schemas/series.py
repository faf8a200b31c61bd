"""How series of one process are kept: a bound on what a label holds, and what is read only when somebody looks.

Lives here: prometheus_client with our bounds. Not here: which metrics there are (metrics.py).
A label that names an object of the registry (`source`, `stream`) has at most `MOST_VALUES` values in a process; what
comes after them is counted in one series, `other`, and the series of a deleted object go at the next scrape.
https://prometheus.io/docs/practices/naming/#labels
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Literal

from prometheus_client import Counter, Gauge, Histogram, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
MOST_VALUES = 500
"""Values that one label holds in a process; a histogram by stream has 19 series a value."""
MOST_FOLDED = 100_000
OTHER = "other"
_BOUNDS = (*(str(float(bound)) for bound in SECONDS), "+Inf")
Read = Callable[[], Mapping[tuple[str, ...], float]]
"""Returns the values of a metric by their labels, as they are now; called at each scrape."""


class Values:
    """The values that one label has in this process; threads may ask at the same time."""

    def __init__(self, most: int = MOST_VALUES) -> None:
        self._most = most
        self._known: set[str] = {OTHER}
        self._folded: set[str] = set()
        self._live: Callable[[], Container[str]] | None = None
        self._lock = threading.Lock()

    def follow(self, live: Callable[[], Container[str]]) -> None:
        """Let go of values that `live()` does not hold; asked at each scrape."""
        self._live = live

    def admit(self, value: str) -> str:
        """Return the value, or `other` when there are too many."""
        if value in self._known:
            return value
        with self._lock:
            if len(self._known) <= self._most:
                self._known.add(value)
                return value
            if len(self._folded) < MOST_FOLDED:
                self._folded.add(value)
            return OTHER

    def prune(self) -> None:
        """Forget the values of objects that are gone, so that others find room."""
        if self._live is None:
            return
        live = self._live()
        with self._lock:
            self._known = {value for value in self._known if value == OTHER or value in live}
            self._folded = {value for value in self._folded if value in live}

    def __contains__(self, value: object) -> bool:
        return value in self._known

    @property
    def folded(self) -> int:
        """Return how many values are counted in `other` now."""
        return len(self._folded)


class Cap:
    """One metric's use of a bounded label; `at` is its place, `own` those of labels that say more of the object."""

    def __init__(self, values: Values, at: int, own: Container[int] = ()) -> None:
        self._values, self._at, self._own = values, at, own
        self._made: set[tuple[str, ...]] = set()

    def take(self, given: Sequence[Any]) -> tuple[str, ...]:
        """Return the labels to count under, and remember them."""
        labels = self.bounded(given)
        self._made.add(labels)
        return labels

    def bounded(self, given: Sequence[Any]) -> tuple[str, ...]:
        """Return the labels to count under: themselves, or those of `other`."""
        labels = tuple(map(str, given))
        if self._values.admit(labels[self._at]) != OTHER:
            return labels
        return tuple(OTHER if at == self._at else "" if at in self._own else one for at, one in enumerate(labels))

    def gone(self) -> list[tuple[str, ...]]:
        """Return the labels whose object is gone, once."""
        self.prune()
        found = [labels for labels in list(self._made) if labels[self._at] not in self._values]
        self._made.difference_update(found)
        return found

    def prune(self) -> None:
        """Forget the values of objects that are gone."""
        self._values.prune()


class CappedCounter(Counter):
    """A counter whose label is bounded."""

    cap: Cap

    def labels(self, *given: Any) -> Counter:  # type: ignore[override] # noqa: ANN401 as prometheus_client has it
        """Return the series of these labels, or of `other`."""
        return super().labels(*self.cap.take(given))

    def collect(self) -> Iterable[Metric]:
        """Return the series of what exists."""
        for labels in self.cap.gone():
            self.remove(*labels)
        return super().collect()


class CappedGauge(Gauge):
    """A gauge whose label is bounded."""

    cap: Cap

    def labels(self, *given: Any) -> Gauge:  # type: ignore[override] # noqa: ANN401 as prometheus_client has it
        """Return the series of these labels, or of `other`."""
        return super().labels(*self.cap.take(given))

    def collect(self) -> Iterable[Metric]:
        """Return the series of what exists."""
        for labels in self.cap.gone():
            self.remove(*labels)
        return super().collect()


class CappedHistogram(Histogram):
    """A histogram whose label is bounded."""

    cap: Cap

    def labels(self, *given: Any) -> Histogram:  # type: ignore[override] # noqa: ANN401 as prometheus_client has it
        """Return the series of these labels, or of `other`."""
        return super().labels(*self.cap.take(given))

    def collect(self) -> Iterable[Metric]:
        """Return the series of what exists."""
        for labels in self.cap.gone():
            self.remove(*labels)
        return super().collect()


class Reading(Collector):
    """A metric that is somewhere already and is read at a scrape: no cost where it is counted, no stale series.

    What is over the bound of `cap` is one series: the sum of a counter, the greatest of a gauge.
    """

    def __init__(
        self,
        name: str,
        text: str,
        labels: tuple[str, ...],
        kind: Literal["counter", "gauge"],
        read: Read,
        cap: Cap | None = None,
    ) -> None:
        self._name, self._text, self._labels, self.read = name, text, labels, read
        self._kind, self._cap = kind, cap

    def describe(self) -> Iterable[Metric]:
        """Return the metric without values: registering must not read it."""
        return [self._family()]

    def collect(self) -> Iterable[Metric]:
        """Return the values of now."""
        family = self._family()
        for labels, value in self._bounded(self.read()).items():
            family.add_metric(labels, value)
        return [family]

    def _family(self) -> CounterMetricFamily | GaugeMetricFamily:
        make = CounterMetricFamily if self._kind == "counter" else GaugeMetricFamily
        return make(self._name, self._text, labels=self._labels)

    def _bounded(self, found: Mapping[tuple[str, ...], float]) -> Mapping[tuple[str, ...], float]:
        if self._cap is None:
            return found
        self._cap.prune()
        made: dict[tuple[str, ...], float] = {}
        for labels, value in found.items():
            key = self._cap.bounded(labels)
            before = made.get(key)
            if before is None:
                made[key] = value
            else:
                made[key] = before + value if self._kind == "counter" else max(before, value)
        return made


class Timings(Collector):
    """A histogram without labels, for one thread and a hot path: prometheus_client's own takes a lock for each value.

    `observe` counts; what a scrape shows is made at the scrape.
    """

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text
        self._counts = [0] * (len(SECONDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(SECONDS, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterable[Metric]:
        """Return the histogram as of now."""
        totals = accumulate(self._counts)
        buckets = list(zip(_BOUNDS, totals, strict=True))
        return [HistogramMetricFamily(self._name, self._text, buckets=buckets, sum_value=self._sum)]
