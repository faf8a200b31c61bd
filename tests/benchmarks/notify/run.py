"""The rows: deliveries a second and their CPU, healthy endpoints beside hanging ones, memory of a backlog, the floor.

    python -m tests.benchmarks.notify.run [--postgres] [rate hanging memory]

Prints tables and judges nothing but what must hold: everything that was posted came.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from tests.benchmarks.bench import where
from tests.benchmarks.load import percentile
from tests.benchmarks.notify.ground import ROOT, Notify, World, notifying, receiving
from tests.house import stack
from tests.house.polling import wait_until

CELLS = ((1, 1), (1, 20), (1, 200), (10, 1), (10, 20), (10, 200))
"""Batch size and endpoints."""
DELIVERIES = {1: 2_000, 10: 600}
"""By batch size."""
HEALTHY, HANGING, RATE, SECONDS = 180, 20, 100.0, 8.0
PENDING = (0, 10_000, 100_000)
WAIT_S = 60.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench-notify")
    parser.add_argument("only", nargs="*", help="rate, hanging, memory (default: all)")
    parser.add_argument("--postgres", action="store_true", help="a throw-away PostgreSQL in place of SQLite")
    given = parser.parse_args()
    wanted = given.only or ["rate", "hanging", "memory"]
    out, before, began = Console(width=140), os.getloadavg()[0], time.monotonic()
    with ExitStack() as kept:
        folder = Path(kept.enter_context(tempfile.TemporaryDirectory(prefix="hookberg-notify-")))
        server = kept.enter_context(stack.postgres()) if given.postgres else None
        port = kept.enter_context(receiving())

        def world(name: str) -> World:
            return World(server.fresh_database() if server else f"sqlite:///{folder}/{name}.db", port)

        if "rate" in wanted:
            _rates(world, folder, out)
        if "hanging" in wanted:
            _hanging(world("hanging"), folder, out)
        if "memory" in wanted:
            _memory(world, folder, out)
    out.print(f"database {'PostgreSQL' if given.postgres else 'SQLite'}, {time.monotonic() - began:.0f} s")
    where(out, before)


def _rates(world: Callable[[str], World], folder: Path, out: Console) -> None:
    table = Table("batchSize", "endpoints", "deliveries/s", "events/s", "CPU us a delivery", "us an event", "floor/s",
                  "floor us", "CPU to floor")  # fmt: skip
    for batch, endpoints in CELLS:
        ground = world(f"rate-{batch}-{endpoints}")
        for number in range(endpoints):
            ground.webhook(f"w{number}", f"e{number}", batch=batch, entity=f"e{number}")
        with notifying(ground, folder / "notify.log") as process:
            _post(ground, endpoints * batch, endpoints)  # connections, caches, imports
            _first(ground)
            _settled(ground)
            used, began = process.reading(), time.time()
            events = DELIVERIES[batch] * batch
            _post(ground, events, endpoints)
            came, deliveries, size, last = 0, 0, 0, began
            until = time.monotonic() + WAIT_S
            while came < events and time.monotonic() < until:
                time.sleep(0.05)
                told = ground.told()
                came, deliveries, size = came + told["events"], deliveries + told["deliveries"], size + told["bytes"]
                last = told["last"] or last
            assert came >= events, f"{came} of {events} events came"
            cpu, took = process.reading().cpu_s - used.cpu_s, last - began
        floor = _floor(ground.port, endpoints, size // deliveries)
        ground.told()
        us = cpu / deliveries * 1e6
        table.add_row(
            str(batch), str(endpoints), f"{deliveries / took:,.0f}", f"{came / took:,.0f}", f"{us:,.0f}",
            f"{cpu / came * 1e6:,.0f}", f"{floor['rate']:,.0f}", f"{floor['cpuUs']:,.0f}", f"{us / floor['cpuUs']:.1f}",
        )  # fmt: skip
        out.print(f"{batch} {endpoints}: {deliveries / took:,.0f}/s", style="dim")
    out.print(table)


def _hanging(ground: World, folder: Path, out: Console) -> None:
    for number in range(HEALTHY):
        ground.webhook(f"w{number}", f"e{number}", batch=1, entity=f"e{number}")
    for number in range(HANGING):
        ground.webhook(f"h{number}", f"hang{number}", batch=1, entity=f"h{number}")
    table = Table(
        "200 endpoints, 100 events/s", "events", "p50 ms", "p95 ms", "p99 ms", "hanging requests", "CPU cores"
    )
    with notifying(ground, folder / "notify.log") as process:
        for name, hang in (("180 healthy, 20 silent", False), ("180 healthy, 20 hang", True)):
            _settled(ground)
            before = process.reading()
            waits, hanging = _steady(ground, hang=hang)
            after = process.reading()
            told = [f"{percentile(waits, share):,.0f}" for share in (0.5, 0.95, 0.99)]
            cores = (after.cpu_s - before.cpu_s) / (after.at - before.at)
            table.add_row(name, f"{len(waits):,}", *told, f"{hanging:,}", f"{cores:.2f}")
    out.print(table)


def _steady(ground: World, *, hang: bool) -> tuple[list[float], int]:
    """Post at a constant rate; with `hang` each second an event for every hanging endpoint too."""
    step, posted, began = 0.05, 0, time.monotonic()
    ticks = int(SECONDS / step)
    for tick in range(ticks):
        count = int(RATE * step)
        entities = [f"e{(posted + number) % HEALTHY}" for number in range(count)]
        posted += count
        if hang and tick % int(1 / step) == 0:
            entities += [f"h{number}" for number in range(HANGING)]
        ground.post(entities)
        time.sleep(max(0.0, began + (tick + 1) * step - time.monotonic()))
    waits: list[float] = []
    hanging, until = 0, time.monotonic() + WAIT_S
    while len(waits) < posted and time.monotonic() < until:
        time.sleep(0.1)
        told = ground.told()
        waits += told["waits_ms"]
        hanging += told["hanging"]
    assert len(waits) >= posted, f"{len(waits)} of {posted} events came"
    return waits, hanging


def _memory(world: Callable[[str], World], folder: Path, out: Console) -> None:
    table = Table("pending deliveries", "resident MiB", "start to leading and counted, s")
    ground = world("memory")
    webhooks = [ground.webhook(f"w{number}", f"e{number}", batch=1, entity=f"e{number}") for number in range(200)]
    made = 0
    for pending in PENDING:
        ground.pending(webhooks, made, pending)
        made, began = pending, time.monotonic()
        with notifying(ground, folder / "notify.log") as process:
            _counted(process, pending)
            took = time.monotonic() - began
            table.add_row(f"{pending:,}", f"{process.reading().rss_mib:,.0f}", f"{took:.1f}")
    out.print(table)


def _post(ground: World, events: int, endpoints: int) -> None:
    ground.post([f"e{number % endpoints}" for number in range(events)])


def _first(ground: World) -> None:
    wait_until(lambda: ground.told()["events"] > 0, WAIT_S, every_s=0.1, what="the first events")


def _counted(process: Notify, pending: int) -> None:
    counted = lambda: process.figure("hookberg_notify_pending") == pending  # noqa: E731 asked again and again
    wait_until(counted, WAIT_S, every_s=0.05, what="the backlog to be counted")


def _settled(ground: World) -> None:
    """Wait until nothing has come for half a second; forget what came."""
    quiet = time.monotonic()
    while time.monotonic() - quiet < 0.5:
        time.sleep(0.1)
        if ground.told()["deliveries"]:
            quiet = time.monotonic()


def _floor(port: int, endpoints: int, size: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.notify.floor", *map(str, (port, endpoints, DELIVERIES[1], size))]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60)
    found: dict[str, float] = orjson.loads(said.stdout)
    return found


if __name__ == "__main__":
    main()
