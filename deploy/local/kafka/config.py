"""What one local cluster is: folder, id, ports, JVM; and the server.properties that follow from it.

Lives here: frozen values and the text of the files. May not live here: processes (broker.py).
Settings: https://kafka.apache.org/documentation/#brokerconfigs
"""

import base64
import json
import os
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.ports import keep_or_choose
from schemas.reasons import Reason

MAX_NODES = 3
CLUSTER_FILE = "cluster.json"
SESSION_TIMEOUT_MS = 4000
"""A killed broker's successor is refused until its session ends: 9000 (the default) makes such a restart take 11 s."""
LOG4J = """status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %m (%c{1})%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
logger.start.name = kafka.server.KafkaRaftServer
logger.start.level = info
"""


@dataclass(frozen=True, slots=True)
class JvmOptions:
    """Options of the broker's Java. Default: 512 MB heap and the full compiler.

    MetaspaceSize: below it classes that are loaded end in full collections, of up to 0.4 s when the first data comes.
    """

    options: tuple[str, ...] = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:MetaspaceSize=96m")

    @classmethod
    def small(cls) -> "JvmOptions":
        """Return what tests use: 256 MB heap, first-tier compiler only (starts 1.4 s sooner, slower under load)."""
        return cls(("-Xmx256m", "-XX:+UseSerialGC", "-XX:MetaspaceSize=96m", "-XX:TieredStopAtLevel=1"))


@dataclass(frozen=True, slots=True)
class NodePorts:
    """One node's listeners on the loopback address."""

    broker: int
    controller: int


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """One local cluster of 1 to 3 combined nodes; `overrides` are extra server.properties."""

    data: Path
    cluster_id: str
    nodes: tuple[NodePorts, ...]
    jvm: JvmOptions = JvmOptions()
    overrides: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= len(self.nodes) <= MAX_NODES:
            raise ValueError(f"1 to {MAX_NODES} nodes, not {len(self.nodes)}")
        if not self.data.is_absolute() or "," in str(self.data):
            raise LocalError(
                Reason.DATA_DIR_UNUSABLE, f"{self.data}: Kafka needs an absolute folder without a comma in its path"
            )

    @property
    def bootstrap(self) -> str:
        """Return `host:port,…` of every broker."""
        return ",".join(f"127.0.0.1:{node.broker}" for node in self.nodes)

    @property
    def node_ids(self) -> tuple[int, ...]:
        """Return the node ids, from 1."""
        return tuple(range(1, len(self.nodes) + 1))

    def node_dir(self, node: int) -> Path:
        """Return the folder of one node."""
        return self.data / f"n{node}"

    def properties_path(self, node: int) -> Path:
        """Return the path of one node's server.properties: what its command line names."""
        return self.node_dir(node) / "server.properties"

    def properties(self, node: int) -> dict[str, str]:
        """Return one node's server.properties."""
        ports = self.nodes[node - 1]
        replicas = len(self.nodes)
        in_sync = max(1, replicas - 1)
        voters = ",".join(f"{i}@127.0.0.1:{self.nodes[i - 1].controller}" for i in self.node_ids)
        values: dict[str, object] = {
            "process.roles": "broker,controller",
            "node.id": node,
            "listeners": f"PLAINTEXT://127.0.0.1:{ports.broker},CONTROLLER://127.0.0.1:{ports.controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{ports.broker}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": voters,
            "log.dirs": self.node_dir(node) / "log",
            "num.partitions": 1,
            "default.replication.factor": replicas,
            "min.insync.replicas": in_sync,
            "auto.create.topics.enable": "false",
            "delete.topic.enable": "true",
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": in_sync,
            "share.coordinator.state.topic.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": replicas,
            "share.coordinator.state.topic.min.isr": in_sync,
            "broker.heartbeat.interval.ms": 500,
            "broker.session.timeout.ms": SESSION_TIMEOUT_MS,
            "num.io.threads": 4,
            "num.network.threads": 2,
            "num.recovery.threads.per.data.dir": 2,
            "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
            "log.index.size.max.bytes": 1024 * 1024,
        }
        return {key: str(value) for key, value in values.items()} | dict(self.overrides)

    def properties_text(self, node: int) -> str:
        """Return server.properties as text, escaped as java.util.Properties wants it: the file is read as latin-1."""
        return "".join(f"{key}={_escaped(value)}\n" for key, value in self.properties(node).items())


def load_or_create(
    data: Path,
    *,
    nodes: int = 1,
    jvm: JvmOptions | None = None,
    overrides: tuple[tuple[str, str], ...] = (),
    choose: Callable[[int | None, Collection[int]], int] = keep_or_choose,
    avoid: Collection[int] = (),
) -> BrokerConfig:
    """Return the cluster kept in `data/cluster.json`, or a new one; ports stay when they are free.

    The number of nodes is fixed when the cluster is made. Writes the file (0600) when anything changed.
    Raises LocalError `data_dir_unusable` when the file cannot be read.
    """
    path = data / CLUSTER_FILE
    kept = _read(path)
    cluster_id = kept.cluster_id if kept else _new_id()
    before: list[list[int]] = kept.ports if kept else []
    used = set(avoid)
    pairs: list[NodePorts] = []
    for index in range(len(before) or nodes):
        wanted = before[index] if before else [None, None]
        broker = choose(wanted[0], used)
        used.add(broker)
        controller = choose(wanted[1], used)
        used.add(controller)
        pairs.append(NodePorts(broker, controller))
    config = BrokerConfig(data, cluster_id, tuple(pairs), jvm or JvmOptions(), overrides)
    ports = [[pair.broker, pair.controller] for pair in pairs]
    if not kept or before != ports:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_private(path, json.dumps({"clusterId": cluster_id, "ports": ports}))
    return config


@dataclass(frozen=True, slots=True)
class _Kept:
    cluster_id: str
    ports: list[list[int]]


def _read(path: Path) -> _Kept | None:
    if not path.exists():
        return None
    try:
        value = json.loads(path.read_text())
        pairs = [[int(broker), int(controller)] for broker, controller in value["ports"]]
        cluster_id = str(value["clusterId"])
    except (ValueError, KeyError, TypeError) as error:
        raise LocalError(
            Reason.DATA_DIR_UNUSABLE,
            f"{path} cannot be read ({error}); restore it, or delete {path.parent} and lose its data",
        ) from error
    return _Kept(cluster_id, pairs)


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


_ASCII = 128


def _escaped(value: str) -> str:
    units = value.replace("\\", "\\\\").encode("utf-16-be", "surrogatepass")
    codes = [int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2)]
    return "".join(chr(code) if code < _ASCII else f"\\u{code:04x}" for code in codes)


def _new_id() -> str:
    """Return a fresh cluster id: 16 random bytes as 22 url-safe characters that do not start with a dash."""
    while True:
        text = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
        if not text.startswith("-"):
            return text
