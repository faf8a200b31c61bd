"""Measure the writers: `python -m tests.integration.sinks.measure BOOTSTRAP drain|fresh|many|back|peer N`.

Lives here: figures for sinks/README.md. Not a test: nothing is asserted but that all rows arrived.
"""

import json
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from tests.house.polling import free_port, wait_until
from tests.integration.sinks.test_exactly_once import writer
from tests.integration.sinks.world import World, wire_event


def order(n: int) -> dict[str, object]:
    """Return an order of about 0.3 KB and 13 leaves."""
    rng = random.Random(n)
    return {
        "id": f"ord_{n:09d}",
        "status": rng.choice(["open", "paid", "shipped"]),
        "total": rng.randrange(100, 99_999) / 100,
        "currency": "EUR",
        "created": 1_700_000_000 + n,
        "customer": {"id": rng.randrange(1 << 30), "name": f"customer {n % 977}", "vip": n % 7 == 0},
        "address": {"city": "Utrecht", "zip": f"{n % 9999:04d}", "country": "NL"},
        "note": None if n % 3 else "leave at the door, please",
        "channel": "web",
    }


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name)))


def drain(world: World, n: int) -> None:
    world.make_topic(world.topic)
    for first in range(0, n, 20_000):
        world.events([order(i) for i in range(first, min(n, first + 20_000))], first)
    stream = world.stream(freshnessSeconds=5)
    before, started = cpu(), time.monotonic()
    world.start()
    wait_until(lambda: (s := world.states.by_id.get(stream.id)) and s.rows >= n, 300)
    took, used = time.monotonic() - started, cpu() - before
    print(f"drain: {n} rows in {took:.1f} s = {n / took:.0f} rows/s, {used / n * 1e6:.1f} CPU s per M rows", end="")
    print(f", RSS {status('VmHWM') >> 10} MB, load {os.getloadavg()[0]:.1f}")


def fresh(world: World, seconds: int) -> None:
    world.make_topic(world.topic)
    stream = world.stream(freshnessSeconds=5)
    world.start()
    wait_until(lambda: stream.id in world.states.by_id, 30)
    time.sleep(3)
    begun, sent = time.monotonic(), 0
    while time.monotonic() - begun < seconds:
        batch = [order(sent + i) for i in range(25)]
        world.produce([wire_event(sent + i, json.dumps(one).encode()) for i, one in enumerate(batch)])
        sent += 25
        time.sleep(max(0.0, begun + sent / 100 - time.monotonic()))
    wait_until(lambda: world.states.by_id[stream.id].rows >= sent, 30)
    state = world.states.by_id[stream.id]
    print(
        f"fresh: {sent} events at 100/s: p50 {state.freshness_p50_s:.2f} s, p95 {state.freshness_p95_s:.2f} s", end=""
    )
    print(f", load {os.getloadavg()[0]:.1f}")


def many(world: World, n: int) -> None:
    world.make_topic(world.topic)
    world.events([order(0)])
    world.stream("first")
    world.start()
    wait_until(lambda: len(world.states.by_id) == 1, 30)
    time.sleep(2)
    base, threads = status("VmRSS"), status("Threads")
    for i in range(n):
        world.stream(f"s{i}")
    states = world.states.by_id
    wait_until(lambda: sum(one.rows >= 1 for one in list(states.values())) == n + 1, 300)
    time.sleep(3)
    before = cpu()
    time.sleep(10)
    rss, more = status("VmRSS") - base, status("Threads") - threads
    print(f"many: {n} more streams: {rss / n:.0f} KiB RSS and {more / n:.1f} threads a stream", end="")
    print(f", idle CPU {(cpu() - before) * 10:.1f} % of a core, {threading.active_count()} Python threads")


def handover(world: World, rounds: int, *, peer: bool, how: signal.Signals) -> None:
    """Time from the end of the owner to the first row after it: by its restart, or by another member (session 6 s)."""
    world.make_topic(world.topic)
    stream = world.stream(freshnessSeconds=1)
    instance, n, took = free_port(), 0, []

    def rows(more: int) -> None:
        nonlocal n
        world.events([{"n": n + i} for i in range(more)], first=n)
        n += more
        world.wait_rows(stream, n, 120)

    with ExitStack() as stack:
        last = stack.enter_context(writer(world, stream, instance))
        rows(2)
        for _round in range(rounds):
            if peer:
                instance = free_port()
                following = stack.enter_context(writer(world, stream, instance))
                time.sleep(8)
            begun = time.monotonic()
            last.send_signal(how)
            if not peer:
                last.wait()
                following = stack.enter_context(writer(world, stream, instance))
            last = following
            rows(2)
            took.append(time.monotonic() - begun)
    told = ", ".join(f"{seconds:.1f}" for seconds in sorted(took))
    print(f"{'another member' if peer else 'restarted'} after {how.name}: {told} s, load {os.getloadavg()[0]:.1f}")


def back(world: World, rounds: int) -> None:
    handover(world, rounds, peer=False, how=signal.SIGKILL)


def peer(world: World, rounds: int) -> None:
    handover(world, rounds, peer=True, how=signal.SIGKILL)


def main() -> None:
    """Run one measurement."""
    bootstrap, what, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder:
        world = World(bootstrap, Path(folder))
        try:
            {"drain": drain, "fresh": fresh, "many": many, "back": back, "peer": peer}[what](world, n)
        finally:
            world.stop()


if __name__ == "__main__":
    main()
