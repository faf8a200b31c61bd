"""`make bench`: freshness and the throughput of each stage, with machine, load and commit (README.md has the table).

Prints figures, judges nothing: no timed assertion belongs into a test run.
"""

import argparse
import os
import platform
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.measure import ALL, Figure
from tests.house import stack
from tests.system.client import Server

NOISY_LOAD = 2.0
TOP = Path(__file__).resolve().parents[2]


def main() -> None:
    """Start a server with the defaults, measure, print."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure freshness and throughput on this machine.")
    parser.add_argument("only", nargs="*", metavar="|".join(ALL), help="measure these only (default: all)")
    wanted = parser.parse_args().only or list(ALL)
    if unknown := [name for name in wanted if name not in ALL]:
        parser.error(f"unknown: {', '.join(unknown)}")
    before = os.getloadavg()[0]
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="hookberg-bench-") as folder:
        defaults = {"HOOKBERG_LOCAL_KAFKA_JVM": ""}  # the broker as users get it, not the tests' small one
        with stack.up_server(Path(folder) / "data", environ=defaults) as running:
            server = Server(running.url, running.ingest_url, running.data_dir)
            for name in wanted:
                figures += ALL[name](server)
    report(figures, before)


def report(figures: list[Figure], load_before: float) -> None:
    """Print the table and where it was measured."""
    out = Console()
    table = Table("figure", "value", "how")
    for figure in figures:
        table.add_row(figure.name, figure.value, figure.how)
    out.print(table)
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
