"""The test broker as a container, when an engine answers.

Lives here: the engine's ping and one Kafka container. May not live here: sharing it (broker.py).
Image: https://hub.docker.com/r/apache/kafka, library: https://testcontainers-python.readthedocs.io
HOOKBERG_TEST_BROKER=local keeps to the local broker even when an engine answers.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from deploy.local.kafka import KAFKA_VERSION
from deploy.local.kafka.probe import brokers_seen
from tests.house.polling import free_port, wait_until

DEFAULT_SOCKET = "/var/run/docker.sock"
PING_TIMEOUT_S = 2.0
START_TIMEOUT_S = 120.0
_CONTROLLER = 9093


@dataclass(frozen=True, slots=True)
class Started:
    """A running broker container."""

    bootstrap: str
    container_id: str


def engine_answers(environ: Mapping[str, str]) -> bool:
    """Tell whether a container engine answers `GET /_ping` on DOCKER_HOST or the default socket."""
    if environ.get("HOOKBERG_TEST_BROKER") == "local":
        return False
    address = urlsplit(environ.get("DOCKER_HOST") or f"unix://{DEFAULT_SOCKET}")
    try:
        with _connect(address.scheme, address.path, address.hostname, address.port) as connection:
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
            return b" 200 " in connection.recv(64)
    except OSError:
        return False


def start_broker() -> Started:
    """Start a one-node broker on a free loopback port and wait until it answers."""
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    testcontainers_config.ryuk_disabled = True  # several workers share the broker: the last one removes it
    port = free_port()
    container = DockerContainer(f"apache/kafka:{KAFKA_VERSION}").with_bind_ports(port, port)
    for key, value in _settings(port).items():
        container = container.with_env(key, value)
    container.start()
    identity = str(container.get_wrapped_container().id)
    try:
        wait_until(lambda: brokers_seen(port) >= 1, START_TIMEOUT_S, what="the broker container's answer")
    except AssertionError:
        container.stop()
        raise
    return Started(f"127.0.0.1:{port}", identity)


def remove(container_id: str) -> None:
    """Remove a container, whoever started it."""
    import docker

    client = docker.from_env()
    try:
        client.containers.get(container_id).remove(force=True, v=True)
    finally:
        client.close()


def _settings(port: int) -> dict[str, str]:
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"PLAINTEXT://0.0.0.0:{port},CONTROLLER://127.0.0.1:{_CONTROLLER}",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": f"1@127.0.0.1:{_CONTROLLER}",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "4",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS": "1000",
    }


def _connect(scheme: str, path: str, host: str | None, port: int | None) -> socket.socket:
    if scheme == "unix":
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(PING_TIMEOUT_S)
        try:
            connection.connect(path)
        except OSError:
            connection.close()
            raise
        return connection
    return socket.create_connection((host or "127.0.0.1", port or 2375), PING_TIMEOUT_S)
