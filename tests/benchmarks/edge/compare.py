"""`make bench-edge`: our ingress beside aiohttp's low-level floor and a Go edge on franz-go, in one run.

    python -m tests.benchmarks.edge.compare [--rounds 3] [--seconds 4] [--sizes 400,2000,24000] [--workers 1]

Signed GitHub deliveries, acks=all, the same linger, one broker, everything on this machine. The broker is warmed up
first: a young JVM compiles on the cores that are measured. Of every size and round each server is started anew and
measured in turn, another one first each round: requests/s and CPU a request in closed loop over 64 connections, p50 and
p99 in open loop at a constant rate. Medians of the rounds. Prints figures, judges nothing.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from deploy.local.kafka import Broker, ensure_runtime
from deploy.local.kafka.config import load_or_create
from tests.benchmarks.bench import NOISY_LOAD, where
from tests.benchmarks.edge import servers
from tests.benchmarks.edge.servers import Serving

CONNECTIONS = 64
WARM_S = 1.0
BROKER_WARM_S = 10.0
Start = Callable[[str, int], AbstractContextManager[Serving]]


@dataclass(frozen=True, slots=True)
class Row:
    """One server at one size in one round: per second, microseconds, milliseconds; `bad`: answers that were no 200."""

    rate: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    open_p50_ms: float
    open_p99_ms: float
    bad: float
    load: float


def measured(start: Start, bootstrap: str, asked: argparse.Namespace, size: int) -> Row:
    """Start a server, warm it up, measure it and end it."""
    with start(bootstrap, asked.workers) as server:
        sent = partial(_sent, server.port, size)
        sent(WARM_S, 0.0)
        load, before = os.getloadavg()[0], server.cpu_s()
        closed = sent(asked.seconds, 0.0)
        spent = server.cpu_s() - before
        opened = sent(asked.seconds, asked.rate)
    return Row(
        closed["count"] / asked.seconds,
        spent / closed["count"] * 1e6,
        closed["p50"],
        closed["p99"],
        opened["p50"],
        opened["p99"],
        closed["bad"] + opened["bad"],
        load,
    )


def _sent(port: int, size: int, seconds: float, rate: float) -> dict[str, float]:
    given = (port, servers.TENANT, size, CONNECTIONS, seconds, rate)
    command = [sys.executable, "-m", "tests.benchmarks.edge.senders", *map(str, given)]
    done = subprocess.run(command, cwd=servers.ROOT, stdout=subprocess.PIPE, check=True, timeout=seconds + 90)
    found: dict[str, float] = orjson.loads(done.stdout)
    return found


def main() -> None:
    """Measure everything in turn and print."""
    parser = argparse.ArgumentParser(prog="bench-edge", description="Measure the ingress beside its peers.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--sizes", default="400,2000,24000", help="bytes of a body, comma-separated")
    parser.add_argument("--workers", type=int, default=1, help="processes of ours on one inherited socket")
    parser.add_argument("--rate", type=float, default=2000.0, help="requests a second of the open loop")
    asked = parser.parse_args()
    sizes = [int(size) for size in asked.sizes.split(",")]
    before = os.getloadavg()[0]
    rows: dict[tuple[int, str], list[Row]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="hookberg-bench-") as place, ExitStack() as ends:
        folder = Path(place)
        starts: dict[str, Start] = {"ours": partial(servers.ours, folder / "ours"), "floor": servers.floor}
        binary = servers.build_go(folder)
        if isinstance(binary, str):
            print(f"without the Go edge: {binary}")
        else:
            starts["go"] = partial(servers.go, binary, ())
            starts["go, headers"] = partial(servers.go, binary, ("headers",))
        broker = Broker(load_or_create(folder / "kafka"), ensure_runtime())
        broker.start()
        ends.callback(broker.kill)
        bootstrap = broker.config.bootstrap
        for size in sizes:
            with servers.floor(bootstrap, 1) as server:
                _sent(server.port, size, BROKER_WARM_S, 0.0)
        for number in range(asked.rounds):
            for size in sizes:
                for name in _rotated(list(starts), number):
                    rows[size, name].append(measured(starts[name], bootstrap, asked, size))
    report(rows, asked, before)


def _rotated(names: list[str], number: int) -> list[str]:
    at = number % len(names)
    return names[at:] + names[:at]


def report(rows: dict[tuple[int, str], list[Row]], asked: argparse.Namespace, before: float) -> None:
    """Print medians, then ours against each peer."""
    out = Console(width=140)
    open_loop = f"p50 / p99 ms at {asked.rate:,.0f}/s"
    table = Table("body", "server", "requests/s", "CPU us each", "p50 / p99 ms closed", open_loop, "not 200", "load")
    middle = {key: Row(*map(statistics.median, zip(*map(astuple, each), strict=True))) for key, each in rows.items()}
    for (size, server), row in sorted(middle.items()):
        closed, opened = f"{row.p50_ms:.1f} / {row.p99_ms:.1f}", f"{row.open_p50_ms:.1f} / {row.open_p99_ms:.1f}"
        cells = (f"{row.rate:,.0f}", f"{row.cpu_us:.1f}", closed, opened, f"{row.bad:.0f}", f"{row.load:.1f}")
        table.add_row(f"{size / 1000:g} KB", server, *cells)
    out.print(table)
    for (size, server), row in middle.items():
        if server != "ours":
            ours = middle[size, "ours"]
            ratios = f"CPU {ours.cpu_us / row.cpu_us:.2f}x, requests/s {ours.rate / row.rate:.2f}x"
            out.print(f"{size / 1000:g} KB, ours to {server}: {ratios}")
    noisy = " (noisy: other work was running)" if max(row.load for row in middle.values()) > NOISY_LOAD else ""
    out.print(f"medians of {asked.rounds} rounds in turn, {CONNECTIONS} connections, {asked.workers} worker(s){noisy}")
    where(out, before)


if __name__ == "__main__":
    main()
