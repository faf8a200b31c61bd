"""A whole edge over fakes: an Env, and arrivals made by hand."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from ingress import headers as heads
from ingress.admission import Admission
from ingress.arrival import Arrival, Reply
from ingress.env import Env, Limits
from ingress.explain import explain
from ingress.jwks import KeySets, KeyTimes
from ingress.overload.watch import Watch
from ingress.receive import receive
from ingress.refusals import Refusals
from ingress.tally import Tally
from schemas.definitions.view import Snapshot
from schemas.metrics import Metrics
from tests.fakes.clock import ManualClock
from tests.fakes.egress import ScriptedEgress
from tests.fakes.publisher import MemoryPublisher
from tests.fakes.registry import FixedView, RecordingRegistrar, RecordingSink

RECEIPT_KEY = b"receipt key of the tests"


class MemoryBody:
    """Implements ingress.arrival.BodyStream: all here at once, or in chunks."""

    def __init__(self, body: bytes, chunks: tuple[bytes, ...] | None = None) -> None:
        self._body = body
        self._chunks = list(chunks) if chunks is not None else None
        self.asked = False
        self.read = False

    def whole(self) -> bytes | None:
        self.read = True
        return self._body if self._chunks is None else None

    async def chunk(self) -> bytes:
        return self._chunks.pop(0) if self._chunks else b""

    def go_on(self) -> None:
        self.asked = True


def arrival(
    path: str,
    body: bytes = b"{}",
    headers: Mapping[str, str] | tuple[tuple[str, str], ...] = (),
    *,
    method: str = "POST",
    stream: MemoryBody | None = None,
    length: int | None = -1,
) -> Arrival:
    """Make an arrival; `path` with its query, `length` None for a chunked body."""
    pairs = tuple(headers.items()) if isinstance(headers, Mapping) else headers
    name, _, query = path.partition("?")
    size = len(body) if length == -1 else length
    read = heads.read([(each.encode("latin-1"), value.encode("latin-1")) for each, value in pairs])
    return Arrival(method, name, query, read, size, stream or MemoryBody(body))


@dataclass
class Edge:
    """One worker over fakes; `post` runs a request through `receive`."""

    now: Snapshot
    default_tenant: str | None = None
    limits: Limits = field(default_factory=lambda: Limits(1 << 20, 5.0, 64 << 10))
    admission: Admission = field(default_factory=lambda: Admission(12, 8 << 20, retry_after=lambda: 7))
    random_bytes: Callable[[int], bytes] = lambda count: bytes(range(count))

    def __post_init__(self) -> None:
        self.view = FixedView(self.now)
        self.publisher = MemoryPublisher()
        self.registrar = RecordingRegistrar()
        self.sink = RecordingSink()
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.tally = Tally(self.sink, "start-1", self.metrics, now_ms=lambda: self.clock.time_ns() // 1_000_000)
        told = partial(explain, public_url="https://hooks.example.com")
        self.refusals = Refusals(self.sink, self.clock, os.urandom, told)
        self.egress = ScriptedEgress()
        self.overload = Watch(self.view, self.clock, self.tally, jitter=lambda: 0.0)
        self.keys = KeySets(self.egress, self.clock, KeyTimes(cache_s=600, stale_s=86_400, retry_s=60), self.metrics)
        self.env = Env(
            view=self.view,
            publisher=self.publisher,
            registrar=self.registrar,
            tally=self.tally,
            refusals=self.refusals,
            admission=self.admission,
            clock=self.clock,
            limits=self.limits,
            default_tenant=self.default_tenant,
            public_url="https://hooks.example.com",
            random_bytes=self.random_bytes,
            keys=self.keys,
            overload=self.overload,
            receipt_key=RECEIPT_KEY,
        )

    async def post(
        self,
        path: str,
        body: bytes = b"{}",
        headers: Mapping[str, str] | tuple[tuple[str, str], ...] = (),
        *,
        method: str = "POST",
    ) -> Reply:
        return await receive(arrival(path, body, headers, method=method), self.env)
