"""`make soak`: months of commits in minutes: do commits, plans and storage stay what they were?

Lives here: a writer's commits and its upkeep over real files and a SQLite catalog, by a clock that is moved by hand;
Kafka and parsing left out. Two processes share the tables. `--upsert`: each commit brings new versions of keys that
come again and again, some of them deletions, and its time is that of the decision and the files too.
tests/unit/sinks/test_soak.py runs short ones; `main` exits with 1 past the bound.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

from sinks.table import commit, create, files, schema, state
from sinks.table.moves import Moves
from sinks.table.partitions import Arrangement
from sinks.upkeep.care import Care, Keyed
from sinks.upkeep.keeper import Keeper
from sinks.upsert.lasting import Lasting
from sinks.upsert.room import Room
from sinks.upsert.upserting import Upserting
from sinks.writing import Wrote, name
from tests.fakes.clock import ManualClock

TABLES, COMMITS, ROWS, STEP_S = 10, 43_200, 100, 10.0
PROCESSES, PARTS, BOUND = 2, 10, 1.3
DEAD_S = 10_800.0
OWNER = "soak"
KEYS, STRIDE, DELETES = 2_000, 7_919, 50
"""Keys of an upsert table, how far one event's key is from the next one's, and which of its numbers are deletions."""
PLAN_BOUND = 1.5
KINDS = pa.array(["push", "issues", "fork", "star"] * (ROWS // 4))


@dataclass(slots=True)
class Part:
    """A tenth of the run: milliseconds of each commit (wall, CPU), of a plan at its end (CPU); what is on storage."""

    commits_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    plan_ms: float = 0.0
    files: int = 0
    deletes: int = 0
    live_bytes: int = 0
    disk_bytes: int = 0
    waiting_bytes: int = 0
    upkeep_s: float = 0.0


@dataclass(slots=True)
class One:
    """One table and its upkeep."""

    table: Table
    plan: files.Plan
    care: Care
    writing: Upserting | None = None
    at: int = 0


def keyed(batch: pa.Table, first: int) -> pa.Table:
    """Return a batch with the columns of an upsert table."""
    numbers = range(first, first + ROWS)
    keys = pa.array([f"[{number * STRIDE % KEYS}]" for number in numbers])
    dead = pa.array([True if number % DELETES == 0 else None for number in numbers], pa.bool_())
    columns = {"_key": keys, "_sequence": pa.array([str(number) for number in numbers]), "_tombstone": dead}
    for added, column in columns.items():
        batch = batch.append_column(added, column)
    return batch


def shown(count: int) -> int:
    """Return how many rows an upsert table shows after so many events."""
    latest = {number * STRIDE % KEYS: number for number in range(count)}
    return sum(1 for number in latest.values() if number % DELETES)


def rows(first: int, at_us: int) -> pa.Table:
    """Return a batch as events give it: ids that never repeat, times that follow one another."""
    numbers = range(first, first + ROWS)
    times = pa.array([at_us + n for n in range(ROWS)], pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "event_id": [f"{number:032x}" for number in numbers],
            "event_type": KINDS.slice(0, ROWS),
            "received_at": times,
            "event_time": times,
            "_offset": pa.array(numbers, pa.int64()),
        }
    )


def run(folder: Path, tables: int, commits: int, *, upsert: bool = False) -> Iterator[Part]:
    """Yield each tenth of a run over tables of its own; `commits` are those of all tables together."""
    clock = ManualClock(1_767_225_600.0)
    catalog = SqlCatalog("soak", uri=f"sqlite:///{folder}/c.db", warehouse=f"file://{folder}/w")
    keeper = Keeper(catalog, clock, lambda: 0.5, DEAD_S)
    many = [_made(catalog, keeper, number, upsert=upsert) for number in range(tables)]
    per_part = max(1, commits // tables // PARTS)
    for _part in range(PARTS):
        part = Part()
        for _round in range(per_part):
            clock.advance(STEP_S)
            for one in many:
                _commit(catalog, one, clock, part)
                keeper.committed(one.care)
                if (due := keeper.due()) is not None:
                    started = time.process_time()
                    keeper.look(due)
                    part.upkeep_s += time.process_time() - started
                    if due.report.error is not None:
                        raise RuntimeError(due.report.error)
        _measure(catalog, many, part)
        yield part
    for one in many:
        one.table.refresh()
        if one.table.scan().count() != (shown(one.at) if upsert else one.at):
            raise RuntimeError("rows are missing, or there twice")
    catalog.close()


def _made(catalog: SqlCatalog, keeper: Keeper, number: int, *, upsert: bool) -> One:
    called, first, moves = ("soak", f"t{number}"), schema.events(keyed=upsert), Moves()
    cuts = Arrangement(()) if upsert else None
    table = create.take(catalog, called, first, OWNER, lambda: {"T": {"0": 0}}, *([] if cuts is None else [cuts]))
    plan = files.plan(table.metadata, table.schema())
    if not upsert:
        return One(table, plan, keeper.open(called, OWNER))
    writing = Upserting(first, OWNER, table.metadata, lambda: None, moves, Room().share())
    return One(table, plan, keeper.open(called, OWNER, keyed=Keyed(moves, Lasting(first))), writing)


def _commit(catalog: SqlCatalog, one: One, clock: ManualClock, part: Part) -> None:
    now_us = int(clock.at_s * 1e6)
    batch = rows(one.at, now_us)
    wrote = None
    if one.writing is None:
        wrote = Wrote(files.write(batch, one.table.metadata, one.table.io, one.plan, name), one.table.schema())
    else:
        batch = keyed(batch, one.at)
    started, used = time.perf_counter(), time.thread_time()
    if wrote is None and one.writing is not None:
        wrote = one.writing.write(batch, one.table.schema(), one.table.metadata, one.table.io)
    done = _put(catalog, one, wrote or Wrote((), one.table.schema()), now_us)
    part.commits_ms.append((time.perf_counter() - started) * 1000)
    part.cpu_ms.append((time.thread_time() - used) * 1000)
    if not isinstance(done, commit.Committed):
        raise TypeError(f"{type(done).__name__}: nobody else writes here")
    one.at += ROWS


def _put(catalog: SqlCatalog, one: One, wrote: Wrote, now_us: int) -> object:
    base: state.Offsets = {"T": {"0": one.at}}
    kept = {} if one.writing is None else one.writing.kept()
    batch = commit.Batch(
        wrote.files, wrote.schema, base, {"T": {"0": one.at + ROWS}}, {}, kept, frozenset(), wrote.deletes,
        wrote.onto, wrote.follow,
    )  # fmt: skip
    done = commit.commit(
        catalog, one.table, OWNER, batch, now_ms=lambda: now_us // 1000, wait=time.sleep, random=lambda: 0.5
    )
    if one.writing is not None and isinstance(done, commit.Committed):
        one.writing.landed(one.table.metadata, done.tried)
    return done


def _measure(catalog: SqlCatalog, many: list[One], part: Part) -> None:
    plans = []
    for one in many:
        table = catalog.load_table(one.care.identifier)
        started = time.thread_time()
        tasks = list(table.scan().plan_files())
        plans.append((time.thread_time() - started) * 1000)
        part.files += len(tasks)
        part.deletes += len({file.file_path for task in tasks for file in task.delete_files})
        part.live_bytes += sum(task.file.file_size_in_bytes for task in tasks)
        part.waiting_bytes += one.care.report.dead_bytes
        folder = Path(table.location().removeprefix("file://"))
        part.disk_bytes += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    part.plan_ms = statistics.median(plans)


def joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the same tenth of all processes as one line of the table."""
    every = [ms for part in parts for ms in part["commits_ms"]]
    names = ("files", "deletes", "live_bytes", "disk_bytes", "waiting_bytes", "upkeep_s")
    total = {name: sum(part[name] for part in parts) for name in names}
    cpu = statistics.median(ms for part in parts for ms in part["cpu_ms"])
    plan = statistics.median(part["plan_ms"] for part in parts)
    cuts = statistics.quantiles(every, n=100) if len(every) > 1 else every * 100
    return {
        **total,
        "commits": len(every),
        "p50": statistics.median(every),
        "cpu": cpu,
        "p99": cuts[98],
        "plan_ms": plan,
    }


