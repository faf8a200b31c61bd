"""What the benchmark stands on: sources with tiny thresholds, a stage that gets little time, and who checks afterwards.

Lives here: making sources, what is told of them, the raw log, resident memory, the audit. It sees public things: HTTP,
topics, processes of the local start.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from schemas import topics
from schemas.wire import pressure, raw
from tests.benchmarks.overload.sender import Make
from tests.system.client import Caller, Server
from tests.system.commands import audit

ITEMS = 50
ITEM = {"event": "order.made", "amount": 12, "note": "x" * 40}
STAGE_RUNS_S, STAGE_STANDS_S = 0.1, 0.3
SHARE_OF_STAGE = STAGE_RUNS_S / (STAGE_RUNS_S + STAGE_STANDS_S)


def make_source(server: Server, name: str, overload: Mapping[str, Any], **more: object) -> tuple[Caller, str]:
    """Make a tenant with one source of a generic platform; return its caller and the source's id."""
    caller = server.new_tenant(name)
    source = {"platform": name, "auth": {"type": "none"}, "overload": dict(overload), **more}
    return caller, str(caller.call("POST", "/api/v1/sources", source, expect=201)["id"])


def deliveries(caller: Caller, platform: str, items: int = ITEMS, *, numbered: bool = False) -> Make:
    """Return what makes the requests of a source: batches, or one small object that says who sent it and when."""
    batch = json.dumps([ITEM] * items).encode()
    head = f"POST /api/v1/webhooks/{platform} HTTP/1.1\r\nHost: bench\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in caller.headers().items())

    def make(connection: int, count: int) -> bytes:
        body = b'{"sender":%d,"count":%d}' % (connection, count) if numbered else batch
        return b"%b\r\n%b" % (f"{head}Content-Length: {len(body)}\r\n".encode(), body)

    return make


@contextmanager
def slow_stage(server: Server) -> Iterator[None]:
    """Give the stage a quarter of its time, so that this machine can send several times what it does."""
    done = threading.Event()

    def run() -> None:
        while not done.is_set():
            pid = server.state["processes"]["streams"]["pid"]
            pids = _tree(int(pid)) if pid else []  # 0 would be ourselves
            _signal(pids, signal.SIGSTOP)
            done.wait(STAGE_STANDS_S)
            _signal(pids, signal.SIGCONT)
            done.wait(STAGE_RUNS_S)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _tree(pid: int) -> list[int]:
    found = [pid]
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += _tree(int(child))
    return found


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


class Told:
    """Follows the pressure topic; `of` is the newest record of the stage about a source."""

    def __init__(self, bootstrap: str) -> None:
        self._newest: dict[str, pressure.Pressure] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(bootstrap,))
        self._thread.start()

    def of(self, source_id: str) -> pressure.Pressure | None:
        return self._newest.get(source_id)

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _run(self, bootstrap: str) -> None:
        consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench", "enable.auto.commit": False})
        consumer.assign([TopicPartition(topics.PRESSURE, 0, 0)])
        while not self._done.is_set():
            for message in consumer.consume(500, 0.2):
                value = message.value()
                if message.error() is None and value is not None:
                    record = pressure.decode(value)
                    if record.origin == "stage":
                        self._newest[record.source_id] = record
        consumer.close()


class Memory:
    """Samples a process' resident memory in MiB until it is stopped."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.before = self.peak = self._now()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> str:
        """Return before, peak and after."""
        self._done.set()
        self._thread.join()
        return f"{self.before:.0f}, {self.peak:.0f}, {self._now():.0f}"

    def _run(self) -> None:
        while not self._done.wait(0.2):
            self.peak = max(self.peak, self._now())

    def _now(self) -> float:
        pages = 0
        for pid in _tree(int(self._server.state["processes"]["ingress"]["pid"] or 0)):
            with suppress(OSError):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


class Log:
    """A raw topic as it is: ids of whole deliveries, of markers, and numbered bodies by partition in order."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.stored: set[str] = set()
        self.shed: set[str] = set()
        self.orders: dict[int, list[tuple[str, int]]] = {}
        consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench", "enable.auto.commit": False})
        metadata = consumer.list_topics(topic, timeout=20).topics[topic]
        ends = {
            number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=20)[1]
            for number in metadata.partitions
        }
        consumer.assign([TopicPartition(topic, number, 0) for number in ends])
        left, limit = sum(ends.values()), time.monotonic() + 60
        while left and time.monotonic() < limit:
            for message in consumer.consume(500, 1.0):
                self._take(message.headers(), message.value() or b"")
                left -= 1
        consumer.close()
        assert left == 0, f"{left} records of {topic} were not read"

    def _take(self, headers: Any, value: bytes) -> None:
        meta = raw.decode(headers)
        (self.stored if meta.shed is None else self.shed).add(meta.delivery_id)
        if value.startswith(b'{"sender":'):
            said = json.loads(value)
            self.orders.setdefault(said["sender"], []).append((meta.delivery_id, said["count"]))

    def in_order(self, acknowledged: set[str]) -> bool:
        """Tell whether what was acknowledged stands in the order in which each sender sent it."""
        for seen in self.orders.values():
            counts = [count for delivery_id, count in seen if delivery_id in acknowledged]
            if counts != sorted(counts):
                return False
        return True


def audited(server: Server, caller: Caller) -> str:
    """Return what `hookberg audit` says of a tenant."""
    code, said = audit(server.data_dir, "--tenant", str(caller.tenant))
    return "clean" if code == 0 and "every sum holds" in said else f"BROKEN ({code}): {said[-600:]}"
