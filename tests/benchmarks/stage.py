"""The stage's figures: CPU against a plain loop, raw -> clean visible, 300 topics in one worker.

Lives here: what is measured and how. Not here: topics, events, readers (stage_ground.py), the floor (plain.py).
"""

import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from confluent_kafka import Message

from tests.benchmarks.load import percentile
from tests.benchmarks.measure import Figure
from tests.benchmarks.stage_ground import PARTITIONS, Follower, Ground, await_clean, body
from tests.house.polling import wait_until

TOP = Path(__file__).resolve().parents[2]
ENGINE, PLAIN = "tests.benchmarks.stage_worker", "tests.benchmarks.plain"
RUNS = 5
SIZES = {"0.4 KB": (400, 100_000), "2 KB": (2_000, 60_000), "24 KB": (24_000, 20_000)}
SETTLED_S = 0.5
DEADLINE_S = 240.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Used:
    """What a process took for one backlog: CPU seconds, wall seconds, peak resident memory in MB."""

    cpu_s: float
    wall_s: float
    peak_mb: float


class Process:
    """A process under test, ready; `python -m module CONFIG`."""

    def __init__(self, module: str, folder: Path) -> None:
        self._folder = folder
        with (folder / "out.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, str(folder / "config.json")], stdout=log, stderr=log, cwd=TOP
            )
        started = time.monotonic()
        wait_until(self._ready, 120.0, what=f"{module} ready")
        self.start_s = time.monotonic() - started

    def _ready(self) -> bool:
        self.check()
        return (self._folder / "ready").exists()

    def check(self) -> None:
        """Raise AssertionError with the end of its output when it has ended."""
        assert self._process.poll() is None, (self._folder / "out.log").read_text()[-3000:]

    def cpu_s(self) -> float:
        """Return its CPU seconds so far, user and system, all threads (proc(5))."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_mb(self, name: str = "VmHWM") -> float:
        """Return peak (VmHWM) or present (VmRSS) resident memory."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024

    def end(self) -> None:
        """Stop it, and kill it when it does not."""
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def running(module: str, ground: Ground) -> Iterator[tuple[Process, Path]]:
    """Yield a ready process under test, topics paused; ends it."""
    folder = ground.run_folder()
    process = Process(module, folder)
    try:
        yield process, folder
    finally:
        process.end()


def drain(module: str, ground: Ground, count: int) -> Used:
    """Measure one process on a backlog of `count` events: from the moment that topics go on to the last one decided."""
    follower = Follower(ground.bootstrap, [f"{ground.tenant}.ledger"])
    try:
        with running(module, ground) as (process, folder):
            time.sleep(SETTLED_S)
            before, began = process.cpu_s(), time.monotonic()
            ground.pause(folder, paused=False)
            await_clean(follower, count, DEADLINE_S, process.check)
            wall_s = time.monotonic() - began
            time.sleep(SETTLED_S)
            return Used(process.cpu_s() - before, wall_s, process.memory_mb())
    finally:
        follower.close()


def stage_cpu(bootstrap: str, folder: Path) -> list[Figure]:
    """Measure CPU seconds per 1M events of stage and plain loop, medians of interleaved runs."""
    out = []
    for label, (size, count) in SIZES.items():
        ground = Ground(bootstrap, folder / label.replace(" ", ""))
        ground.fill(size, count)
        runs: dict[str, list[Used]] = {PLAIN: [], ENGINE: []}
        loads = []
        for _ in range(RUNS):
            for module, found in runs.items():
                found.append(used := drain(module, ground, count))
                loads.append(os.getloadavg()[0])
                each_us = used.cpu_s / count * 1e6
                sys.stderr.write(f"{label} {module.rpartition('.')[2]}: {each_us:.1f} us, load {loads[-1]:.1f}\n")
        each = {name: [used.cpu_s / count * 1e6 for used in found] for name, found in runs.items()}
        stage, plain = (statistics.median(each[name]) for name in (ENGINE, PLAIN))
        spread = f"{min(each[ENGINE]):.1f}-{max(each[ENGINE]):.1f} / {min(each[PLAIN]):.1f}-{max(each[PLAIN]):.1f}"
        how = f"CPU s per 1M events, {RUNS} interleaved runs of {count}; spread {spread}; load {max(loads):.1f} at most"
        out.append(Figure(f"stage / plain, {label}", f"{stage:.1f} / {plain:.1f} = {stage / plain:.2f}", how))
        speed = statistics.median(count / used.wall_s for used in runs[ENGINE])
        peak = statistics.median(used.peak_mb for used in runs[ENGINE])
        told = "median; wall time from going on to the last ledger record; peak resident memory"
        out.append(Figure(f"stage, {label}", f"{speed:,.0f} events/s, {peak:.0f} MB", told))
    return out


