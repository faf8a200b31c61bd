"""The rows: each policy at three times the capacity, a flood beside a quiet source, Kafka stopped for a minute.

Prints one table and judges nothing but what must hold: lost is what was answered 2xx and is not in the log.
"""

import argparse
import asyncio
import os
import signal
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from schemas.overload import Level
from schemas.wire import pressure
from tests.benchmarks.bench import where
from tests.benchmarks.load import percentile
from tests.benchmarks.overload.ground import (
    SHARE_OF_STAGE,
    Log,
    Memory,
    Told,
    audited,
    deliveries,
    make_source,
    slow_stage,
)
from tests.benchmarks.overload.sender import Heard, Load, Make
from tests.house import stack
from tests.house.polling import wait_until
from tests.system.client import Server, request

TIMES = 3.0
SECONDS = 10.0
CONNECTIONS = 400
IN_FLIGHT = 400
FLOOD = 600
AWAY_S, AWAY_RATE, AWAY_SENDERS = 60.0, 500.0, 100
SHED = {"keepRatio": 0.3, "lossRatio": 0.2, "windowSeconds": 3600}
BACK_S = 60.0
_QUICK_S = 0.5


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    heard: Heard
    shed: str = "0"
    lost: int = 0
    memory: str = ""
    recovered: str = ""
    notes: str = ""
    audit: str = ""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench-overload")
    parser.add_argument("only", nargs="*", help="queue, reject, shed, flood, away (default: all)")
    wanted = parser.parse_args().only or ["queue", "reject", "shed", "flood", "away"]
    before, began, rows = os.getloadavg()[0], time.monotonic(), []
    given = {"HOOKBERG_LOCAL_KAFKA_JVM": "", "HOOKBERG_IN_FLIGHT_REQUESTS": str(IN_FLIGHT)}
    with (
        tempfile.TemporaryDirectory(prefix="hookberg-overload-") as folder,
        stack.up_server(Path(folder) / "data", environ=given) as running,
    ):
        server = Server(running.url, running.ingest_url, running.data_dir)
        told = Told(server.bootstrap)
        try:
            capacity = 0.0
            say = Console(stderr=True).print
            if set(wanted) & {"queue", "reject", "shed"}:
                capacity = _capacity(server, told)
                say(f"capacity {capacity:.0f} deliveries/s")
            for each in wanted:
                say(f"{each}, {time.monotonic() - began:.0f} s after the start")
                rows.append(_row(server, told, each, capacity))
        finally:
            told.stop()
    _print(rows, capacity, before, time.monotonic() - began)


def _row(server: Server, told: Told, name: str, capacity: float) -> Row:
    if name == "flood":
        return _flood(server)
    return _away(server, told) if name == "away" else _policy(server, told, name, capacity)


def _load(server: Server, make: Make, connections: int, rate: float | None, seconds: float) -> Heard:
    return uvloop.run(Load(server.ingest, make, connections, rate, seconds).run())


def _capacity(server: Server, told: Told) -> float:
    """Return how many deliveries a second the slowed stage decides: a backlog, and how long it takes to be gone."""
    caller, source_id = make_source(server, "capacity", {"policy": "queue"})
    make = deliveries(caller, "capacity")
    _warm(server, told, source_id, make)
    with slow_stage(server):
        began = time.time()
        heard = _load(server, make, 16, None, 3.0)
        assert heard.status(200) == heard.sent > 0, heard.answers

        posted = time.time()

        def gone() -> pressure.Pressure | None:
            record = told.of(source_id)
            return record if record and not record.lag_events and record.measured_at_ms / 1e3 > posted else None

        through = wait_until(gone, 120.0, every_s=0.1, what="the backlog to be gone")
        assert through is not None
        return heard.sent / (through.measured_at_ms / 1e3 - began)


def _warm(server: Server, told: Told, source_id: str, make: Make) -> None:
    """Let the stage take up a new topic before anything is measured."""
    posted = time.time()
    assert _posted(server, make) == 200

    def decided() -> bool:
        record = told.of(source_id)
        return record is not None and record.lag_events == 0 and record.measured_at_ms / 1e3 > posted + 1

    wait_until(decided, BACK_S, what="the first delivery to be decided")


def _policy(server: Server, told: Told, policy: str, capacity: float) -> Row:
    overload: dict[str, Any] = {
        "policy": policy,
        "warn": {"events": max(2, int(2 * capacity)), "ageSeconds": 600},
        "alarm": {"events": max(4, int(5 * capacity)), "ageSeconds": 1200},
        "bound": {"events": 10**9, "ageSeconds": 6000, "bytes": 10**12},
        "shed": SHED,
    }
    caller, source_id = make_source(server, policy, overload)
    make, memory = deliveries(caller, policy), Memory(server)
    _warm(server, told, source_id, make)
    with slow_stage(server):
        heard = _load(server, make, CONNECTIONS, TIMES * capacity, SECONDS)
        level = told.of(source_id)
        recovered = _recovered(server, make)
    wait_until(lambda: _calm(told, source_id), BACK_S, what="a calm source")
    log = Log(server.bootstrap, f"{caller.tenant}.webhook.{policy}")
    shed = "0"
    if log.shed:
        allowed = SHED["lossRatio"] * len(heard.ids)
        shed = f"{len(log.shed)} of {allowed:.0f} ({len(log.shed) / allowed:.0%})"
    worst = "unknown" if level is None else f"{Level(level.level).name.lower()}, {level.lag_events} waiting at the end"
    retry = f"; Retry-After {min(heard.retry_after)}-{max(heard.retry_after)} s" if heard.retry_after else ""
    return Row(
        f"{policy} at {TIMES:g}x",
        heard,
        shed,
        len(heard.ids - log.stored - log.shed),
        memory.stop(),
        f"{recovered:.1f} s",
        worst + retry,
        audited(server, caller),
    )


