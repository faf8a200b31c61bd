"""The load: kept connections that send prepared requests, closed loop or at a constant rate; a process of its own.

    python -m tests.benchmarks.edge.senders PORT TENANT SIZE CONNECTIONS SECONDS RATE

RATE 0 is closed loop: each connection sends as soon as it is answered. Otherwise latency counts from the time at which
a request was due. Prints one JSON document.
"""

import asyncio
import sys
import time
from collections import deque
from typing import cast

import orjson
import uvloop

from tests.benchmarks.load import percentile
from tests.integration.ingress.measure import DISTINCT, load, requests

TICK_S = 0.0005
LIMIT_S = 30.0


class Line(asyncio.Protocol):
    """One connection: idle, or waiting for the answer of what was due at `due`."""

    def __init__(self, open_loop: "OpenLoop") -> None:
        self.loop = open_loop
        self.due = 0.0
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.WriteTransport", transport)
        self.loop.idle.append(self)

    def data_received(self, data: bytes) -> None:
        self.loop.answered(self, data)


class OpenLoop:
    """A constant rate over idle connections; what is due waits while none is idle."""

    def __init__(self, made: list[bytes], rate: float) -> None:
        self.made, self.rate = made, rate
        self.idle = deque[Line]()
        self.waiting = deque[float]()
        self.latencies: list[float] = []
        self.bad = self.sent = 0

    def answered(self, line: Line, data: bytes) -> None:
        self.latencies.append(time.perf_counter() - line.due)
        self.bad += not data.startswith(b"HTTP/1.1 200")
        self.idle.append(line)
        self.send()

    def send(self) -> None:
        while self.waiting and self.idle:
            line = self.idle.popleft()
            assert line.transport is not None
            line.due = self.waiting.popleft()
            line.transport.write(self.made[self.sent % DISTINCT])
            self.sent += 1

    async def run(self, port: int, connections: int, seconds: float) -> tuple[list[float], int]:
        """Send for some seconds; return the latencies and how many answers were no 200."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            await loop.create_connection(lambda: Line(self), "127.0.0.1", port)
        began, due = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < seconds:
            while due < passed * self.rate:
                self.waiting.append(began + due / self.rate)
                due += 1
            self.send()
            await asyncio.sleep(TICK_S)
        while len(self.latencies) < due:
            if time.perf_counter() - began > seconds + LIMIT_S:
                raise TimeoutError(f"{len(self.latencies)} of {due} answered, {self.sent} sent, {len(self.idle)} idle")
            await asyncio.sleep(TICK_S)
        return self.latencies, self.bad


def main() -> None:
    """Send and print."""
    port, tenant, size, connections = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    seconds, rate = float(sys.argv[5]), float(sys.argv[6])
    made = requests(tenant, size)
    if rate:
        latencies, bad = uvloop.run(OpenLoop(made, rate).run(port, connections, seconds))
    else:
        latencies, bad = uvloop.run(load(port, made, connections, seconds))
    said = {
        "count": len(latencies),
        "bad": bad,
        "p50": percentile(latencies, 0.5) * 1e3,
        "p99": percentile(latencies, 0.99) * 1e3,
    }
    sys.stdout.buffer.write(orjson.dumps(said))


if __name__ == "__main__":
    main()
