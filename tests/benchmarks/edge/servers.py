"""The three servers, each a process on a topic of 8 partitions: ours, the floor, Go with franz-go where Go is there.

Lives here: start, CPU time, end. The load: senders.py; what is compared: compare.py.
"""

import os
import shutil
import socket
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.processes.clock import SystemClock
from schemas.backing.kafka import Topics
from schemas.backing.registry import SYSTEM, Registry, Vault
from schemas.definitions.base import read
from schemas.definitions.source import SourceDefinition
from schemas.settings.processes import KafkaSettings
from tests.house.polling import free_port, wait_until
from tests.integration.ingress.measure import SECRET

ROOT = Path(__file__).parents[3]
TENANT = "bench"
PARTITIONS = 8
LINGER_MS = 2
BUILD_S = 600
START_S = 60.0
_KEY = bytes(range(32))
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Serving:
    """A server's process and port; with several workers the supervisor's."""

    process: "subprocess.Popen[bytes]"
    port: int

    def cpu_s(self) -> float:
        """Return user + system seconds of the process and its workers, all threads."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return sum([_cpu_s(pid) for pid in (self.process.pid, *map(int, children))])


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def build_go(folder: Path) -> Path | str:
    """Build the Go edge, its module fetched by name with Go's own settings; a text says why it cannot be had."""
    go = shutil.which("go")
    if go is None:
        return "Go is not installed"
    work = folder / "go"
    shutil.copytree(Path(__file__).parent / "go", work)
    environ = {**os.environ, "GOFLAGS": "-mod=mod"}
    command = [go, "build", "-o", "edge", "."]
    try:
        done = subprocess.run(command, cwd=work, env=environ, capture_output=True, timeout=BUILD_S, check=False)
    except subprocess.TimeoutExpired:
        return f"the Go edge was not built within {BUILD_S} s"
    return work / "edge" if done.returncode == 0 else f"the Go edge was not built: {done.stderr.decode()[-500:]}"


@contextmanager
def go(binary: Path, more: tuple[str, ...], bootstrap: str, _workers: int) -> Iterator[Serving]:
    """Run net/http and franz-go; `more` ("headers",): each header of a request is one of its record."""
    topic = _topic(bootstrap, "bench.go")
    port = free_port()
    with _running((str(binary), str(port), bootstrap, topic, str(LINGER_MS), *more), port) as made:
        yield made


@contextmanager
def floor(bootstrap: str, _workers: int) -> Iterator[Serving]:
    """Run aiohttp's low-level server with what cannot be left out."""
    topic = _topic(bootstrap, "bench.floor")
    port = free_port()
    command = (sys.executable, "-m", "tests.benchmarks.edge.floor", str(port), bootstrap, topic, str(LINGER_MS))
    with _running(command, port) as made:
        yield made


@contextmanager
def ours(folder: Path, bootstrap: str, workers: int) -> Iterator[Serving]:
    """Run `hookberg ingress` with a registry and a signed GitHub source of its own."""
    folder.mkdir(exist_ok=True)
    url = f"sqlite:///{folder / 'registry.db'}"
    if not (folder / "registry.db").exists():
        _register(url, bootstrap)
    port = free_port()
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "REGISTRY_URL": url,
        "VAULT_KEY": urlsafe_b64encode(_KEY).decode(),
        "INGEST_PORT": str(port),
        "INGEST_WORKERS": str(workers),
        "ACK_BUDGET_S": "20",
        "LOG_LEVEL": "error",
    }
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HOOKBERG_")}
    environ |= {f"HOOKBERG_{name}": value for name, value in given.items()}
    with _running((sys.executable, "-m", "deploy.cli", "ingress"), port, environ) as made:
        yield made


def _register(url: str, bootstrap: str) -> None:
    registry = Registry(url, vault=Vault(_KEY), clock=SystemClock())
    kafka = KafkaSettings(kafka_bootstrap_servers=bootstrap, replication_factor=1, min_insync_replicas=1)
    try:
        registry.migrate()
        registry.tenants.create(TENANT, actor=SYSTEM)
        auth = {"type": "github", "secrets": [SECRET.decode()]}
        definition = read(SourceDefinition, {"platform": "github", "auth": auth})
        made = registry.sources.create(TENANT, definition, partitioning="event", partitions=PARTITIONS, actor=SYSTEM)
        for topic in Topics(kafka).ensure_source_topics(made):
            registry.topics.put(topic, actor=SYSTEM)
        registry.sources.set_open(TENANT, made.id, actor=SYSTEM)
    finally:
        registry.close()


def _topic(bootstrap: str, name: str) -> str:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    if name not in admin.list_topics(timeout=30).topics:
        config = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": str(32 << 20)}
        for made in admin.create_topics([NewTopic(name, PARTITIONS, 1, config=config)]).values():
            made.result(30)
    return name


@contextmanager
def _running(command: Sequence[str], port: int, environ: Mapping[str, str] | None = None) -> Iterator[Serving]:
    process = subprocess.Popen(command, cwd=ROOT, env=None if environ is None else dict(environ))
    try:
        wait_until(_answering(process, port), START_S, what=f"{command[0]} on its port")
        yield Serving(process, port)
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()


def _answering(process: "subprocess.Popen[bytes]", port: int) -> Callable[[], bool]:
    def asked() -> bool:
        assert process.poll() is None, f"ended with {process.returncode}"
        with socket.socket() as line:
            line.settimeout(1.0)
            return line.connect_ex(("127.0.0.1", port)) == 0

    return asked