def ratio(lines: list[dict[str, Any]]) -> float:
    """Return by how much commits of the last tenth are slower than of the first, in CPU time."""
    return float(lines[-1]["cpu"] / lines[0]["cpu"])


def plans(lines: list[dict[str, Any]]) -> float:
    """Return by how much plans of the last three tenths are slower than of the first three, in CPU time."""
    first, last = (statistics.mean(line["plan_ms"] for line in some) for some in (lines[:3], lines[-3:]))
    return float(last / first)


def told(lines: list[dict[str, Any]]) -> str:
    """Return the table for a person."""
    text = [
        "commits  p50 ms  p50 CPU ms  p99 ms  plan CPU ms  files  deletes  live MB  on disk MB  times  dead MB  upkeep"
    ]
    done = 0
    for one in lines:
        done += one["commits"]
        text.append(
            f"{done:7,} {one['p50']:7.2f} {one['cpu']:11.2f} {one['p99']:7.1f} {one['plan_ms']:12.2f} "
            f"{one['files']:6,} {one['deletes']:8,} "
            f"{one['live_bytes'] / 1e6:8.2f} {one['disk_bytes'] / 1e6:11.2f} "
            f"{one['disk_bytes'] / one['live_bytes']:6.1f} {one['waiting_bytes'] / 1e6:8.2f} "
            f"{one['upkeep_s'] * 1000 / one['commits']:10.2f}"
        )
    text.append(f"last tenth / first, p50 of CPU: {ratio(lines):.2f} (bound {BOUND})")
    text.append(f"last three tenths / first three, a plan's CPU: {plans(lines):.2f}")
    return "\n".join(text)