class Arrivals:
    """When raw records were appended (by the broker's LogAppendTime) and their clean events read, by position."""

    def __init__(self) -> None:
        self._appended: dict[tuple[str, int, int], float] = {}
        self._read: dict[tuple[str, int, int], float] = {}
        self.failed = 0

    def delivered(self, error: Any, message: Message) -> None:
        """Take a delivery report."""
        name, partition, offset = message.topic(), message.partition(), message.offset()
        if error is not None or name is None or partition is None or offset is None:
            self.failed += 1
            return
        platform = name.rpartition(".")[2]
        self._appended[platform, partition, offset] = message.timestamp()[1] / 1e3

    def read(self, name: str, value: bytes) -> None:
        """Take a clean event."""
        position = orjson.loads(value)["position"]
        self._read[name.rpartition(".")[2], position["partition"], position["offset"]] = time.time()

    def waits(self, platforms: set[str], skip_s: float) -> list[float] | None:
        """Return the seconds from append to read, the first `skip_s` left out; None while some are not read."""
        wanted = {place: at for place, at in self._appended.items() if place[0] in platforms}
        if any(place not in self._read for place in wanted):
            return None
        first = min(wanted.values()) + skip_s
        return [self._read[place] - at for place, at in wanted.items() if at >= first]


def _at_rate(
    ground: Ground, follower: Follower, process: Process, rate: float, seconds: float, look_at: set[str]
) -> list[float]:
    """Send 2 KB events round the topics at a rate, read clean ones meanwhile; return the waits of `look_at`.

    The first half warms the broker's compiler up and is not told.
    """
    draw = random.Random(2)
    bodies = [body(2_000, number, draw) for number in range(100)]
    arrivals, sent, began = Arrivals(), 0, time.monotonic()
    while sent < rate * seconds:
        due = int((time.monotonic() - began) * rate)
        for number in range(sent, due):
            platform = ground.platforms[number % len(ground.platforms)]
            partition = number // len(ground.platforms) % PARTITIONS
            ground.send(platform, bodies[number % 100], partition, arrivals.delivered)
        sent = max(sent, due)
        ground.producer.poll(0)
        for name, value in follower.read(0.004):
            arrivals.read(name, value)
    assert ground.producer.flush(30) == 0

    def all_read() -> list[float] | None:
        process.check()
        for name, value in follower.read(0.02):
            arrivals.read(name, value)
        return arrivals.waits(look_at, seconds / 2)

    found = wait_until(all_read, 60.0, every_s=0.0, what="every clean event")
    assert found
    assert not arrivals.failed
    return found


def stage_latency(bootstrap: str, folder: Path) -> list[Figure]:
    """Measure raw appended -> clean event read by a read_committed consumer, 1,000 events/s of 2 KB for 30 s."""
    ground = Ground(bootstrap, folder / "latency")
    with running(ENGINE, ground) as (process, run):
        ground.pause(run, paused=False)
        follower = Follower(bootstrap, [f"{ground.tenant}.event.{platform}" for platform in ground.platforms])
        before, began = process.cpu_s(), time.monotonic()
        waits = _at_rate(ground, follower, process, 1_000.0, 60.0, set(ground.platforms))
        cores = (process.cpu_s() - before) / (time.monotonic() - began)
        follower.close()
    how = (
        f"1,000/s, the second 30 s of 60, one topic, defaults; worker {cores:.2f} cores; load {os.getloadavg()[0]:.1f}"
    )
    return [_latency("raw -> clean visible", waits, how)]


def _latency(name: str, waits: list[float], how: str) -> Figure:
    shares = " / ".join(f"{percentile(waits, share) * 1e3:.0f}" for share in (0.5, 0.95, 0.99, 1.0))
    return Figure(f"{name} p50 / p95 / p99 / max", f"{shares} ms", how)


def stage_topics(bootstrap: str, folder: Path, topics: int = 300) -> list[Figure]:
    """Measure one worker with 300 topics of four partitions: start, idle, 1,500 events/s over all."""
    ground = Ground(bootstrap, folder / "topics", topics)
    looked_at = set(ground.platforms[:: max(1, topics // 10)])
    with running(ENGINE, ground) as (process, run):
        ground.pause(run, paused=False)
        time.sleep(SETTLED_S * 4)
        before, began = process.cpu_s(), time.monotonic()
        time.sleep(20)
        idle = (process.cpu_s() - before) / (time.monotonic() - began)
        follower = Follower(bootstrap, [f"{ground.tenant}.event.{platform}" for platform in looked_at])
        before, began = process.cpu_s(), time.monotonic()
        waits = _at_rate(ground, follower, process, 1_500.0, 60.0, looked_at)
        cores = (process.cpu_s() - before) / (time.monotonic() - began)
        memory = process.memory_mb()
        follower.close()
    taken = orjson.loads((run / "commits.json").read_bytes())
    label = f"{topics} topics x {PARTITIONS}"
    how = f"1,500/s over all, the second 30 s of 60, read from {len(looked_at)} topics; load {os.getloadavg()[0]:.1f}"
    return [
        Figure(f"{label}: start", f"{process.start_s:.1f} s", "process start to ready"),
        Figure(f"{label}: idle / loaded", f"{idle:.2f} / {cores:.2f} cores", "worker's CPU, 20 s and 60 s"),
        _latency(f"{label}: raw -> clean visible", waits, how),
        Figure(f"{label}: commit", f"{taken['sum'] / taken['count'] * 1e3:.0f} ms", f"mean of {taken['count']:.0f}"),
        Figure(f"{label}: memory", f"{memory:.0f} MB", "peak resident"),
    ]


PARTS: dict[str, Callable[[str, Path], list[Figure]]] = {
    "stage-cpu": stage_cpu,
    "stage-latency": stage_latency,
    "stage-topics": stage_topics,
}
"""By name: each takes bootstrap servers and a folder."""
