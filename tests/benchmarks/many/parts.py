"""`freshness20` and `streams200`: a `hookberg up` with its defaults under many streams.

Lives here: what is done in which order, and the figures. Sizes: FRESH_RATE, FRESH_S; STREAMS, STREAMS_FLAT_S (how long
memory is watched at 200 events/s at the end; 0: not).
"""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.benchmarks.load import Sent, percentile, send
from tests.benchmarks.many import process
from tests.benchmarks.many.farm import Farm, plant
from tests.benchmarks.many.seen import Seen, visible, watching
from tests.benchmarks.measure import Figure
from tests.house.polling import wait_until
from tests.system.client import Server

CONNECTIONS = 16
SETTLE_S, DRAIN_S, BACK_S = 5.0, 120.0, 120.0
IDLE_S = 15.0
FRESHNESS_S = 5.0
"""The default of `freshnessSeconds`."""


@dataclass(frozen=True, slots=True)
class Load:
    """A load that is over: what was sent, how long each event took to be seen, by table; what processes used."""

    sent: Sent
    waits: Mapping[str, Sequence[float]]
    cores: Mapping[str, float]
    writer: str
    began: float

    @property
    def every(self) -> list[float]:
        """Return all waits."""
        return [wait for waits in self.waits.values() for wait in waits]


def freshness20(server: Server) -> list[Figure]:
    """Measure 2xx to row visible at 1,000 events/s over 20 streams, all by default; the second half of a minute."""
    rate, seconds = float(os.environ.get("FRESH_RATE", "1000")), float(os.environ.get("FRESH_S", "40"))
    farm = plant(server, 20, "fresh")
    farm.start()
    farm.await_running()
    with watching(server.data_dir, farm.namespace) as seen:
        _say("warm-up")
        _loaded(server, farm, seen, rate, 10.0, 0)
        _say(f"{rate:.0f} events/s for {seconds:.0f} s")
        load = _loaded(server, farm, seen, rate, seconds, 1_000_000)
    figures = _freshness(load, rate, "20 streams")
    reader = f"one look at the catalog every 50 ms, the slowest {seen.slowest_s * 1e3:.0f} ms"
    return [*figures, Figure("sender, reader", f"{load.sent.client_cpu_s / load.sent.seconds:.2f} cores", reader)]


def streams200(server: Server) -> list[Figure]:
    """Measure 200 streams in one writers' process: start, idle, load, one stopped, killed; memory when asked."""
    count = int(os.environ.get("STREAMS", "200"))
    began = time.monotonic()
    before = process.read(_writer(server))
    farm = plant(server, count, "many")
    _say(f"{count} sources and streams made in {time.monotonic() - began:.0f} s")
    figures = _told(_start(server, farm, before))
    with watching(server.data_dir, farm.namespace) as seen:
        for number, (rate, seconds) in enumerate(((500.0, 20.0), (1_000.0, 25.0))):
            _say(f"{rate:.0f} events/s for {seconds:.0f} s")
            load = _loaded(server, farm, seen, rate, seconds, 1_000_000 * number)
            figures += _told(_freshness(load, rate, f"{count} streams"))
        _say("one is stopped")
        figures += _told(_stop_one(farm, seen))
        _say("kill -9")
        figures += _told(_killed(server, farm, seen))
        if (flat := float(os.environ.get("STREAMS_FLAT_S", "0"))) > 0:
            figures += _flat(server, farm, flat)
    return figures


def _start(server: Server, farm: Farm, before: process.Reading) -> list[Figure]:
    count, began = len(farm.names), time.monotonic()
    farm.start()
    asked = time.monotonic() - began
    farm.await_running()
    running = time.monotonic() - began
    _say(f"all run after {running:.1f} s; idle for {IDLE_S:.0f} s")
    time.sleep(SETTLE_S)
    first, cpu = process.read(_writer(server)), _cpu(server)
    time.sleep(IDLE_S)
    last, now = process.read(_writer(server)), _cpu(server)
    others = ", ".join(f"{name} {(now[name] - cpu[name]) / IDLE_S:.2f}" for name in sorted(now) if name != "sinks")
    held = f"{last.threads} / {last.sockets} / {last.rss_mib:.0f} MiB"
    had = f"before the streams {before.threads} / {before.sockets} / {before.rss_mib:.0f} MiB"
    return [
        Figure(f"{count} streams: all run", f"{running:.1f} s", f"from the first start call ({asked:.1f} s of calls)"),
        Figure("idle: writer's CPU", f"{process.cores(first, last):.2f} cores", process.names(first, last)),
        Figure("idle: others' CPU", others, "cores"),
        Figure("threads / sockets / RSS", held, had),
    ]


def _loaded(server: Server, farm: Farm, seen: Seen, rate: float, seconds: float, first: int) -> Load:
    """Send, wait until all rows are there, and read when each could be seen."""
    requests = farm.requests(int(rate * seconds), first)
    began, cpu, writer = time.time(), _cpu(server), process.read(_writer(server))
    rows = {name: _rows(seen, name) for name in _tables(farm)}
    sent = asyncio.run(send(server.ingest, requests, CONNECTIONS, rate, patient=True))
    after, now = process.read(_writer(server)), _cpu(server)
    wanted = len(requests) // len(farm.names)
    wait_until(lambda: all(_rows(seen, name) - had >= wanted for name, had in rows.items()), DRAIN_S, what="all rows")
    waits = {}
    for table in rows:
        found = visible(server.data_dir, farm.namespace, table, seen, began)
        waits[table] = [at - sent.answered_at[name] for name, at in found.items() if name in sent.answered_at]
    assert sum(map(len, waits.values())) == len(requests), "each event has one row"
    cores = {name: (now[name] - cpu[name]) / (after.at - writer.at) for name in now if name in cpu}
    return Load(sent, waits, cores, process.names(writer, after), began)


