"""Reads topics as any consumer would: read_committed, first offset to end; Avro by the published schemas."""

import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.backing.kafka.ids import topic_id_text

AVRO = Path(__file__).resolve().parents[2] / "schemas" / "wire" / "avro"
SINGLE_OBJECT_HEAD = 10
READ_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Read:
    """One record as read."""

    topic: str
    partition: int
    offset: int
    value: bytes
    headers: dict[str, bytes]
    key: bytes = b""


@dataclass(frozen=True, slots=True)
class Everything:
    """All records of some topics and, per (topic, partition), the end offset at the time of reading."""

    records: list[Read]
    ends: dict[tuple[str, int], int]

    def of(self, topic: str) -> Iterator[Read]:
        """Yield the records of one topic, each partition in order."""
        return (record for record in self.records if record.topic == topic)


def read_all(bootstrap: str, topics: list[str]) -> Everything:
    """Read every committed record of `topics`; missing topics are left out; fails when the end is not met in time."""
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": "a-reader-that-never-commits",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "fetch.wait.max.ms": 10,  # an end is told after it
    }
    consumer = Consumer(settings)
    try:
        assigned = [
            (topic, partition)
            for topic, found in consumer.list_topics(timeout=10).topics.items()
            if topic in topics and found.error is None
            for partition in found.partitions
        ]
        ends = {key: consumer.get_watermark_offsets(TopicPartition(*key), timeout=10)[1] for key in assigned}
        consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in assigned])
        return Everything(_drain(consumer, set(assigned)), ends)
    finally:
        consumer.close()


def served(bootstrap: str, topics: list[str]) -> bool:
    """Tell whether every partition of `topics` answers; not so for a moment after a broker's start."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "a-reader-that-never-commits"})
    try:
        known = consumer.list_topics(timeout=10).topics
        for topic in topics:
            if topic not in known or not known[topic].partitions:
                return False
            for partition in known[topic].partitions:
                consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
    except KafkaException:
        return False
    finally:
        consumer.close()
    return True


def ids(bootstrap: str, topics: list[str]) -> dict[str, tuple[str, int]]:
    """Return (topic id, partition count) of each topic."""
    admin = AdminClient({"bootstrap.servers": bootstrap})  # its futures end with it
    futures = admin.describe_topics(TopicCollection(topics))
    told = {name: future.result(READ_TIMEOUT_S) for name, future in futures.items()}
    return {name: (topic_id_text(one.topic_id), len(one.partitions)) for name, one in told.items()}


def _drain(consumer: Any, open_: set[tuple[str, int]]) -> list[Read]:
    records: list[Read] = []
    deadline = time.monotonic() + READ_TIMEOUT_S
    while open_:
        assert time.monotonic() < deadline, f"no end met of {sorted(open_)}: does a transaction hang?"
        for message in consumer.consume(500, 0.02):
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                open_.discard((message.topic(), message.partition()))
            elif error is not None:
                raise KafkaException(error)
            else:
                headers = {name: value or b"" for name, value in message.headers() or []}
                value = message.value() or b""
                key = message.key() or b""
                records.append(Read(message.topic(), message.partition(), message.offset(), value, headers, key))
    return records


def avro(name: str, value: bytes) -> dict[str, Any]:
    """Decode an Avro single-object record by the published schema `name`."""
    schema = fastavro.parse_schema(json.loads((AVRO / f"{name}.avsc").read_text("utf-8")))
    found = fastavro.schemaless_reader(io.BytesIO(value[SINGLE_OBJECT_HEAD:]), schema, None)
    assert isinstance(found, dict)
    return found
