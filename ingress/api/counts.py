"""The golden signals of the control plane: rate, errors and duration.

Lives here: counting requests (what is in flight the dispatcher knows). Not here: deliveries, which the data plane
counts itself (ingress/tally.py), and probes.
https://sre.google/sre-book/monitoring-distributed-systems/
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from ingress.request import INGEST
from schemas.metrics import Metrics
from schemas.ports import Clock

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})


@dataclass(slots=True)
class Told:
    """What became of one request; None: it ended by an exception."""

    response: web.StreamResponse | None = None


class Counts:
    """Counts the requests of one application; on its event loop."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._requests = metrics.counter("hookberg_api_requests_total")
        self._seconds = metrics.timings("hookberg_api_seconds")
        self._now = clock.monotonic

    @contextmanager
    def one(self, request: web.Request) -> Iterator[Told]:
        """Count a request; its response is told before the end."""
        told, started = Told(), self._now()
        try:
            yield told
        finally:
            if INGEST not in request and request.path not in _PROBES:
                method = request.method if request.method in METHODS else "other"
                status = "gone" if told.response is None else f"{told.response.status // 100}xx"
                self._requests.labels(method, status).inc()
                self._seconds.observe(self._now() - started)
