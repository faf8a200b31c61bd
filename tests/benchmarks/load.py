"""Load: prepared requests sent as fast as answers come, or at a constant rate, over kept-alive connections.

A plain HTTP/1.1 client on asyncio streams (RFC 9112): the client shares the machine with what it measures, so it must
cost as little as it can. Its own CPU time is reported beside every figure.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """One prepared request: a name to find it again, and its bytes on the wire."""

    name: str
    wire: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of a load: when each request was answered (2xx, by the wall clock), how long it took in all.

    `again`: requests that were sent once more.
    """

    answered_at: dict[str, float]
    latency_s: list[float]
    seconds: float
    client_cpu_s: float
    again: int = 0


def prepare(base: str, path: str, name: str, body: bytes, headers: dict[str, str]) -> Request:
    """Build a POST request's bytes."""
    head = {"Host": urlsplit(base).netloc, "Content-Length": str(len(body)), **headers}
    lines = "".join(f"{key}: {value}\r\n" for key, value in head.items())
    return Request(name, f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body)


async def send(
    base: str, requests: Sequence[Request], connections: int, rate_per_s: float | None = None, *, patient: bool = False
) -> Sent:
    """Send every request over `connections`, at `rate_per_s` when given; AssertionError on an answer but 2xx.

    `patient`: as vendors do, send again what was answered 503, or not at all because the connection ended (the broker
    was slow; dedupe takes care of the rest).
    """
    queue = iter(requests)
    answered: dict[str, float] = {}
    latency: list[float] = []
    began, cpu, taken, again = time.monotonic(), time.process_time(), 0, 0

    async def run() -> None:
        nonlocal taken, again
        to = urlsplit(base)
        reader, writer = await asyncio.open_connection(to.hostname, to.port)

        async def asked(request: Request) -> int:
            nonlocal reader, writer
            writer.write(request.wire)
            try:
                return await _answer(reader)
            except (asyncio.IncompleteReadError, ConnectionError):
                if not patient:
                    raise
                reader, writer = await asyncio.open_connection(to.hostname, to.port)
                return 503

        for request in queue:
            taken += 1
            if rate_per_s is not None:
                await asyncio.sleep(max(0.0, began + taken / rate_per_s - time.monotonic()))
            start = time.monotonic()
            while (status := await asked(request)) == 503 and patient:
                again += 1
            latency.append(time.monotonic() - start)
            answered[request.name] = time.time()
            assert 200 <= status < 300, f"{request.name}: {status}"
        writer.close()
        await writer.wait_closed()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(run())
    return Sent(answered, latency, time.monotonic() - began, time.process_time() - cpu, again)


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    lowered = head.lower()
    at = lowered.find(b"content-length:")
    if at >= 0:
        await reader.readexactly(int(lowered[at + 15 : lowered.index(b"\r", at)]))
    return int(head[9:12])


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
