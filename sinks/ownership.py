"""Who writes which table: a Kafka consumer group over the ownership topic.

Lives here: joining and leaving. A table is hashed to a partition of `_hookberg.ownership`, whoever is assigned the
partition owns the table; nothing is ever read from the topic (rule 21). On revoke the tails are stopped before the
broker gives the partition to another member. Membership is static where the process has a fixed port, so a restarted
process takes its tables back at once instead of after the session time-out (KIP-345).
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas import logs, topics
from schemas.backing.kafka import fatal

GROUP = "hookberg-sinks"
POLL_S = 0.2
REQUEST_S = 10.0
log = logs.logger(__name__)
Gone = Callable[[Callable[[int], bool]], None]


class Ownership:
    """A member of the group, in a thread; `owned()` is what it may write now."""

    def __init__(
        self,
        kafka: Mapping[str, Any],
        *,
        session_timeout_s: float,
        instance: str | None,
        gone: Gone,
        group: str = GROUP,
    ) -> None:
        config = {
            **kafka,
            "group.id": group,
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": int(session_timeout_s * 1000),
            "heartbeat.interval.ms": max(100, int(session_timeout_s * 1000 / 6)),
            "enable.auto.commit": False,
            "auto.offset.reset": "latest",
            "allow.auto.create.topics": False,
            "topic.metadata.refresh.interval.ms": 10_000,
        }
        if instance is not None:
            config["group.instance.id"] = instance
        self._consumer = Consumer(config)
        self._gone = gone
        self._owned: frozenset[int] = frozenset()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ownership", daemon=True)
        self.failed: BaseException | None = None
        self.count = 0

    def start(self) -> None:
        """Join the group."""
        self._thread.start()

    def owned(self) -> frozenset[int]:
        """Return the partitions that this process owns now."""
        return self._owned

    def stop(self) -> None:
        """Give everything back (the tails are stopped first) and leave; blocks up to 10 s."""
        self._stop.set()
        self._thread.join(REQUEST_S)

    def _run(self) -> None:
        try:
            self._count()
            self._consumer.subscribe(
                [topics.OWNERSHIP], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
            while not self._stop.is_set():
                message = self._consumer.poll(POLL_S)
                error = message.error() if message is not None else None
                if error is not None and fatal(error):
                    raise KafkaException(error)  # noqa: TRY301 caught below: told to the process
                if error is not None:
                    log.warning("ownership_error", error=str(error))
        except BaseException as error:  # noqa: BLE001 told to the process, which ends
            self.failed = error
        finally:
            self._release(lambda _partition: True)
            self._consumer.close()

    def _count(self) -> None:
        """Wait for the ownership topic and learn its number of partitions."""
        while not self._stop.is_set():
            try:
                found = self._consumer.list_topics(topics.OWNERSHIP, timeout=REQUEST_S).topics[topics.OWNERSHIP]
            except KafkaException as error:
                log.warning("ownership_waits", error=str(error))
            else:
                if found.error is None and found.partitions:
                    self.count = len(found.partitions)
                    return
                log.warning("ownership_waits", error=f"topic {topics.OWNERSHIP} does not exist yet")
            self._stop.wait(1.0)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        consumer.pause(partitions)
        self._owned |= {partition.partition for partition in partitions}
        log.info("tables_taken", partitions=len(partitions), owned=len(self._owned))

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        leaving = {partition.partition for partition in partitions}
        self._release(leaving.__contains__)
        consumer.incremental_unassign(partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._on_revoke(consumer, partitions)

    def _release(self, gone: Callable[[int], bool]) -> None:
        self._owned = frozenset(partition for partition in self._owned if not gone(partition))
        self._gone(gone)