def soak(tables: int, commits: int, *, upsert: bool = False) -> list[dict[str, Any]]:
    """Run over `tables` in two processes; return the joined tenths. Raises when one of them fails."""
    share = max(1, tables // PROCESSES)
    running = []
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        for number in range(PROCESSES):
            own = folder / str(number)
            own.mkdir()
            command = [sys.executable, "-m", "tests.benchmarks.soak", "--part", str(own)]
            command += ["--tables", str(share), "--commits", str(commits // PROCESSES)]
            command += ["--upsert"] if upsert else []
            with (own / "out").open("wb") as out:
                running.append(subprocess.Popen(command, stdout=out))
        if any(one.wait() for one in running):
            raise RuntimeError("a process failed, see above")
        answers = [(folder / str(number) / "out").read_bytes() for number in range(PROCESSES)]
        found = [[json.loads(line) for line in answer.splitlines() if line.startswith(b"{")] for answer in answers]
        return [joined([process[at] for process in found]) for at in range(PARTS)]
    finally:
        for one in running:
            if one.poll() is None:
                one.kill()
                one.wait()
        shutil.rmtree(folder)


def main() -> None:
    """Run and print; exit with 1 when commits have become slower than the bound."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--commits", type=int, default=COMMITS)
    asked.add_argument("--tables", type=int, default=TABLES)
    asked.add_argument("--upsert", action="store_true", help="tables of writeMode: upsert")
    asked.add_argument("--part", type=Path, help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.part is not None:
        for part in run(given.part, given.tables, given.commits, upsert=given.upsert):
            line = {name: getattr(part, name) for name in Part.__slots__}
            sys.stdout.write("\n" + json.dumps(line) + "\n")
        return
    started, load = time.monotonic(), os.getloadavg()[0]
    lines = soak(given.tables, given.commits, upsert=given.upsert)
    sys.stdout.write(told(lines) + f"\n{time.monotonic() - started:.0f} s, load {load:.1f} at the start\n")
    sys.exit(ratio(lines) > BOUND or (given.upsert and plans(lines) > PLAN_BOUND))


if __name__ == "__main__":
    main()
