"""`hookberg ingress` as processes of their own: a registry on disk, the run's Kafka, two workers, plain and TLS ports.

Lives here: start, end, connections to a known worker. The control plane's part is done on the registry itself.
"""

import http.client
import os
import signal
import ssl
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from deploy.processes.clock import SystemClock
from schemas.backing.kafka import Topics
from schemas.backing.registry import SYSTEM, Registry, SourceRecord, Vault
from schemas.definitions.base import read
from schemas.definitions.source import SourceDefinition
from schemas.settings.processes import KafkaSettings
from tests.house.polling import free_port, wait_until

ROOT = Path(__file__).parents[3]
KEY = bytes(range(32))
TENANT = "real"
START_S = 90.0
END_S = 30.0
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: the status, and its JSON."""

    status: int
    json: Mapping[str, Any]

    @property
    def reason(self) -> str:
        return str(self.json.get("reason", ""))


class Line:
    """One kept connection to whichever worker took it."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        connection.connect()

    def post(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        self._connection.request("POST", path, b'{"n":1}', {"Content-Type": "application/json", **(headers or {})})
        response = self._connection.getresponse()
        return Answer(response.status, orjson.loads(response.read()))

    def read(self) -> bytes:
        """Wait for what the server says by itself."""
        return bytes(self._connection.sock.recv(1))

    def certificate(self) -> bytes:
        """Return the server's certificate, DER."""
        sock = self._connection.sock
        assert isinstance(sock, ssl.SSLSocket)
        found = sock.getpeercert(binary_form=True)
        assert found is not None
        return found

    def inode(self) -> str:
        """Return the server's end of this connection as the kernel names it."""
        ours, theirs = self._connection.sock.getsockname()[1], self._connection.sock.getpeername()[1]

        def found() -> str | None:
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
                _, local, remote, *rest = line.split()
                if (int(local.split(":")[1], 16), int(remote.split(":")[1], 16)) == (theirs, ours):
                    return rest[6]
            return None

        return str(wait_until(lambda: (inode := found()) not in {None, "0"} and inode, what="the server's socket"))

    def close(self) -> None:
        self._connection.close()


class RealIngress:
    """The running processes; `registry` is theirs."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", registry: Registry, topics: Topics, ports: tuple[int, int]
    ) -> None:
        self._process = process
        self.registry = registry
        self._topics = topics
        self.port, self.tls_port = ports
        self._names = iter(range(1_000))
        self._open: list[http.client.HTTPConnection] = []

    def source(self, auth: Mapping[str, Any]) -> tuple[SourceRecord, str, str]:
        """Make an open source with a secret URL; return it, the URL's id and its path."""
        name = f"s{next(self._names)}"
        definition = read(SourceDefinition, {"platform": "shop", "name": name, "auth": auth})
        sources = self.registry.sources
        made = sources.create(TENANT, definition, partitioning="source", partitions=1, actor=SYSTEM)
        for topic in self._topics.ensure_source_topics(made):
            self.registry.topics.put(topic, actor=SYSTEM)
        sources.set_open(TENANT, made.id, actor=SYSTEM)
        url_id, token = sources.add_url(TENANT, made.id, actor=SYSTEM)
        return made, url_id, f"/in/{token}"

    def workers(self) -> list[int]:
        """Return the pids of the workers."""
        found = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [int(pid) for pid in found.split()]

    def line(self, tls: ssl.SSLContext | None = None, *, source: str = "127.0.0.1") -> Line:
        """Open a connection; `source` is the address that it comes from."""
        given: http.client.HTTPConnection
        if tls is None:
            given = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30, source_address=(source, 0))
        else:
            given = http.client.HTTPSConnection(
                "127.0.0.1", self.tls_port, timeout=30, source_address=(source, 0), context=tls
            )
        self._open.append(given)
        return Line(given)

    def hang_up(self) -> None:
        """End all connections."""
        while self._open:
            self._open.pop().close()

    def lines(self, tls: ssl.SSLContext | None = None) -> dict[int, Line]:
        """Open connections until each worker has one; return them by the worker's pid."""
        wanted, found = set(self.workers()), dict[int, Line]()
        for _ in range(500):
            line = self.line(tls)
            owner = next((pid for pid in wanted if line.inode() in _sockets(pid)), None)
            if owner is None or owner in found:
                line.close()
            else:
                found[owner] = line
            if found.keys() == wanted:
                return found
        raise AssertionError(f"500 connections met only {len(found)} of {len(wanted)} workers")


def _sockets(pid: int) -> set[str]:
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
    return found


@dataclass(frozen=True, slots=True)
class Launched:
    """The supervisor's process, what it prints, its registry and ports."""

    process: "subprocess.Popen[bytes]"
    output: Path
    registry: Registry
    ports: tuple[int, int]

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(END_S)
        finally:
            self.process.kill()
            self.process.wait()
            self.registry.close()

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.output.read_text()[-3000:]
        return self.output.read_text().count("ingress_ready") == WORKERS


def launch(folder: Path, bootstrap: str, **settings: str) -> Launched:
    """Start the command with an empty registry; `settings` by environment names, prefix left off; "" takes one away."""
    url = f"sqlite:///{folder / 'registry.db'}"
    registry = Registry(url, vault=Vault(KEY), clock=SystemClock())
    registry.migrate()
    registry.tenants.create(TENANT, actor=SYSTEM)
    ports = free_port(), free_port()
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "REGISTRY_URL": url,
        "VAULT_KEY": urlsafe_b64encode(KEY).decode(),
        "INGEST_PORT": str(ports[0]),
        "INGEST_TLS_PORT": str(ports[1]),
        "INGEST_WORKERS": str(WORKERS),
        "TALLY_FLUSH_S": "0.2",
        "ACK_BUDGET_S": "20",
        **settings,
    }
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HOOKBERG_")}
    environ |= {f"HOOKBERG_{name}": value for name, value in given.items() if value}
    output = folder / "output"
    with output.open("wb") as log:
        command = (sys.executable, "-m", "deploy.cli", "ingress")
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=subprocess.STDOUT)
    return Launched(process, output, registry, ports)


@contextmanager
def real_ingress(folder: Path, bootstrap: str, **settings: str) -> Iterator[RealIngress]:
    """Run two workers until the test is over."""
    launched = launch(folder, bootstrap, **settings)
    kafka = KafkaSettings(kafka_bootstrap_servers=bootstrap, replication_factor=1, min_insync_replicas=1)
    try:
        wait_until(launched.is_ready, START_S, what="two ready workers")
        yield RealIngress(launched.process, launched.registry, Topics(kafka), launched.ports)
    finally:
        launched.end()
