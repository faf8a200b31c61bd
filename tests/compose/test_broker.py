"""The test broker through testcontainers, on the engine of this run (tests/house/container.py)."""

import os
import uuid

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.local.kafka import KAFKA_VERSION
from tests.compose import images
from tests.compose.conftest import Steps
from tests.compose.engine import Engine
from tests.house import container

WAIT_S = 30.0


def test_testcontainers_starts_a_broker_that_takes_a_transaction(
    container_engine: Engine, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    images.ensure(container_engine, f"docker.io/apache/kafka:{KAFKA_VERSION}")
    monkeypatch.setenv("DOCKER_HOST", container_engine.environ.get("DOCKER_HOST", f"unix://{container.DEFAULT_SOCKET}"))
    monkeypatch.delenv("HOOKBERG_TEST_BROKER", raising=False)
    assert container.engine_answers(os.environ)
    with steps("testcontainers broker"):
        started = container.start_broker()
    try:
        _commit_one(started.bootstrap)
    finally:
        container.remove(started.container_id)
    assert started.container_id not in container_engine.run("ps", "-aq", "--no-trunc").split()


def _commit_one(bootstrap: str) -> None:
    topic = "t"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    (made,) = admin.create_topics([NewTopic(topic, 1, 1)]).values()
    made.result(WAIT_S)
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(WAIT_S)
    for value, end in ((b"lost", producer.abort_transaction), (b"kept", producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce(topic, value)
        end(WAIT_S)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "g",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    try:
        consumer.subscribe([topic])
        (message,) = consumer.consume(1, WAIT_S)
        assert message.value() == b"kept"
    finally:
        consumer.close()
