"""Series are bounded, go with their objects, and cost nothing where something counts already."""

import pytest
from prometheus_client import generate_latest

from schemas.metrics import Metrics
from schemas.series import OTHER

ROWS, FRESHNESS, LAG = "hookberg_rows_total", "hookberg_freshness_seconds", "hookberg_stream_lag_records"
DELIVERIES = "hookberg_source_deliveries_total"


def page(metrics: Metrics) -> list[str]:
    return generate_latest(metrics.registry).decode().splitlines()


def test_past_the_bound_all_are_one_series_and_told() -> None:
    metrics = Metrics(most=3)
    for number in range(10):
        metrics.counter(ROWS).labels(f"s{number}").inc(number)
        metrics.histogram(FRESHNESS).labels(f"s{number}").observe(1.0)
    lines = page(metrics)
    assert [line for line in lines if line.startswith(ROWS + "{")] == [
        'hookberg_rows_total{stream="s0"} 0.0',
        'hookberg_rows_total{stream="s1"} 1.0',
        'hookberg_rows_total{stream="s2"} 2.0',
        f'hookberg_rows_total{{stream="{OTHER}"}} {float(sum(range(3, 10)))}',
    ]
    assert f'hookberg_freshness_seconds_count{{stream="{OTHER}"}} 7.0' in lines
    assert len([line for line in lines if line.startswith(FRESHNESS + "_count")]) == 4
    assert 'hookberg_folded_values{label="stream"} 7.0' in lines
    assert 'hookberg_folded_values{label="source"} 0.0' in lines


def test_the_series_of_a_deleted_object_go_and_make_room() -> None:
    metrics, live = Metrics(most=2), {"a", "b", "c"}
    metrics.follow("stream", lambda: live)
    for name in "abc":
        metrics.gauge(LAG).labels(name).set(5)
    live.remove("a")
    lines = page(metrics)
    assert 'hookberg_stream_lag_records{stream="b"} 5.0' in lines
    assert not [line for line in lines if 'stream="a"' in line]
    metrics.gauge(LAG).labels("c").set(6)
    assert 'hookberg_stream_lag_records{stream="c"} 6.0' in page(metrics)
    live.clear()
    assert [line for line in page(metrics) if line.startswith(LAG + "{")] == [
        'hookberg_stream_lag_records{stream="other"} 5.0'
    ]


def test_what_is_read_at_a_scrape_is_bounded_too() -> None:
    metrics = Metrics(most=1)
    counts: dict[tuple[str, ...], float] = {(name, "accepted"): n for name, n in (("a", 5.0), ("b", 2.0), ("c", 3.0))}
    metrics.read(DELIVERIES, lambda: counts)
    metrics.read("hookberg_secret_used_timestamp_seconds", lambda: {("b", "s1"): 10.0, ("c", "s1"): 20.0})
    assert [line for line in page(metrics) if line.startswith(("hookberg_source", "hookberg_secret"))] == [
        'hookberg_source_deliveries_total{outcome="accepted",source="a"} 5.0',
        'hookberg_source_deliveries_total{outcome="accepted",source="other"} 5.0',
        'hookberg_secret_used_timestamp_seconds{secret="",source="other"} 20.0',
    ]


def test_what_is_read_and_gone_is_not_served() -> None:
    metrics, live = Metrics(), {"a"}
    counts: dict[tuple[str, ...], float] = {("a", "accepted"): 1.0}
    metrics.follow("source", lambda: live)
    metrics.read(DELIVERIES, lambda: {key: value for key, value in counts.items() if key[0] in live})
    assert any('source="a"' in line for line in page(metrics))
    live.clear()
    assert not any('source="a"' in line for line in page(metrics))


def test_only_declared_metrics_of_their_kind_are_served() -> None:
    metrics = Metrics()
    with pytest.raises(KeyError):
        metrics.counter("hookberg_nothing_total")
    with pytest.raises(TypeError, match="gauge"):
        metrics.counter("hookberg_stage_lag_records")
    with pytest.raises(TypeError, match="histogram"):
        metrics.read(FRESHNESS, dict)


def test_the_last_reader_of_a_metric_counts() -> None:
    metrics = Metrics()
    metrics.read(LAG, lambda: {("a",): 1.0})
    metrics.read(LAG, lambda: {("a",): 2.0})
    assert [line for line in page(metrics) if line.startswith(LAG + "{")] == [f'{LAG}{{stream="a"}} 2.0']
