"""What processes hold and use, from /proc: threads, sockets, memory, CPU by thread name.

Lives here: readings of proc(5) (stat, status, task, fd). Costs the watched one nothing.
"""

import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.peers.used import TICK, use


@dataclass(frozen=True, slots=True)
class Reading:
    """One process at one time: CPU seconds so far, by group of threads too; resident MiB, threads, sockets."""

    at: float
    cpu_s: float
    by_name: Mapping[str, float]
    rss_mib: float
    threads: int
    sockets: int


def read(pid: int) -> Reading:
    """Read a process."""
    base = Path(f"/proc/{pid}")
    by_name: Counter[str] = Counter()
    for task in (base / "task").iterdir():
        try:
            stat = (task / "stat").read_text()
        except OSError:  # a thread that has just ended
            continue
        name, fields = stat[stat.index("(") + 1 : stat.rindex(")")], stat.rpartition(")")[2].split()
        by_name[re.sub(r"[-_]?\d+$|-p?\d.*", "", name)] += (int(fields[11]) + int(fields[12])) / TICK  # type: ignore[assignment]
    fields = (base / "stat").read_text().rpartition(")")[2].split()
    status = (base / "status").read_text()
    rss, threads = re.search(r"VmRSS:\s+(\d+)", status), re.search(r"Threads:\s+(\d+)", status)
    assert rss is not None
    assert threads is not None
    return Reading(
        time.monotonic(),
        (int(fields[11]) + int(fields[12])) / TICK,
        by_name,
        int(rss[1]) / 1024,
        int(threads[1]),
        sum(_socket(one) for one in (base / "fd").iterdir()),
    )


def cores(before: Reading, after: Reading) -> float:
    """Return how many cores a process used between two readings."""
    return (after.cpu_s - before.cpu_s) / (after.at - before.at)


def names(before: Reading, after: Reading, most: int = 5) -> str:
    """Return what groups of threads used most, in cores."""
    span = after.at - before.at
    used = {name: (cpu - before.by_name.get(name, 0.0)) / span for name, cpu in after.by_name.items()}
    first = sorted(used.items(), key=lambda item: -item[1])[:most]
    return ", ".join(f"{name} {share:.2f}" for name, share in first if share >= 0.005)


def all_cpu(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU seconds of processes and what they started, by name."""
    return {name: use(pid).cpu_s for name, pid in pids.items()}


def _socket(descriptor: Path) -> bool:
    try:
        return str(descriptor.readlink()).startswith("socket:")
    except OSError:
        return False
