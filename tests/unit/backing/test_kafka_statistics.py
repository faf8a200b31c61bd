"""What Kafka clients say of themselves becomes metrics: sums of the living, counters that never fall."""

import json
from typing import Any

from schemas.backing.kafka.statistics import told
from schemas.metrics import Metrics


def said(name: str = "one", at: int = 100, **figures: Any) -> str:
    """Return what a client would say; `errors`, `rtt_us`, `state` are of its one broker."""
    broker = {
        "nodeid": 1,
        "state": figures.pop("state", "UP"),
        "outbuf_cnt": 2,
        "waitresp_cnt": 1,
        "txerrs": figures.pop("errors", 0),
        "rxerrs": 0,
        "req_timeouts": 0,
        "rtt": {"min": 1, "avg": figures.pop("rtt_us", 0), "max": 9},
    }
    seed = {"nodeid": -1, "state": "DOWN", "outbuf_cnt": 50, "rtt": {"avg": 9_000_000}}
    return json.dumps({"name": name, "time": at, "brokers": {"b:1": broker, "seed": seed}, "topics": {}, **figures})


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"hookberg_kafka_{name}", {"client": "publisher", **labels})


def test_the_clients_of_one_name_are_one_sum() -> None:
    metrics = Metrics()
    settings = told(metrics, "publisher", 15)
    assert settings["statistics.interval.ms"] == 15_000
    tell = settings["stats_cb"]
    tell(said("one", msg_cnt=3, msg_size=30, rtt_us=2_000_000))
    tell(said("two", msg_cnt=4, msg_size=40, rtt_us=500_000, state="DOWN"))
    assert value(metrics, "queue_records") == 7
    assert value(metrics, "queue_bytes") == 70
    assert value(metrics, "waiting_requests") == 6
    assert value(metrics, "rtt_seconds") == 2
    assert (value(metrics, "brokers", state="up"), value(metrics, "brokers", state="down")) == (1, 1)


def test_what_grows_is_counted_once_and_never_falls() -> None:
    metrics = Metrics()
    tell = told(metrics, "publisher")["stats_cb"]
    for total, errors in ((100, 0), (250, 2)):
        tell(said(tx_bytes=total, rx_bytes=7, errors=errors, cgrp={"rebalance_cnt": 1}))
    tell(said("two", tx_bytes=50))
    assert value(metrics, "bytes_total", direction="sent") == 300
    assert value(metrics, "bytes_total", direction="received") == 7
    assert value(metrics, "errors_total", kind="tx") == 2
    assert value(metrics, "rebalances_total") == 1


def test_a_client_that_has_ended_is_forgotten() -> None:
    metrics = Metrics()
    tell = told(metrics, "publisher")["stats_cb"]
    tell(said("one", at=100, msg_cnt=3))
    tell(said("two", at=10_000, msg_cnt=4))
    assert value(metrics, "queue_records") == 4


def test_what_cannot_be_read_ends_nobody() -> None:
    metrics = Metrics()
    tell = told(metrics, "publisher")["stats_cb"]
    for text in ("", "[]", '{"name": 1}'):
        tell(text)
    assert value(metrics, "queue_records") == 0
