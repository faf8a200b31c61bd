"""What one worker group tells Prometheus: counted once a transaction, looked at once in a while.

Lives here: from what happens to the metrics. Not here: the metrics (schemas/metrics.py), when it happens (app.py).
"""

from collections.abc import Mapping

from schemas.metrics import Metrics


class Figures:
    """The metrics of one group."""

    def __init__(self, metrics: Metrics, group: str) -> None:
        self._group = group
        self._items = metrics.counter("hookberg_items_total")
        self._quarantined = metrics.counter("hookberg_quarantined_total")
        self._seconds = metrics.histogram("hookberg_transaction_seconds").labels(group)
        self._number = metrics.counter("hookberg_transactions_total").labels(group)
        self._lag = metrics.gauge("hookberg_stage_lag_records").labels(group)
        self._rebalances = metrics.counter("hookberg_kafka_rebalances_total").labels("stage")
        self._bytes = metrics.gauge("hookberg_rocksdb_bytes")
        self._keys = metrics.gauge("hookberg_rocksdb_keys").labels(group)
        self._compactions = metrics.gauge("hookberg_rocksdb_compactions").labels(group)
        self._stalled = metrics.gauge("hookberg_rocksdb_stalled").labels(group)
        self._seen = 0

    def count(self, outcomes: Mapping[str, int]) -> None:
        """Count items by outcome."""
        for outcome, n in outcomes.items():
            self._items.labels(outcome).inc(n)

    def reasons(self, reasons: Mapping[str, int]) -> None:
        """Count items that went to quarantine, by reason."""
        for reason, n in reasons.items():
            self._quarantined.labels(reason).inc(n)

    def committed(self, took_s: float) -> None:
        """Count a transaction that took so long to commit."""
        self._seconds.observe(took_s)
        self._number.inc()

    def reading(self, lag: int, rebalances: int) -> None:
        """Take note of what waits, and how many rebalances there were since the start."""
        self._lag.set(lag)
        self._rebalances.inc(max(0, rebalances - self._seen))
        self._seen = rebalances

    def store(self, told: Mapping[str, int]) -> None:
        """Take note of what the store says of itself (engine/store.py, `FIGURES`)."""
        if not told:
            return
        for part in ("tables", "memtables", "cache", "pending"):
            self._bytes.labels(self._group, part).set(told[part])
        self._keys.set(told["keys"])
        self._compactions.set(told["compactions"] + told["flushes"])
        self._stalled.set(bool(told["stopped"] or told["slowed"]))
