"""Real ingress workers under attack: an honest sender beside, memory as the kernel counts it, acknowledged deliveries.

Lives here: what the tests of this folder share. The processes themselves: tests/integration/ingress/real.py.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import orjson
from confluent_kafka import Consumer, TopicPartition

from schemas.backing.kafka import Topics
from schemas.backing.registry import SourceRecord
from schemas.settings.processes import KafkaSettings
from schemas.wire.raw import RawMeta, decode
from tests.house.polling import wait_until
from tests.integration.ingress.door import Wire
from tests.integration.ingress.real import START_S, Launched, RealIngress, launch

ROOT = Path(__file__).parents[3]
HONEST_RATE = 50.0
END_S = 90.0
MIB = 1 << 20
Figure = Callable[[str, object], None]


@dataclass(frozen=True, slots=True)
class Honest:
    """What an honest sender saw."""

    statuses: Mapping[str, int]
    failures: Mapping[str, int]
    latencies: tuple[float, ...]
    ids: tuple[str, ...]

    def ms(self, share: float) -> float:
        """Return the latency below which `share` of the answers came, in ms."""
        ordered = sorted(self.latencies)
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3, 1)

    def only_accepted(self) -> bool:
        """Tell whether there were requests and all of them were acknowledged."""
        return not self.failures and set(self.statuses) == {"200"}


class Traffic:
    """An honest sender's process, running: its first request was answered."""

    def __init__(self, port: int, path: str, rate: float = HONEST_RATE, count: int | None = None) -> None:
        given = [str(port), path, str(rate), *([] if count is None else [str(count)])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.edge.traffic", *given],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def end(self) -> Honest:
        """Stop, wait for the last answers and return what was seen."""
        return self._seen(END_S)

    def finish(self, limit_s: float) -> Honest:
        """Wait until `count` requests are sent and answered and return what was seen."""
        told, self._process.stdin = self._process.stdin, None  # its end would say: stop
        try:
            return self._seen(limit_s)
        finally:
            if told is not None:
                told.close()

    def _seen(self, limit_s: float) -> Honest:
        out, _ = self._process.communicate(timeout=limit_s)
        said = orjson.loads(out)
        return Honest(said["statuses"], said["failures"], tuple(said["latencies"]), tuple(said["ids"]))

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@dataclass(frozen=True, slots=True)
class Ground:
    """The running workers, an open source's path, its topic and how much was in there before."""

    launched: Launched
    ingress: RealIngress
    bootstrap: str
    topic: str
    source_id: str
    path: str
    since: int

    @property
    def port(self) -> int:
        return self.ingress.port

    @contextmanager
    def honest(self, rate: float = HONEST_RATE, count: int | None = None, path: str | None = None) -> Iterator[Traffic]:
        """Run an honest sender, of the same source unless told a path, and end it whatever happens."""
        traffic = Traffic(self.port, path or self.path, rate, count)
        try:
            yield traffic
        finally:
            traffic.kill()

    @asynccontextmanager
    async def wire(self) -> AsyncIterator[Wire]:
        """Open a connection; the server may end it as it likes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Wire(reader, writer)
        finally:
            writer.transport.abort()

    def post(self, headers: bytes = b"", path: str | None = None) -> bytes:
        """Return a request's head without its end."""
        return b"POST %b HTTP/1.1\r\nHost: x\r\n%b" % ((path or self.path).encode("latin-1"), headers)

    def peaks(self) -> dict[int, int]:
        """Return the greatest resident memory so far of each worker, MiB."""
        return {pid: _memory(pid, "VmHWM") for pid in self.ingress.workers()}

    def resident(self) -> int:
        """Return the resident memory of the largest worker now, MiB."""
        return max(_memory(pid, "VmRSS") for pid in self.ingress.workers())

    def acknowledged(self, other: SourceRecord | None = None) -> set[str]:
        """Return the ids of all deliveries of the source, or of another, in its topic, which other runs may share."""
        topic, since, source_id = (
            (self.topic, self.since, self.source_id) if other is None else (other.topic, 0, other.id)
        )
        found = stored(self.bootstrap, topic, since)
        return {meta.delivery_id for meta in found if meta.source_id == source_id}


def _memory(pid: int, what: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith(what)).split()[1]) // 1024


@contextmanager
def reading(bootstrap: str) -> Iterator[Consumer]:
    """Yield a consumer of no group."""
    config = {"group.id": f"audit-{os.getpid()}", "enable.auto.commit": False, "fetch.message.max.bytes": 32 * MIB}
    consumer = Consumer({"bootstrap.servers": bootstrap, **config})
    try:
        yield consumer
    finally:
        consumer.close()


def end_of(bootstrap: str, topic: str) -> int:
    """Return the offset after the last record of a topic's one partition."""
    with reading(bootstrap) as consumer:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)
        return int(end)


def stored(bootstrap: str, topic: str, since: int) -> Iterator[RawMeta]:
    """Yield what the headers of every record of a topic's one partition say, from an offset on."""
    left = end_of(bootstrap, topic) - since
    with reading(bootstrap) as consumer:
        consumer.assign([TopicPartition(topic, 0, since)])
        while left > 0:
            messages = wait_until(lambda: consumer.consume(1_000, 0.02), 60, what="the next records")
            left -= len(messages)
            for message in messages:
                assert message.error() is None, message.error()
                yield decode(cast("list[tuple[str, bytes]]", message.headers()))


@contextmanager
def ground(folder: Path, bootstrap: str, **settings: str) -> Iterator[Ground]:
    """Run two workers with a source whose URL is its credential."""
    launched = launch(folder, bootstrap, INGEST_TLS_PORT="", **settings)
    kafka = KafkaSettings(kafka_bootstrap_servers=bootstrap, replication_factor=1, min_insync_replicas=1)
    try:
        wait_until(launched.is_ready, START_S, what="two ready workers")
        ingress = RealIngress(launched.process, launched.registry, Topics(kafka), launched.ports)
        made, _, path = ingress.source({"type": "url"})
        found = Ground(launched, ingress, bootstrap, made.topic, made.id, path, end_of(bootstrap, made.topic))
        wait_until(lambda: _known(found), 30, what="the source at both workers")
        yield found
    finally:
        with suppress(subprocess.TimeoutExpired):
            launched.end()


def _known(at: Ground) -> bool:
    answered = [at.ingress.line().post(at.path).status for _ in range(8)]
    at.ingress.hang_up()
    return set(answered) == {200}
