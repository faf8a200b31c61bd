"""What a Kafka client says of itself, as metrics: a handful out of librdkafka's statistics.

Lives here: the settings that make a client tell, and what is taken of it. Not here: the metrics (schemas/metrics.py).
The client calls back where it is polled, every `EVERY_S` seconds, with a text that grows with its topics; only the
members below are made of it. https://github.com/confluentinc/librdkafka/blob/master/STATISTICS.md
"""

from collections.abc import Callable
from typing import Any

import msgspec

from schemas.logs import logger
from schemas.metrics import Metrics

EVERY_S = 30
_GONE_S = 3 * EVERY_S
_US = 1_000_000
_UP = frozenset({"UP", "UPDATE"})
_NO_BROKER = -1
_log = logger(__name__)


class _Window(msgspec.Struct):
    avg: int = 0


class _Broker(msgspec.Struct):
    nodeid: int = _NO_BROKER
    state: str = ""
    outbuf_cnt: int = 0
    waitresp_cnt: int = 0
    txerrs: int = 0
    rxerrs: int = 0
    req_timeouts: int = 0
    rtt: _Window = msgspec.field(default_factory=_Window)


class _Group(msgspec.Struct):
    rebalance_cnt: int = 0


class _Said(msgspec.Struct):
    name: str
    time: int
    msg_cnt: int = 0
    msg_size: int = 0
    tx_bytes: int = 0
    rx_bytes: int = 0
    brokers: dict[str, _Broker] = {}
    cgrp: _Group | None = None

    def totals(self) -> dict[tuple[str, ...], int]:
        """Return what only grows, by metric and further label."""
        brokers = self.brokers.values()
        return {
            ("bytes", "sent"): self.tx_bytes,
            ("bytes", "received"): self.rx_bytes,
            ("errors", "tx"): sum(one.txerrs for one in brokers),
            ("errors", "rx"): sum(one.rxerrs for one in brokers),
            ("errors", "timeout"): sum(one.req_timeouts for one in brokers),
            ("rebalances",): 0 if self.cgrp is None else self.cgrp.rebalance_cnt,
        }

    def real(self) -> list[_Broker]:
        """Return the brokers of the cluster, without bootstrap addresses and the client's own pseudo brokers."""
        return [one for one in self.brokers.values() if one.nodeid != _NO_BROKER]


_decoder = msgspec.json.Decoder(_Said)


def told(metrics: Metrics, client: str, every_s: int = EVERY_S) -> dict[str, Any]:
    """Return the settings by which clients tell what they do as `client`; several of one name are one sum."""
    return {"statistics.interval.ms": every_s * 1000, "stats_cb": Client(metrics, client)}


class Client:
    """The callback of all clients of one name; from whichever thread polls them."""

    def __init__(self, metrics: Metrics, client: str) -> None:
        self._client = client
        self._latest: dict[str, _Said] = {}
        gauge = metrics.gauge
        self._gauges: list[tuple[Any, Callable[[list[_Said]], float]]] = [
            (gauge("hookberg_kafka_queue_records").labels(client), _queued),
            (gauge("hookberg_kafka_queue_bytes").labels(client), _queued_bytes),
            (gauge("hookberg_kafka_waiting_requests").labels(client), _waiting),
            (gauge("hookberg_kafka_rtt_seconds").labels(client), _slowest),
            (gauge("hookberg_kafka_brokers").labels(client, "up"), _up),
            (gauge("hookberg_kafka_brokers").labels(client, "down"), _down),
        ]
        self._counters = {
            "bytes": metrics.counter("hookberg_kafka_bytes_total"),
            "errors": metrics.counter("hookberg_kafka_errors_total"),
            "rebalances": metrics.counter("hookberg_kafka_rebalances_total"),
        }

    def __call__(self, text: str) -> None:
        """Take one client's statistics; what cannot be read is logged: a callback must not raise."""
        try:
            said = _decoder.decode(text)
        except (msgspec.DecodeError, ValueError) as error:
            _log.warning("kafka_statistics_not_read", client=self._client, error=str(error))
            return
        before = self._latest.get(said.name)
        old = {} if before is None else before.totals()
        for (metric, *label), total in said.totals().items():
            grown = total - old.get((metric, *label), 0)
            self._counters[metric].labels(self._client, *label).inc(max(0, grown))
        self._latest[said.name] = said
        for name in [name for name, one in self._latest.items() if one.time < said.time - _GONE_S]:
            del self._latest[name]
        alive = list(self._latest.values())
        for gauge, figure in self._gauges:
            gauge.set(figure(alive))


def _queued(alive: list[_Said]) -> float:
    return sum(one.msg_cnt for one in alive)


def _queued_bytes(alive: list[_Said]) -> float:
    return sum(one.msg_size for one in alive)


def _waiting(alive: list[_Said]) -> float:
    return sum(broker.outbuf_cnt + broker.waitresp_cnt for one in alive for broker in one.real())


def _slowest(alive: list[_Said]) -> float:
    return max((broker.rtt.avg for one in alive for broker in one.real()), default=0) / _US


def _up(alive: list[_Said]) -> float:
    return max((sum(broker.state in _UP for broker in one.real()) for one in alive), default=0)


def _down(alive: list[_Said]) -> float:
    return max((sum(broker.state == "DOWN" for broker in one.real()) for one in alive), default=0)
