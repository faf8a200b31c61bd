"""The local broker for real: it keeps data over restarts and kills, in one node and in three."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.local.errors import LocalError
from deploy.local.kafka import Broker, JvmOptions, ensure_runtime
from deploy.local.kafka.config import load_or_create
from schemas.reasons import Reason
from tests.house.polling import wait_until


def cluster(folder: Path, nodes: int = 1) -> Broker:
    return Broker(load_or_create(folder, nodes=nodes, jvm=JvmOptions.small()), ensure_runtime())


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    one = cluster(tmp_path / "kafka")
    one.start()
    yield one
    one.kill()


def write(bootstrap: str, values: list[bytes], replicas: int = 1) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for done in admin.create_topics([NewTopic("kept", 1, replicas)]).values():
        done.result(20)
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for value in values:
        producer.produce("kept", value, partition=0)
    assert producer.flush(20) == 0


def read(bootstrap: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False})
    consumer.assign([TopicPartition("kept", 0, 0)])
    values: list[bytes] = []

    def enough() -> bool:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            values.append(message.value() or b"")
        return len(values) >= count

    try:
        wait_until(enough, 30.0)
    finally:
        consumer.close()
    return values


def test_keeps_data_over_a_clean_restart_and_a_kill(broker: Broker) -> None:
    values = [b"one", b"two", b"three"]
    write(broker.config.bootstrap, values)
    broker.stop()
    assert broker.pid(1) is None
    broker.start()
    assert read(broker.config.bootstrap, 3) == values
    broker.kill()
    assert broker.pid(1) is None
    broker.start()
    assert read(broker.config.bootstrap, 3) == values


def test_a_transaction_that_a_killed_broker_leaves_open_is_not_committed_with_the_next(broker: Broker) -> None:
    """Kafka 4.3.1 ends it without its abort markers; then the next commit shows its records (KAFKA-20734)."""
    bootstrap = broker.config.bootstrap
    write(bootstrap, [b"first"])
    transactional = {"bootstrap.servers": bootstrap, "transactional.id": "one", "transaction.timeout.ms": 1000}
    dead = Producer(transactional)
    dead.init_transactions(30)
    dead.begin_transaction()
    dead.produce("kept", b"never committed", partition=0)
    assert dead.flush(20) == 0
    broker.kill()
    broker.start()
    successor = Producer(transactional)
    successor.init_transactions(60)
    successor.begin_transaction()
    successor.produce("kept", b"committed", partition=0)
    successor.commit_transaction(60)
    assert read(bootstrap, 2) == [b"first", b"committed"]


def test_start_leaves_a_running_node_alone(broker: Broker) -> None:
    before = broker.pid(1)
    broker.start()
    assert before is not None
    assert broker.pid(1) == before


def test_another_handle_on_the_same_folder_finds_the_process(broker: Broker) -> None:
    other = cluster(broker.config.data)
    assert other.config.cluster_id == broker.config.cluster_id
    assert other.pid(1) == broker.pid(1)


def test_never_touches_a_process_that_is_not_its_node(broker: Broker) -> None:
    own = broker.pid(1)
    broker.adopt(1, 1)
    assert broker.pid(1) is None
    broker.kill()
    assert own is not None
    broker.adopt(1, own)
    assert broker.pid(1) == own


def test_quotes_the_log_when_the_broker_cannot_start(tmp_path: Path) -> None:
    config = load_or_create(tmp_path / "kafka", jvm=JvmOptions(("-Xmx1k",)))
    with pytest.raises(LocalError, match="Last log lines") as failure:
        Broker(config, ensure_runtime()).start()
    assert failure.value.reason is Reason.BROKER_NOT_READY
    assert "heap" in failure.value.message


def test_three_nodes_serve_with_one_of_them_killed(tmp_path: Path) -> None:
    three = cluster(tmp_path / "kafka", nodes=3)
    three.start()
    try:
        write(three.config.bootstrap, [b"one", b"two"], replicas=3)
        three.kill([2])
        assert read(three.config.bootstrap, 2) == [b"one", b"two"]
        three.start([2])
        wait_until(three.ready, 30.0)
    finally:
        three.kill()