def _freshness(load: Load, rate: float, what: str) -> list[Figure]:
    every = load.every
    told = " / ".join(f"{percentile(every, share):.2f}" for share in (0.5, 0.95, 0.99, 1.0))
    worst = max(percentile(waits, 0.95) for waits in load.waits.values())
    within = sum(wait <= FRESHNESS_S for wait in every) / len(every)
    sent = len(every) / load.sent.seconds
    used = ", ".join(
        f"{name} {share:.2f}" if share >= 0 else f"{name} began again" for name, share in sorted(load.cores.items())
    )
    answers = " / ".join(f"{percentile(load.sent.latency_s, share) * 1e3:.0f}" for share in (0.5, 0.99))
    at = f"at {rate:.0f}/s"
    return [
        Figure(
            f"{what} {at}: freshness p50 / p95 / p99 / max",
            f"{told} s",
            f"{len(every)} events, {sent:.0f}/s got in; worst stream's p95 {worst:.2f} s; {within:.1%} within 5 s",
        ),
        Figure(
            f"{at}: cores", used, f"writer: {load.writer}; answers p50 / p99 {answers} ms, {load.sent.again} sent again"
        ),
    ]


def _stop_one(farm: Farm, seen: Seen) -> list[Figure]:
    """Stop one stream under load: the longest time without a commit of any other, before and while it stops."""
    one, others = _tables(farm)[0], _tables(farm)[1:]
    with _posting(farm, 200.0, 24.0, 8_000_000):
        time.sleep(4.0)
        began = time.time()
        time.sleep(8.0)
        asked = time.time()
        farm.caller.call("POST", f"/api/v1/streams/{farm.names[0]}/stop")
        farm.caller.wait_state(farm.names[0], "stopped")
        took = time.time() - asked
        time.sleep(max(0.0, 8.0 - took))
    before = max(seen.gaps(began, asked, table) for table in others)
    meanwhile = max(seen.gaps(asked, asked + 8.0, table) for table in others)
    farm.caller.call("POST", f"/api/v1/streams/{farm.names[0]}/start")
    farm.caller.wait_state(farm.names[0], "running")
    value = f"{took:.1f} s; others' longest gap {meanwhile:.1f} s, before {before:.1f} s"
    return [Figure("one stream is stopped", value, f"200 events/s over all; {one} from the call to its state stopped")]


def _killed(server: Server, farm: Farm, seen: Seen) -> list[Figure]:
    """Kill the writers under load; how long until half, and all, of the tables have their next commit."""
    with _posting(farm, 200.0, BACK_S, 9_000_000):
        time.sleep(8.0)
        os.kill(_writer(server), signal.SIGKILL)
        killed = time.time()
        tables = set(_tables(farm))
        wait_until(lambda: seen.moved(killed + 0.2).keys() >= tables, BACK_S, what="commits of all tables")
        after = sorted(at - killed for at in seen.moved(killed + 0.2).values())
    value = f"first {after[0]:.1f} s, half {percentile(after, 0.5):.1f} s, all {after[-1]:.1f} s"
    return [Figure("kill -9 of the writer to the next commit", value, f"{len(tables)} tables, 200 events/s over all")]


def _flat(server: Server, farm: Farm, seconds: float) -> list[Figure]:
    """Watch the writer's memory under a small load."""
    readings: list[process.Reading] = []
    with _posting(farm, 200.0, seconds, 20_000_000):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            readings.append(process.read(_writer(server)))
            _say(f"{readings[-1].rss_mib:.0f} MiB, {readings[-1].threads} threads")
            time.sleep(seconds / 10)
    told = ", ".join(f"{one.rss_mib:.0f}" for one in readings)
    used = process.cores(readings[0], readings[-1])
    return [Figure("writer's memory", f"{told} MiB", f"every {seconds / 10:.0f} s at 200 events/s; {used:.2f} cores")]


@contextmanager
def _posting(farm: Farm, rate: float, seconds: float, first: int) -> Iterator[None]:
    """Post events at a constant rate meanwhile, `seconds` at most."""
    loop, requests = asyncio.new_event_loop(), farm.requests(int(rate * seconds), first)

    async def post() -> None:
        await send(farm.caller.server.ingest, requests, 8, rate, patient=True)

    task = loop.create_task(post())

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(asyncio.wait([task]))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


def _tables(farm: Farm) -> list[str]:
    return [name.replace("-", "_") for name in farm.names]


def _rows(seen: Seen, table: str) -> int:
    heads = seen.heads.get(table)
    return heads[-1][2] if heads else 0


def _writer(server: Server) -> int:
    found: Callable[[], int | None] = lambda: server.state["processes"]["sinks"]["pid"]  # noqa: E731 read anew each time
    return int(wait_until(found, 30.0, what="a writer") or 0)


def _cpu(server: Server) -> dict[str, float]:
    return process.all_cpu({name: one["pid"] for name, one in server.state["processes"].items() if one["pid"]})


def _told(figures: list[Figure]) -> list[Figure]:
    """Print what is known so far: the whole takes minutes."""
    for one in figures:
        _say(f"  {one.name}: {one.value} ({one.how})")
    return figures


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()
