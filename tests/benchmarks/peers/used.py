"""What a process used, and how far its table is, seen from outside.

Lives here: /proc (proc(5): stat, status) and one look into a catalog's SQLite file. Costs the watched one nothing.
"""

import json
import os
import re
import sqlite3
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
POLL_S = 0.1
END_S = 20.0


@dataclass(frozen=True, slots=True)
class Use:
    """CPU seconds of a process tree, user and system, and the sum of its peaks of resident memory (MiB)."""

    cpu_s: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Drain:
    """One drain: rows, seconds from process start to last commit, what was used, the same between first and last."""

    rows: int
    seconds: float
    use: Use
    commits: int
    warm_rows: int
    warm_cpu_s: float

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds for a million rows, start included."""
        return self.use.cpu_s / self.rows * 1e6

    @property
    def warm_per_million(self) -> float | None:
        """CPU seconds for a million rows between the first commit and the last; None with too few rows between."""
        return self.warm_cpu_s / self.warm_rows * 1e6 if self.warm_rows * 4 > self.rows else None


def use(pid: int) -> Use:
    """Return what a process and its descendants have used so far."""
    cpu, peak = 0.0, 0.0
    for one in _tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            status = Path(f"/proc/{one}/status").read_text()
        except OSError:
            continue
        cpu += (int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])) / TICK
        found = re.search(r"VmHWM:\s+(\d+)", status)
        peak += int(found[1]) / 1024 if found else 0.0
    return Use(cpu, peak)


def _tree(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        try:
            tasks = list(Path(f"/proc/{one}/task").iterdir())
            found += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def rows_in(catalog: Path, namespace: str, table: str) -> Callable[[], int]:
    """Return a function that says how many rows a table has now, 0 while it does not exist."""
    seen: dict[str, int] = {}

    def look() -> int:
        try:
            with sqlite3.connect(f"file:{catalog}?mode=ro", uri=True, timeout=2) as opened:
                query = "select metadata_location from iceberg_tables where table_namespace=? and table_name=?"
                found = opened.execute(query, (namespace, table)).fetchone()
            opened.close()
        except sqlite3.Error:
            return 0
        if found is None:
            return 0
        if found[0] not in seen:
            try:
                metadata = json.loads(Path(found[0].removeprefix("file://").removeprefix("file:")).read_text())
            except OSError:  # replaced meanwhile
                return 0
            current = metadata.get("current-snapshot-id")
            totals = [s["summary"] for s in metadata.get("snapshots", ()) if s["snapshot-id"] == current]
            seen[found[0]] = int(totals[0].get("total-records", 0)) if totals else 0
        return seen[found[0]]

    return look


def drain(process: "subprocess.Popen[bytes]", rows: Callable[[], int], wanted: int, deadline_s: float) -> Drain:
    """Watch a process that was just started until its table has `wanted` rows; AssertionError when it ends before."""
    began = time.monotonic()
    commits: list[tuple[int, float]] = []
    while True:
        now = rows()
        if now > (commits[-1][0] if commits else 0):
            commits.append((now, use(process.pid).cpu_s))
        if now >= wanted:
            break
        assert process.poll() is None, f"ended with {process.returncode}, {now} rows"
        assert time.monotonic() - began < deadline_s, f"{now} of {wanted} rows after {deadline_s:.0f} s"
        time.sleep(POLL_S)
    took, used = time.monotonic() - began, use(process.pid)
    first = commits[0]
    return Drain(now, took, used, len(commits), now - first[0], used.cpu_s - first[1])


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process to end; kill it when it has not after 20 s."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
