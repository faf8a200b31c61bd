"""CPU a request of the fast door: one worker, signed 2 KB GitHub deliveries, closed loop, its own client process.

    python -m tests.integration.ingress.measure [--kafka HOST:PORT --tenant T] [--seconds 6] [--connections 64]

Without --kafka the publisher is a fake, so the figure is the door's own. With it, `{tenant}.webhook.github` must exist.
CPU is user + system of all threads of the worker, from the process accounting; the client's is not in it.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import uvloop

from ingress.app import serve
from ingress.producers import producer_config
from ingress.publish import DoorPublisher, KafkaPublisher
from ingress.workers import bind
from schemas.metrics import Metrics
from schemas.settings.processes import IngressSettings
from schemas.signing import SignedRequest, sign
from schemas.vendors.github import GITHUB
from tests.fakes.egress import NoEgress
from tests.fakes.publisher import MemoryPublisher
from tests.fakes.registry import FixedView, RecordingRegistrar, RecordingSink, snapshot, source

SECRET = b"s3cret"
DISTINCT = 512


class WallClock:
    """Implements schemas.ports.Clock with the real one: a measurement has to cost what it costs."""

    def time_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()


def requests(tenant: str, size: int) -> list[bytes]:
    """Make signed requests with the headers that GitHub sends, each with a delivery id of its own."""
    assert GITHUB.auth is not None
    text = json.dumps({"action": "opened", "number": 1, "repository": {"id": 1, "full_name": "o/r"}, "pad": ""})
    body = text.replace('"pad": ""', '"pad": "' + "x" * (size - len(text)) + '"').encode()
    made = []
    for number in range(DISTINCT):
        headers = {
            "Host": "127.0.0.1",
            "X-Tenant-Id": tenant,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "User-Agent": "GitHub-Hookshot/abc1234",
            "Accept": "*/*",
            "X-GitHub-Event": "pull_request",
            "X-GitHub-Delivery": f"72d3162e-cc78-11e3-{number:04x}-{time.time_ns() % 10**12:012d}",
            "X-GitHub-Hook-ID": "292430182",
            "X-GitHub-Hook-Installation-Target-ID": "79929171",
            "X-GitHub-Hook-Installation-Target-Type": "repository",
            **dict(sign(GITHUB.auth, SignedRequest("POST", "", (), body), [SECRET], 0)),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        made.append(f"POST /api/v1/webhooks/github HTTP/1.1\r\n{head}\r\n".encode() + body)
    return made


class Sender(asyncio.Protocol):
    """One connection that sends the next request as soon as it is answered."""

    def __init__(self, made: list[bytes], first: int, latencies: list[float]) -> None:
        self.made, self.at, self.latencies = made, first, latencies
        self.sent = 0.0
        self.bad = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.send()

    def send(self) -> None:
        assert self.transport is not None
        self.at += 1
        self.sent = time.perf_counter()
        self.transport.write(self.made[self.at % DISTINCT])

    def data_received(self, data: bytes) -> None:
        self.latencies.append(time.perf_counter() - self.sent)
        self.bad += not data.startswith(b"HTTP/1.1 200")
        self.send()


async def load(port: int, made: list[bytes], connections: int, seconds: float) -> tuple[list[float], int]:
    """Send for some seconds; return the latencies and how many answers were no 200."""
    loop, latencies, senders = asyncio.get_running_loop(), [0.0][:0], []
    for number in range(connections):
        transport, sender = await loop.create_connection(
            lambda number=number: Sender(made, number * 8, latencies),  # type: ignore[misc]
            "127.0.0.1",
            port,
        )
        senders.append((transport, sender))
    await asyncio.sleep(seconds)
    for transport, _ in senders:
        transport.abort()
    return latencies, sum(sender.bad for _, sender in senders)


async def work(arguments: argparse.Namespace, report: Connection) -> None:
    """Serve one worker until it is ended."""
    settings = IngressSettings(kafka_bootstrap_servers=arguments.kafka or "-", registry_url="sqlite://")
    publisher: DoorPublisher = MemoryPublisher(keep=False)
    if arguments.kafka:
        config = producer_config({"bootstrap.servers": arguments.kafka}, settings.body_limit_bytes)
        publisher = KafkaPublisher(config, ack_budget_s=settings.ack_budget_s, now_ns=time.time_ns)
    sock = bind("127.0.0.1", 0)
    report.send(sock.getsockname()[1])
    await serve(
        settings,
        view=FixedView(
            snapshot([source("github", tenant=arguments.tenant, secrets=[SECRET])], tenants=[arguments.tenant])
        ),
        publisher=publisher,
        registrar=RecordingRegistrar(),
        tallies=RecordingSink(),
        clock=WallClock(),
        metrics=Metrics(),
        egress=NoEgress(),
        sock=sock,
        receipt_key=b"k",
    )


def run_worker(arguments: argparse.Namespace, report: Connection) -> None:
    uvloop.run(work(arguments, report))


def cpu_s(pid: int) -> float:
    """Return user + system seconds of a process, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kafka", default="")
    parser.add_argument("--tenant", default="bench")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--size", type=int, default=2048)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    worker = context.Process(target=run_worker, args=(arguments, there), daemon=True)
    worker.start()
    port, pid = here.recv(), worker.pid or 0
    made = requests(arguments.tenant, arguments.size)
    uvloop.run(load(port, made, arguments.connections, 1.5))
    before = cpu_s(pid)
    latencies, bad = uvloop.run(load(port, made, arguments.connections, arguments.seconds))
    spent = cpu_s(pid) - before
    latencies.sort()
    count = len(latencies)
    print(
        f"{'kafka' if arguments.kafka else 'fake'}: {count} requests, {bad} not 200, "
        f"{spent / count * 1e6:.1f} us CPU each, {count / arguments.seconds:,.0f}/s, "
        f"p50 {latencies[count // 2] * 1e3:.1f} ms, p99 {latencies[count * 99 // 100] * 1e3:.1f} ms, "
        f"load average {os.getloadavg()[0]:.1f}"
    )
    worker.terminate()
    worker.join(10)


if __name__ == "__main__":
    main()
