"""`make bench`: freshness, throughput and the price of each stage, with machine, load and commit (see README.md).

Prints figures, judges nothing: no timed assertion belongs into a test run. A part is a line of `PARTS`.
"""

import argparse
import os
import platform
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.local.kafka import Broker, ensure_runtime
from deploy.local.kafka.config import load_or_create
from tests.benchmarks import measure, stage
from tests.benchmarks.backlog import backlog
from tests.benchmarks.ids import ids
from tests.benchmarks.live import live
from tests.benchmarks.many.parts import freshness20, streams200
from tests.benchmarks.measure import Figure
from tests.benchmarks.parsers import parsers
from tests.benchmarks.peers.compare import peers
from tests.benchmarks.restart import restart
from tests.benchmarks.tenant_end import tenant_end
from tests.benchmarks.typed import typed
from tests.house import stack
from tests.system.client import Server

NOISY_LOAD = 2.0
TOP = Path(__file__).resolve().parents[2]


class Ground:
    """What parts are measured on, each started when the first part asks for it, with what users get by default."""

    def __init__(self, folder: Path, stack_: ExitStack) -> None:
        self.folder, self._stack = folder, stack_

    @cached_property
    def server(self) -> Server:
        """Return a `hookberg up`."""
        defaults = {"HOOKBERG_LOCAL_KAFKA_JVM": ""}  # the broker as users get it, not the tests' small one
        running = self._stack.enter_context(stack.up_server(self.folder / "data", environ=defaults))
        return Server(running.url, running.ingest_url, running.data_dir)

    @cached_property
    def kafka(self) -> str:
        """Return the bootstrap servers of a broker of its own."""
        broker = Broker(load_or_create(self.folder / "kafka"), ensure_runtime())
        broker.start()
        self._stack.callback(broker.kill)
        return broker.config.bootstrap


def _on_kafka(part: Callable[[str, Path], list[Figure]], ground: Ground) -> list[Figure]:
    return part(ground.kafka, ground.folder)


def _on_server(part: Callable[[Server], list[Figure]], ground: Ground) -> list[Figure]:
    return part(ground.server)


PARTS: Mapping[str, Callable[[Ground], list[Figure]]] = {
    **{name: partial(_on_server, part) for name, part in measure.ALL.items()},
    **{name: partial(_on_kafka, part) for name, part in stage.PARTS.items()},
    "freshness1": partial(_on_server, lambda server: measure.freshness(server, 100.0, 30.0, asked_s=1)),
    "freshness20": partial(_on_server, freshness20),
    "streams200": partial(_on_server, streams200),
    "ids": partial(_on_kafka, ids),
    "restart": partial(_on_server, restart),
    "live": partial(_on_server, live),
    "backlog": partial(_on_server, backlog),
    "tenant-end": partial(_on_server, tenant_end),
    "parsers": lambda _ground: parsers(),
    "typed": lambda _ground: typed(),
    "peers": partial(_on_kafka, peers),
}


def main() -> None:
    """Measure the parts that are asked for, in the order of the table, and print."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure Hookberg on this machine.")
    parser.add_argument("only", nargs="*", metavar="|".join(PARTS), help="measure these only (default: all)")
    wanted = parser.parse_args().only or list(PARTS)
    if unknown := [name for name in wanted if name not in PARTS]:
        parser.error(f"unknown: {', '.join(unknown)}")
    before = os.getloadavg()[0]
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="hookberg-bench-") as folder, ExitStack() as ends:
        ground = Ground(Path(folder), ends)
        for name in wanted:
            figures += PARTS[name](ground)
    report(figures, before)


def report(figures: list[Figure], load_before: float) -> None:
    """Print the table and where it was measured."""
    out = Console()
    table = Table("figure", "value", "how")
    for figure in figures:
        table.add_row(figure.name, figure.value, figure.how)
    out.print(table)
    where(out, load_before)


def where(out: Console, load_before: float) -> None:
    """Print machine, load and commit."""
    noisy = " (noisy: other work was running)" if load_before > NOISY_LOAD else ""
    out.print(f"machine  {os.cpu_count()} cores, {_cpu()}, {platform.system()}, Python {platform.python_version()}")
    out.print(f"load     {load_before:.2f} before{noisy}, {os.getloadavg()[0]:.2f} after")
    out.print(f"commit   {_commit()}   {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=TOP, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown (no git)"
    return said.stdout.strip()


if __name__ == "__main__":
    main()
