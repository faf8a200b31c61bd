"""The closed list of metrics: name, kind, unit, labels and meaning; an undeclared one is an error.

Lives here: the declarations and the registry that serves them. The reference table in the README, the dashboard and the
alert rules (deploy/grafana) are made from it. How series are bounded: series.py.
Labels: reasons, outcomes and states are closed lists; `source` and `stream` are ids of the registry's objects, at most
`MOST_VALUES` a process; `group`, `client` and `folder` have as many values as the process has of them.
https://prometheus.io/docs/practices/instrumentation/
"""

import threading
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from schemas.series import (
    MOST_VALUES,
    SECONDS,
    Cap,
    CappedCounter,
    CappedGauge,
    CappedHistogram,
    Read,
    Reading,
    Timings,
    Values,
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the list; `unit` is part of the name where there is one (Prometheus naming)."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


BOUNDED = ("source", "stream")
"""Labels that name objects of the registry."""
_OF_OBJECTS = frozenset({"secret", "tenant", "name"})
"""Labels that say more of such an object."""
FOLDED = "hookberg_folded_values"

LIST = (
    # ---- the edge: ingress and api
    Metric("hookberg_deliveries_total", "counter", "Requests answered on ingest paths", ("outcome", "reason")),
    Metric("hookberg_source_deliveries_total", "counter", "The same by source", ("source", "outcome")),
    Metric("hookberg_received_bytes_total", "counter", "Bodies of accepted deliveries, as sent"),
    Metric("hookberg_delivery_seconds", "histogram", "First byte read to answer, accepted deliveries"),
    Metric("hookberg_in_flight_requests", "gauge", "Deliveries being handled now"),
    Metric("hookberg_in_flight_bytes", "gauge", "Body bytes held now"),
    Metric("hookberg_in_flight_limit", "gauge", "Most of them at a time: requests, bytes", ("of",)),
    Metric("hookberg_auth_failures_total", "counter", "Deliveries refused for their authentication", ("reason",)),
    Metric(
        "hookberg_secret_used_timestamp_seconds",
        "gauge",
        "When a secret or secret URL, by its id, last proved a delivery (or, of a URL, brought one)",
        ("source", "secret"),
    ),
    Metric("hookberg_delayed_answers", "gauge", "Answers of `queue` sources held back now"),
    Metric(
        "hookberg_strained_sources",
        "gauge",
        "Sources whose requests are delayed, refused or shed, by level: warn, alarm, bound",
        ("level",),
    ),
    Metric("hookberg_rate_limited_total", "counter", "Calls and deliveries over a rate limit: key, source", ("limit",)),
    Metric("hookberg_key_set_reads_total", "counter", "Key sets of token issuers read, or not", ("result",)),
    # ---- the control plane: api
    Metric("hookberg_api_requests_total", "counter", "Requests of the control plane answered", ("method", "status")),
    Metric("hookberg_api_seconds", "histogram", "Request to answer, control plane"),
    Metric("hookberg_api_in_flight_requests", "gauge", "Requests of the control plane being handled now"),
    Metric("hookberg_alerts_open", "gauge", "Open alerts of all tenants", ("kind",)),
    # ---- what waits of each source: streams (origin stage), sinks (origin tables)
    Metric(
        "hookberg_source_oldest_seconds", "gauge", "Age of the oldest event that is not done yet", ("source", "origin")
    ),
    Metric("hookberg_source_lag_records", "gauge", "Events of a source that wait", ("source", "origin")),
    Metric("hookberg_source_drained_per_second", "gauge", "Events of a source done a second", ("source", "origin")),
    # ---- the stage: streams
    Metric("hookberg_items_total", "counter", "Items decided by the stage", ("outcome",)),
    Metric("hookberg_quarantined_total", "counter", "Items that went to quarantine", ("reason",)),
    Metric("hookberg_transactions_total", "counter", "Transactions committed by the stage", ("group",)),
    Metric("hookberg_transaction_seconds", "histogram", "Commit of one transaction", ("group",)),
    Metric("hookberg_stage_lag_records", "gauge", "Raw records not yet decided", ("group",)),
    Metric(
        "hookberg_rocksdb_bytes",
        "gauge",
        "State of a group: tables on disk, memtables, block cache, waiting for compaction",
        ("group", "part"),
    ),
    Metric("hookberg_rocksdb_keys", "gauge", "Keys in the state of a group, estimated", ("group",)),
    Metric("hookberg_rocksdb_compactions", "gauge", "Compactions and flushes that run now", ("group",)),
    Metric("hookberg_rocksdb_stalled", "gauge", "1 while RocksDB holds writes up", ("group",)),
    # ---- the writers: sinks
    Metric("hookberg_rows_total", "counter", "Rows committed to tables", ("stream",)),
    Metric("hookberg_read_bytes_total", "counter", "Values read from topics", ("stream",)),
    Metric("hookberg_written_bytes_total", "counter", "Data and delete files committed to tables", ("stream",)),
    Metric("hookberg_commits_total", "counter", "Table commits", ("stream", "result")),
    Metric("hookberg_commit_seconds", "histogram", "One table commit"),
    Metric("hookberg_freshness_seconds", "histogram", "Delivery received to its row committed", ("stream",)),
    Metric("hookberg_stream_lag_records", "gauge", "Records read by no commit yet", ("stream",)),
    Metric("hookberg_stream_lag_seconds", "gauge", "Age of the newest record read, while records wait", ("stream",)),
    Metric(
        "hookberg_table_advanced_total",
        "counter",
        "Records of table advanced: sent, failed (and sent later)",
        ("result",),
    ),
    Metric("hookberg_streams", "gauge", "Streams of this process by state", ("state",)),
    # ---- outbound webhooks: notify
    Metric("hookberg_notify_leads", "gauge", "1: this process holds the lease and sends; 0: it stands by"),
    Metric("hookberg_notify_events_total", "counter", "Entity events taken in, by feed", ("feed",)),
    Metric("hookberg_notify_no_contact_total", "counter", "Receivers without a contact or endpoint", ("role",)),
    Metric(
        "hookberg_notify_lost_total", "counter", "Records that a topic no longer held when they were due", ("feed",)
    ),
    Metric("hookberg_notify_feed_lag", "gauge", "Positions of a feed that are not taken in yet", ("feed",)),
    Metric(
        "hookberg_notify_attempts_total",
        "counter",
        "Requests to receivers by answer: 2xx, 3xx, 4xx, 5xx, none",
        ("answer",),
    ),
    Metric("hookberg_notify_attempt_seconds", "histogram", "One request to a receiver, answered or not"),
    Metric(
        "hookberg_notify_deliveries_total",
        "counter",
        "What an attempt made of its delivery: delivered, retried, retryLimitReached, canceled",
        ("result",),
    ),
    Metric("hookberg_notify_in_flight_requests", "gauge", "Requests to receivers under way"),
    Metric("hookberg_notify_pending", "gauge", "Outbound deliveries that wait, for a retry too"),
    Metric("hookberg_notify_oldest_seconds", "gauge", "Age of the oldest of them"),
    Metric("hookberg_notify_open_circuits", "gauge", "Endpoints that failed so often that they are only probed"),
    # ---- Kafka clients: of every process that has them
    Metric("hookberg_kafka_queue_records", "gauge", "Records that wait in a producer", ("client",)),
    Metric("hookberg_kafka_queue_bytes", "gauge", "Bytes that wait in a producer", ("client",)),
    Metric("hookberg_kafka_waiting_requests", "gauge", "Requests to brokers not answered yet", ("client",)),
    Metric("hookberg_kafka_rtt_seconds", "gauge", "Round trip to the slowest broker, mean of an interval", ("client",)),
    Metric("hookberg_kafka_errors_total", "counter", "Failed requests: tx, rx, timeout", ("client", "kind")),
    Metric("hookberg_kafka_bytes_total", "counter", "Bytes sent and received", ("client", "direction")),
    Metric("hookberg_kafka_brokers", "gauge", "Brokers by state of the connection: up, down", ("client", "state")),
    Metric("hookberg_kafka_rebalances_total", "counter", "Rebalances that a group member saw", ("client",)),
    # ---- every process
    Metric("hookberg_info", "gauge", "1: which process this is, and its version", ("process", "version")),
    Metric("hookberg_check_failed", "gauge", "1: what keeps the process from being ready", ("check",)),
    Metric("hookberg_registry_age_seconds", "gauge", "Since the registry last answered"),
    Metric("hookberg_event_loop_lag_seconds", "histogram", "How late the event loop runs what is due"),
    Metric("hookberg_disk_free_bytes", "gauge", "Free on the disk of a folder", ("folder",)),
    Metric("hookberg_disk_bytes", "gauge", "Size of the disk of a folder", ("folder",)),
    Metric(FOLDED, "gauge", "Objects past the bound of a label, counted as `other`", ("label",)),
    Metric("hookberg_source_info", "gauge", "1: names of sources (health pages only)", ("source", "tenant", "name")),
    Metric("hookberg_stream_info", "gauge", "1: names of streams (health pages only)", ("stream", "tenant", "name")),
    Metric("process_resident_memory_bytes", "gauge", "Memory of the process"),
    Metric("process_virtual_memory_bytes", "gauge", "Address space of the process"),
    Metric("process_cpu_seconds_total", "counter", "Processor time of the process"),
    Metric("process_open_fds", "gauge", "Open files and connections"),
    Metric("process_max_fds", "gauge", "Most open files and connections"),
    Metric("process_start_time_seconds", "gauge", "When the process started"),
)
BY_NAME = {metric.name: metric for metric in LIST}


class Metrics:
    """One process' metrics: `counter(name)`, `gauge(name)`, `histogram(name)` of the list above.

    A KeyError means that the name is not declared, a TypeError that it is of another kind. `most` bounds the values of
    a label that names objects.
    """

    def __init__(self, most: int = MOST_VALUES) -> None:
        self.registry = CollectorRegistry()
        self._made: dict[str, Counter | Gauge | Histogram] = {}
        self._read: dict[str, Reading] = {}
        self._lock = threading.Lock()
        self._values = {label: Values(most) for label in BOUNDED}
        self.read(FOLDED, lambda: {(label,): values.folded for label, values in self._values.items()})

    def counter(self, name: str) -> Counter:
        """Return the declared counter."""
        made = self._make(name)
        if not isinstance(made, Counter):
            raise TypeError(f"{name} is declared as a {BY_NAME[name].kind}")
        return made

    def gauge(self, name: str) -> Gauge:
        """Return the declared gauge."""
        made = self._make(name)
        if not isinstance(made, Gauge):
            raise TypeError(f"{name} is declared as a {BY_NAME[name].kind}")
        return made

    def histogram(self, name: str) -> Histogram:
        """Return the declared histogram (seconds)."""
        made = self._make(name)
        if not isinstance(made, Histogram):
            raise TypeError(f"{name} is declared as a {BY_NAME[name].kind}")
        return made

    def timings(self, name: str) -> Timings:
        """Return the declared histogram (seconds) as one for a hot path; ask for it once."""
        metric = BY_NAME[name]
        if metric.kind != "histogram" or metric.labels:
            raise TypeError(f"{name} is declared as a {metric.kind} with labels {metric.labels}")
        made = Timings(name, metric.help)
        self.registry.register(made)
        return made

    def read(self, name: str, read: Read) -> None:
        """Have the declared counter or gauge read at each scrape; totals of a counter. The last reader counts."""
        metric = BY_NAME[name]
        if metric.kind == "histogram":
            raise TypeError(f"{name} is declared as a histogram")
        if name in self._read:
            self._read[name].read = read
            return
        made = self._read[name] = Reading(name, metric.help, metric.labels, metric.kind, read, self._cap(metric))
        self.registry.register(made)

    def follow(self, label: str, live: Callable[[], Container[str]]) -> None:
        """Let series of a bounded label go with their objects; `live()` returns the ids that exist."""
        self._values[label].follow(live)

    def watch_process(self) -> None:
        """Serve what the kernel says of this process; once."""
        ProcessCollector(registry=self.registry)

    def _make(self, name: str) -> Counter | Gauge | Histogram:
        if name not in self._made:
            metric = BY_NAME[name]
            with self._lock:  # tables commit in threads of their own
                if name not in self._made:
                    cap = self._cap(metric)
                    self._made[name] = self._plain(metric) if cap is None else self._capped(metric, cap)
        return self._made[name]

    def _plain(self, metric: Metric) -> Counter | Gauge | Histogram:
        if metric.kind == "counter":
            return Counter(metric.name, metric.help, metric.labels, registry=self.registry)
        if metric.kind == "gauge":
            return Gauge(metric.name, metric.help, metric.labels, registry=self.registry)
        return Histogram(metric.name, metric.help, metric.labels, registry=self.registry, buckets=SECONDS)

    def _capped(self, metric: Metric, cap: Cap) -> Counter | Gauge | Histogram:
        made: CappedCounter | CappedGauge | CappedHistogram
        if metric.kind == "counter":
            made = CappedCounter(metric.name, metric.help, metric.labels, registry=None)
        elif metric.kind == "gauge":
            made = CappedGauge(metric.name, metric.help, metric.labels, registry=None)
        else:
            made = CappedHistogram(metric.name, metric.help, metric.labels, registry=None, buckets=SECONDS)
        made.cap = cap
        self.registry.register(made)
        return made

    def _cap(self, metric: Metric) -> Cap | None:
        """Return the bound of a metric; None = all its labels are closed lists."""
        at = next((at for at, label in enumerate(metric.labels) if label in BOUNDED), None)
        if at is None:
            return None
        own = frozenset(place for place, label in enumerate(metric.labels) if label in _OF_OBJECTS)
        return Cap(self._values[metric.labels[at]], at, own)
