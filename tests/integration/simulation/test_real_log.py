"""A real broker passes the suite that the log in memory is held to (tests/simulation/log_rules.py)."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from tests.house.polling import wait_until
from tests.simulation import log_rules
from tests.simulation.log_rules import RULES, Cluster, Seen


class Real:
    """Implements Cluster; transactional ids are its own."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap, self._topic = bootstrap, topic
        admin = AdminClient({"bootstrap.servers": bootstrap})
        admin.create_topics([NewTopic(topic, 2, 1)], request_timeout=30)[topic].result(30)
        wait_until(lambda: len(admin.list_topics(topic, 10).topics[topic].partitions) == 2, deadline_s=30)

    def producer(self, name: str) -> Any:
        return Producer(
            {"bootstrap.servers": self._bootstrap, "transactional.id": f"{self._topic}-{name}", "linger.ms": 0}
        )

    def read(self, partition: int, *, committed: bool = True) -> list[Seen]:
        consumer = self._consumer(committed=committed)
        try:
            consumer.assign([TopicPartition(self._topic, partition, 0)])
            found: list[Seen] = []
            while True:
                message = consumer.poll(30)
                assert message is not None, "neither a record nor the end came in 30 s"
                problem = message.error()
                if problem is None:
                    found.append(Seen(message.offset() or 0, message.value()))
                elif problem.code() == KafkaError._PARTITION_EOF:
                    return found
                else:
                    raise AssertionError(problem)
        finally:
            consumer.close()

    def end(self, partition: int, *, committed: bool) -> int:
        consumer = self._consumer(committed=committed)
        try:
            return int(consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=30)[1])
        finally:
            consumer.close()

    def _consumer(self, *, committed: bool) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": self._topic,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed" if committed else "read_uncommitted",
            }
        )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_broker_keeps_the_rules(
    kafka_bootstrap: str, rule: Callable[[Cluster], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = f"rules-{uuid.uuid4().hex[:8]}"
    monkeypatch.setattr(log_rules, "TOPIC", topic)
    rule(Real(kafka_bootstrap, topic))
