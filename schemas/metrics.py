"""The closed list of metrics: name, kind, unit, labels and meaning; an undeclared one is an error.

Lives here: the declarations and the registry that serves them. The reference table in the README is generated from it.
Labels: reasons and outcomes are closed lists; `stream` and `group` have as many values as the registry has of them.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_BOUNDS = (*(str(float(bound)) for bound in _SECONDS), "+Inf")


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the list; `unit` is part of the name where there is one (Prometheus naming)."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


LIST = (
    Metric("hookberg_deliveries_total", "counter", "Requests answered on ingest paths", ("outcome", "reason")),
    Metric("hookberg_delivery_seconds", "histogram", "First byte read to answer, accepted deliveries"),
    Metric("hookberg_in_flight_requests", "gauge", "Deliveries being handled now"),
    Metric("hookberg_in_flight_bytes", "gauge", "Body bytes held now"),
    Metric("hookberg_rate_limited_total", "counter", "Calls and deliveries over a rate limit: key, source", ("limit",)),
    Metric("hookberg_key_set_reads_total", "counter", "Key sets of token issuers read, or not", ("result",)),
    Metric("hookberg_items_total", "counter", "Items decided by the stage", ("outcome",)),
    Metric("hookberg_transactions_total", "counter", "Transactions committed by the stage", ("group",)),
    Metric("hookberg_transaction_seconds", "histogram", "Commit of one transaction", ("group",)),
    Metric("hookberg_stage_lag_records", "gauge", "Raw records not yet decided", ("group",)),
    Metric("hookberg_rows_total", "counter", "Rows committed to tables", ("stream",)),
    Metric("hookberg_commits_total", "counter", "Table commits", ("stream", "result")),
    Metric("hookberg_commit_seconds", "histogram", "One table commit"),
    Metric("hookberg_freshness_seconds", "histogram", "Delivery received to its row committed"),
    Metric(
        "hookberg_table_advanced_total",
        "counter",
        "Records of table advanced: sent, failed (and sent later)",
        ("result",),
    ),
    Metric("hookberg_streams", "gauge", "Streams of this process by state", ("state",)),
    Metric("hookberg_registry_age_seconds", "gauge", "Since the registry was last read"),
)
_BY_NAME = {metric.name: metric for metric in LIST}


class Timings(Collector):
    """A histogram without labels, for one thread and a hot path: prometheus_client's own takes a lock for each value.

    `observe` counts; what a scrape shows is made at the scrape.
    """

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text
        self._counts = [0] * (len(_SECONDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(_SECONDS, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterable[prometheus_client.Metric]:
        """Return the histogram as of now."""
        totals = accumulate(self._counts)
        buckets = list(zip(_BOUNDS, totals, strict=True))
        return [HistogramMetricFamily(self._name, self._text, buckets=buckets, sum_value=self._sum)]


class Metrics:
    """One process' metrics: `counter(name)`, `gauge(name)`, `histogram(name)` of the list above.

    A KeyError means that the name is not declared, a TypeError that it is of another kind.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._made: dict[str, Counter | Gauge | Histogram] = {}

    def counter(self, name: str) -> Counter:
        """Return the declared counter."""
        made = self._make(name)
        if not isinstance(made, Counter):
            raise TypeError(f"{name} is declared as a {_BY_NAME[name].kind}")
        return made

    def gauge(self, name: str) -> Gauge:
        """Return the declared gauge."""
        made = self._make(name)
        if not isinstance(made, Gauge):
            raise TypeError(f"{name} is declared as a {_BY_NAME[name].kind}")
        return made

    def histogram(self, name: str) -> Histogram:
        """Return the declared histogram (seconds)."""
        made = self._make(name)
        if not isinstance(made, Histogram):
            raise TypeError(f"{name} is declared as a {_BY_NAME[name].kind}")
        return made

    def timings(self, name: str) -> Timings:
        """Return the declared histogram (seconds) as one for a hot path; ask for it once."""
        metric = _BY_NAME[name]
        if metric.kind != "histogram" or metric.labels:
            raise TypeError(f"{name} is declared as a {metric.kind} with labels {metric.labels}")
        made = Timings(name, metric.help)
        self.registry.register(made)
        return made

    def _make(self, name: str) -> Counter | Gauge | Histogram:
        if name not in self._made:
            metric = _BY_NAME[name]
            if metric.kind == "counter":
                self._made[name] = Counter(name, metric.help, metric.labels, registry=self.registry)
            elif metric.kind == "gauge":
                self._made[name] = Gauge(name, metric.help, metric.labels, registry=self.registry)
            else:
                self._made[name] = Histogram(name, metric.help, metric.labels, registry=self.registry, buckets=_SECONDS)
        return self._made[name]
