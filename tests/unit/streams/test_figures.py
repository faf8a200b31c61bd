"""What a worker group tells Prometheus."""

from pathlib import Path

from schemas.metrics import Metrics
from streams.engine.store import FIGURES, RocksStore
from streams.figures import Figures


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"hookberg_{name}", labels)


def test_a_real_rocksdb_is_told(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "seen")
    try:
        store.write([(b"%d" % number, b"x" * 100) for number in range(1000)])
        told = store.figures()
    finally:
        store.close()
    assert set(told) == set(FIGURES)
    metrics = Metrics()
    Figures(metrics, "0").store(told)
    assert value(metrics, "rocksdb_keys", group="0") == 1000
    assert (value(metrics, "rocksdb_bytes", group="0", part="memtables") or 0) > 100_000
    assert value(metrics, "rocksdb_stalled", group="0") == 0


def test_nothing_is_told_of_a_store_that_says_nothing() -> None:
    metrics = Metrics()
    Figures(metrics, "0").store({})
    assert value(metrics, "rocksdb_bytes", group="0", part="tables") is None


def test_items_reasons_and_rebalances_are_counted() -> None:
    metrics = Metrics()
    figures = Figures(metrics, "0")
    for rebalances in (1, 1, 3):
        figures.count({"clean": 5, "quarantined": 2})
        figures.reasons({"schema_violation": 2})
        figures.reading(7, rebalances)
    assert value(metrics, "items_total", outcome="clean") == 15
    assert value(metrics, "quarantined_total", reason="schema_violation") == 6
    assert value(metrics, "kafka_rebalances_total", client="stage") == 3
    assert value(metrics, "stage_lag_records", group="0") == 7