def _calm(told: Told, source_id: str) -> bool:
    record = told.of(source_id)
    return record is not None and record.level == Level.CALM and record.lag_events == 0


def _recovered(server: Server, make: Make) -> float:
    """Return how long after the load a delivery is taken and answered at once again."""
    began = time.monotonic()

    def taken() -> bool:
        asked = time.monotonic()
        return _posted(server, make) == 200 and time.monotonic() - asked < _QUICK_S

    wait_until(taken, BACK_S, every_s=0.1, what="a delivery that is answered at once")
    return time.monotonic() - began


def _posted(server: Server, make: Make) -> int:
    head, _, body = make(0, 0).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers: Mapping[str, str] = dict(line.split(": ", 1) for line in lines[1:])
    return request(server.ingest, "POST", lines[0].split(" ")[1], body, headers).status


def _flood(server: Server) -> Row:
    """Send as fast as answers come by many connections, and beside it a little to another source."""
    flood, _ = make_source(server, "flood", {})
    quiet, _ = make_source(server, "quiet", {})
    memory = Memory(server)

    async def both() -> tuple[Heard, Heard]:
        loud = Load(server.ingest, deliveries(flood, "flood", 1), FLOOD, None, SECONDS)
        still = Load(server.ingest, deliveries(quiet, "quiet", 1), 4, 20.0, SECONDS)
        return await asyncio.gather(loud.run(), still.run())

    loud, still = uvloop.run(both())
    log = Log(server.bootstrap, f"{flood.tenant}.webhook.flood")
    p99 = percentile(still.seconds, 0.99)
    notes = (
        f"quiet source beside it, 20/s: {still.sent} sent, {still.sent - still.status(200)} refused, p99 {p99:.3f} s"
    )
    both_clean = {audited(server, flood), audited(server, quiet)}
    return Row(
        f"flood, {FLOOD} senders",
        loud,
        "0",
        len(loud.ids - log.stored),
        memory.stop(),
        "",
        notes,
        ", ".join(both_clean),
    )


def _away(server: Server, told: Told) -> Row:
    """Stop Kafka for a minute in the middle of a steady load; each connection numbers what it sends."""
    caller, source_id = make_source(server, "away", {}, partitioning="source")
    make, memory = deliveries(caller, "away", numbered=True), Memory(server)
    pid = int(next((server.data_dir / "kafka").rglob("pid")).read_text())
    found: list[Heard] = []

    def run() -> None:
        found.append(_load(server, make, AWAY_SENDERS, AWAY_RATE, AWAY_S + 12))

    sending = threading.Thread(target=run)
    sending.start()
    time.sleep(5)
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(AWAY_S)
    finally:
        os.kill(pid, signal.SIGCONT)
    recovered = _recovered(server, lambda _sender, _count: make(AWAY_SENDERS, 0))
    sending.join()
    heard = found[0]
    wait_until(lambda: _calm(told, source_id), BACK_S, what="the stage to be through")
    log = Log(server.bootstrap, f"{caller.tenant}.webhook.away")
    maybe = len(log.stored - heard.ids)
    order = "in order" if log.in_order(heard.ids) else "OUT OF ORDER"
    return Row(
        f"Kafka stopped {AWAY_S:.0f} s, {AWAY_RATE:.0f}/s",
        heard,
        lost=len(heard.ids - log.stored),
        memory=memory.stop(),
        recovered=f"{recovered:.1f} s",
        notes=f"what was acknowledged stands {order}; {maybe} stored though answered 503; {heard.cut} cut off",
        audit=audited(server, caller),
    )


def _print(rows: list[Row], capacity: float, before: float, took: float) -> None:
    out = Console(width=220)
    table = Table(
        "", "sent", "2xx", "429", "503", "shed of budget", "lost", "p99 2xx", "longest", "RSS MiB", "recovered"
    )
    for name in ("notes", "audit"):
        table.add_column(name, overflow="fold")
    for row in rows:
        heard = row.heard
        p99 = f"{percentile(heard.seconds, 0.99):.2f} s" if heard.seconds else ""
        counts = (heard.sent, len(heard.ids), heard.status(429), heard.status(503))
        texts = (
            row.shed,
            str(row.lost),
            p99,
            f"{heard.longest_s:.2f} s",
            row.memory,
            row.recovered,
            row.notes,
            row.audit,
        )
        table.add_row(row.name, *map(str, counts), *texts)
    out.print(table)
    if capacity:
        out.print(f"capacity {capacity:.0f} deliveries/s, the stage with {SHARE_OF_STAGE:.0%} of its time")
    out.print(f"took     {took:.0f} s")
    where(out, before)


if __name__ == "__main__":
    main()
