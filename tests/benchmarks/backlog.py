"""What a backlog costs the others: one source has it, another of the same worker group gets a few events a second.

Lives here: the measurement, through the control plane (pause, resume), a raw producer and a reader of clean topics.
Sizes: BACKLOG_RECORDS (1,000,000 of about 300 bytes), BACKLOG_LARGE (3,000 of 100 KB); 0 = none.
"""

import itertools
import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import orjson
from confluent_kafka import Producer

from schemas.wire import ledger as ledger_wire
from schemas.wire import raw
from schemas.wire.raw import AuthResult, RawMeta
from tests.benchmarks.load import percentile
from tests.benchmarks.measure import Figure
from tests.benchmarks.stage_ground import PARTITIONS, Follower
from tests.house.polling import wait_until
from tests.system.client import Caller, Server

RATE_PER_S = 20.0
QUIET_S = 8.0
DEADLINE_S = 1_800.0
MERGE = {"Content-Type": "application/merge-patch+json"}


def backlog(server: Server) -> list[Figure]:
    """Drain a backlog of small records, and one of large ones, while another source gets events."""
    small = int(os.environ.get("BACKLOG_RECORDS", "1000000"))
    large = int(os.environ.get("BACKLOG_LARGE", "3000"))
    figures = _drained(server, small, 300) if small else []
    return figures + (_drained(server, large, 100_000) if large else [])


def _drained(server: Server, records: int, size: int) -> list[Figure]:
    caller = server.new_tenant("backlog")
    sources = {
        name: caller.call(
            "POST",
            "/api/v1/sources",
            {"platform": name, "auth": {"type": "none"}, "dedupe": {"path": "/id"}},
            expect=201,
        )["id"]
        for name in ("behind", "other")
    }
    _pause(caller, paused=True)
    waits = Waits(server.bootstrap, str(caller.tenant), str(caller.tenant))  # the stage may obey the pause a bit later
    fill(caller, sources["behind"], records, size)
    with others(caller, sources["other"]):
        quiet = time.monotonic() + QUIET_S
        waits.until(lambda: time.monotonic() > quiet, "a quiet time")
        cpu, began, let_go = _cpu_s(server), time.monotonic(), time.time()
        _pause(caller, paused=False)
        waits.until(lambda: waits.decided >= records, "the backlog is decided")
        took, used, over = time.monotonic() - began, _cpu_s(server) - cpu, time.time()
        waits.until(lambda: any(at > over for at, _ in waits.found), "the other source's events of that time")
    waits.close()
    what = f"backlog of {records:,} records of {size:,} bytes"
    rate = f"{records / took:,.0f} records/s, {used / records * 1e6:.1f} CPU µs a record"
    return [
        Figure(what, rate, f"decided in {took:.1f} s; wall, and the stage's own CPU"),
        Figure("another source meanwhile", told(waits.between(let_go, over)), f"raw -> clean, {RATE_PER_S:g} events/s"),
        Figure("the same without a backlog", told(waits.between(0.0, let_go)), "before it is let go"),
    ]


class Waits:
    """Reads from now on how long events of platform `other` took to be clean, and how many of `behind` are decided.

    `found`: (written at, seconds until clean) as they come; `other` and `behind` are the tenants of the two.
    """

    def __init__(self, bootstrap: str, other: str, behind: str) -> None:
        self._clean = Follower(bootstrap, [f"{other}.event.other"])
        self._ledger = Follower(bootstrap, [f"{behind}.ledger"])
        self.found: list[tuple[float, float]] = []
        self.decided = 0

    def until(self, reached: Callable[[], bool], what: str, every_s: float = 0.0) -> None:
        """Read until `reached`, which is asked again every `every_s`."""
        due = 0.0

        def looked() -> bool:
            nonlocal due
            self._look()
            if time.monotonic() < due:
                return False
            due = time.monotonic() + every_s
            return reached()

        wait_until(looked, DEADLINE_S, every_s=0.0, what=what)

    def between(self, start: float, end: float) -> list[float]:
        """Return the waits of events that were written in a span of time."""
        return [wait for at, wait in self.found if start <= at < end]

    def close(self) -> None:
        """Read no more."""
        self._clean.close()
        self._ledger.close()

    def _look(self) -> None:
        for _, value in self._clean.read(0.02):
            at = datetime.fromisoformat(orjson.loads(value)["receivedAt"]).timestamp()
            self.found.append((at, time.time() - at))
        for _, value in self._ledger.read(0.02):
            record = ledger_wire.decode(value)
            self.decided += record.items if record.topic.endswith(".behind") else 0


def told(waits: list[float]) -> str:
    """Return a figure's text: p50, p95 and the longest wait."""
    shown = (percentile(waits, 0.5), percentile(waits, 0.95), max(waits))
    return "p50 {:.2f} s, p95 {:.2f} s, max {:.2f} s ({} events)".format(*shown, len(waits))


def _pause(caller: Caller, *, paused: bool) -> None:
    assert caller.send("PATCH", "/api/v1/sources/behind", {"paused": paused}, MERGE).status == 200


def _headers(source: str, tenant: str) -> list[tuple[str, str | bytes | None]]:
    meta = RawMeta(
        delivery_id=str(uuid.uuid4()), source_id=source, tenant=tenant, received_at_us=time.time_ns() // 1000,
        method="POST", path="/in/x", query="", headers=(("Content-Type", "application/json"),),
        auth=AuthResult("url", "none", "u1"),
    )  # fmt: skip
    return [*raw.encode(meta)]


def fill(caller: Caller, source: str, records: int, size: int) -> None:
    """Write raw records of about `size` bytes to platform `behind`."""
    producer = _producer(caller.server)
    topic, headers = f"{caller.tenant}.webhook.behind", _headers(source, str(caller.tenant))
    draw = random.Random(1)
    filler = draw.randbytes(500_000).hex()  # of a random place each, so that it compresses as little as ids and hashes
    for number in range(records):
        start = draw.randrange(len(filler) - size)
        value = orjson.dumps({"id": str(number), "type": "order", "text": filler[start : start + size - 60]})
        while True:
            try:
                producer.produce(topic, value, b"k", number % PARTITIONS, headers=headers)
                break
            except BufferError:
                producer.poll(0.05)
    assert producer.flush(120) == 0


def _producer(server: Server) -> Producer:
    return Producer({"bootstrap.servers": server.bootstrap, "linger.ms": 5, "compression.type": "lz4"})


@contextmanager
def others(caller: Caller, source: str) -> Iterator[None]:
    """Write events of another source at a constant rate meanwhile."""
    over = threading.Event()

    def write() -> None:
        producer, topic = _producer(caller.server), f"{caller.tenant}.webhook.other"
        for number in itertools.count():
            if over.wait(1 / RATE_PER_S):
                break
            value = orjson.dumps({"id": str(number), "type": "order"})
            producer.produce(topic, value, b"k", number % PARTITIONS, headers=_headers(source, str(caller.tenant)))
            producer.poll(0)
        producer.flush(30)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _cpu_s(server: Server) -> float:
    """Return the CPU seconds of the stage's process until now."""
    pid = int(server.state["processes"]["streams"]["pid"])
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
