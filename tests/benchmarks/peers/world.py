"""What both sinks stand on: one broker, a registry, an API to make streams with, topics.

Lives here: set-up and the two ways to drain. The product's writers run alone (`hookberg sinks`), so that nothing else
of ours takes part; the API only makes the streams.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka import admin as kafka_admin

from deploy.local import plan
from deploy.local.folder import DataFolder, ensure_keys, open_folder
from schemas import topics
from tests.benchmarks.peers import connect
from tests.benchmarks.peers.used import Drain, drain, end, rows_in
from tests.benchmarks.peers.workloads import Workload
from tests.house.polling import free_port
from tests.system.client import Caller, Server, eventually, request

PARTITIONS = 4
COMMIT_S = 10
"""How often each commits: 10 s as the study had it; ours flushes after half of `freshnessSeconds`."""
DEADLINE_S = 900.0
HTTP_OK = 200
READY_S = 300.0
_CLI = (sys.executable, "-m", "deploy.cli")


@dataclass
class World:
    """Everything that stays for the whole comparison."""

    folder: DataFolder
    environ: dict[str, str]
    bootstrap: str
    peer: connect.Connect
    caller: Caller
    _made: int = field(default=0, init=False)

    @property
    def tenant(self) -> str:
        return str(self.caller.tenant)

    def fill(self, workload: Workload, count: int) -> tuple[int, int]:
        """Produce `count` payloads, bare and as clean events, as the stage does (lz4); return the bytes of each."""
        source = {"platform": workload.name, "auth": {"type": "none"}}
        self.caller.call("POST", "/api/v1/sources", source, expect=201)
        self.topic(f"bare.{workload.name}", PARTITIONS)
        options = {"compression.type": "lz4", "linger.ms": 5, "batch.size": 1 << 20, "acks": "all"}
        producer = Producer({"bootstrap.servers": self.bootstrap, "queue.buffering.max.messages": 200_000, **options})
        clean, bare, sizes = topics.event(self.tenant, workload.name), f"bare.{workload.name}", [0, 0]
        for n, (payload, event) in enumerate(workload.records(self.tenant, count)):
            for at, (topic, value) in enumerate(((bare, payload), (clean, event))):
                sizes[at] += len(value)
                while True:
                    try:
                        producer.produce(topic, value, partition=n % PARTITIONS)
                        break
                    except BufferError:
                        producer.poll(0.05)
            if n % 500 == 0:
                producer.poll(0)
        assert producer.flush(60) == 0
        return sizes[0], sizes[1]

    def topic(self, name: str, partitions: int) -> None:
        """Make a topic."""
        new = kafka_admin.NewTopic(name, partitions, 1)  # type: ignore[attr-defined]  # its stub does not export it
        admin = kafka_admin.AdminClient({"bootstrap.servers": self.bootstrap})
        admin.create_topics([new])[name].result(20)

    def ours(self, workload: Workload, count: int) -> Drain:
        """Drain the clean topic by `hookberg sinks` into a new table."""
        self._made += 1
        name = f"{workload.name}-{self._made}"
        self.caller.new_stream(name, workload.name, name.replace("-", "_"), freshnessSeconds=2 * COMMIT_S)
        process = spawn("sinks", self.environ, self.folder.logs)
        try:
            look = rows_in(self.folder.catalog, self.tenant, name.replace("-", "_"))
            return drain(process, look, count, DEADLINE_S)
        finally:
            self.caller.call("POST", f"/api/v1/streams/{name}/stop")
            end(process)

    def theirs(self, workload: Workload, count: int, topic: str | None = None) -> Drain:
        """Drain the topic of bare payloads (or `topic`) by Kafka Connect into a new table."""
        self._made += 1
        name = f"{workload.name}_{self._made}"
        folder = self.folder.root / "connect"
        folder.mkdir(exist_ok=True)
        self.topic(connect.control_topic(name), 1)
        topic = topic or f"bare.{workload.name}"
        process = connect.start(self.peer, folder, self.bootstrap, name, topic, COMMIT_S * 1000)
        try:
            return drain(process, rows_in(folder / f"{name}.db", connect.NAMESPACE, name), count, DEADLINE_S)
        finally:
            end(process)


def spawn(command: str, environ: dict[str, str], logs: Path) -> "subprocess.Popen[bytes]":
    """Start one of our processes."""
    with (logs / f"{command}.log").open("ab") as log:
        return subprocess.Popen([*_CLI, command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ)


@contextmanager
def world(bootstrap: str, root: Path) -> Iterator[World]:
    """Yield a registry and an API on a broker; ends the API."""
    peer = connect.ensure(os.environ)
    folder = open_folder(root)
    ensure_keys(folder)
    port = free_port()
    ports = plan.choose_ports(port, free_port((port,)))
    environ = plan.environment(os.environ, folder, ports, bootstrap)
    subprocess.run([*_CLI, "migrate"], env=environ, check=True, stdout=subprocess.DEVNULL, timeout=60)
    api = spawn("api", environ, folder.logs)
    try:
        url = f"http://127.0.0.1:{ports.api}"
        eventually("the API is ready", lambda: request(url, "GET", "/readyz").status == HTTP_OK, READY_S)
        yield World(folder, environ, bootstrap, peer, Server(url, url, folder.root).new_tenant("peers"))
    finally:
        end(api)
