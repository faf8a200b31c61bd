"""The comparison: rounds of ours and theirs in turn, medians, ratios, the load beside each.

Lives here: order of runs and what is printed. A figure that depends on the machine is printed, never asserted.
"""

import os
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from tests.benchmarks.measure import Figure
from tests.benchmarks.peers.used import Drain
from tests.benchmarks.peers.workloads import WORKLOADS
from tests.benchmarks.peers.world import COMMIT_S, World, world

ROUNDS = 3
ROWS = {"orders": 600_000, "charges": 100_000}
"""The study drained 3,000,000 and 400,000; the fewer rows, the more the start of either process weighs."""


def peers(bootstrap: str, folder: Path) -> list[Figure]:
    """Drain each workload by both sinks, in turn; environment: BENCH_ROUNDS, BENCH_ORDERS, BENCH_CHARGES (rows)."""
    rounds = int(os.environ.get("BENCH_ROUNDS", ROUNDS))
    rows = {name: int(os.environ.get(f"BENCH_{name.upper()}", count)) for name, count in ROWS.items()}
    with world(bootstrap, folder / "peers") as made:
        return [figure for name, count in rows.items() if count for figure in _workload(made, name, count, rounds)]


def _workload(made: World, name: str, count: int, rounds: int) -> list[Figure]:
    out, workload = Console(stderr=True, highlight=False), WORKLOADS[name]
    bare, clean = made.fill(workload, count)
    out.print(f"{name}: {count} rows, {bare / count:.0f} bytes bare, {clean / count:.0f} as clean events")
    runs: dict[str, list[Drain]] = {"ours": [], "Connect": []}
    sinks: dict[str, Callable[[], Drain]] = {
        "ours": lambda: made.ours(workload, count),
        "Connect": lambda: made.theirs(workload, count),
    }
    for n in range(rounds):
        for sink, run in sinks.items():
            load = os.getloadavg()[0]
            one = run()
            runs[sink].append(one)
            warm = one.warm_per_million
            out.print(
                f"  round {n + 1} {sink:8}{one.cpu_per_million:7.1f} CPU s per M rows"
                f" ({'-' if warm is None else f'{warm:.1f}'} warm), {one.seconds:5.1f} s, {one.commits} commits,"
                f" {one.use.peak_mib:5.0f} MiB peak, load {load:.1f}"
            )
    how = f"{count} rows, median of {rounds} in turn, commits every {COMMIT_S} s; load {os.getloadavg()[0]:.1f} after"
    return [
        _figure(f"{name}: CPU s per M rows", runs, lambda one: one.cpu_per_million, f"start included; {how}"),
        _figure(f"{name}: the same, warm", runs, lambda one: one.warm_per_million, "first to last commit"),
        _figure(f"{name}: peak MiB", runs, lambda one: one.use.peak_mib, "VmHWM"),
        _figure(f"{name}: s to last commit", runs, lambda one: one.seconds, "from process start; quantized by commits"),
    ]


def _figure(name: str, runs: Mapping[str, list[Drain]], of: Callable[[Drain], float | None], how: str) -> Figure:
    medians = []
    for drains in runs.values():
        found = [value for value in map(of, drains) if value is not None]
        medians.append(statistics.median(found) if found else None)
    ours, theirs = medians
    if ours is None or theirs is None:
        return Figure(name, "-", f"{how}; too few commits")
    return Figure(name, f"{ours:.1f} / {theirs:.1f} = {ours / theirs:.2f}", how)
