"""The floor: a plain confluent-kafka loop that does the stage's work without transactions.

`python -m tests.benchmarks.plain CONFIG`. The same functions (parse, identify, look-up, validate, decide, emit, states,
accounts), the same output, ledger and changelog records; an idempotent producer, RocksDB per batch, group offsets. No
transaction, no marks or positions, no Faust, no aiokafka: what the stage costs more is the price of those.
"""

import gc
import json
import signal
import sys
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from schemas.settings import StreamsSettings
from schemas.vendors.github import GITHUB
from schemas.wire import ledger as ledger_wire
from schemas.wire.raw import RawRecord
from streams.account import Account
from streams.app import GC_THRESHOLD
from streams.engine.chunks import CHUNK_RECORDS
from streams.engine.conductor import raw_topics
from streams.engine.directory import Directory, LiveTopic
from streams.engine.recovery import CHANGELOG_PARTITIONS, changelog, ensure_changelog
from streams.engine.table import FirstSeenTable, Writes
from streams.judge import Judge
from tests.benchmarks.stage_ground import PARTITIONS
from tests.house.polling import wait_until
from tests.integration.streams.worker import FileRegistry

BATCH = 2_000
COMMIT_RECORDS = 20_000
COMMIT_S = 0.25
"""Ledger, flush and group offsets as often as the stage's transactions by default."""


class Plain:
    """One process, one thread of ours."""

    def __init__(self, config: Mapping[str, Any], registry: FileRegistry) -> None:
        self.settings = StreamsSettings(**config["settings"])
        self.registry, self.group = registry, config["group"]
        kafka: dict[str, Any] = {"bootstrap.servers": self.settings.kafka_bootstrap_servers}
        directory = Directory(kafka)
        ensure_changelog(directory.admin, self.group, replication=1, min_insync=1)
        self.live = directory.resolve(raw_topics(registry.current(), self.group))
        self.changelog = changelog(self.group)
        self.table = FirstSeenTable("seen", self.settings.state_dir / self.group)
        self.table.open()
        self.table.open_writes = (Writes(),)
        sending = {"enable.idempotence": True, "acks": "all", "linger.ms": 5, "compression.type": "lz4"}
        room = {"batch.size": 1_000_000, "queue.buffering.max.messages": 1_000_000}
        self.producer = Producer(kafka | sending | room)
        reading = {"group.id": self.group, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        reading |= {"check.crcs": True}  # as the stage does
        self.consumer = Consumer(kafka | reading)
        self.judge = Judge(lambda _platform: GITHUB)
        self.accounts: dict[tuple[str, int], Account] = {}
        self.next: dict[tuple[str, int], int] = {}

    def run(self) -> None:
        """Read, decide, write, for ever."""
        self.consumer.assign([TopicPartition(name, n, 0) for name in self.live for n in range(PARTITIONS)])
        taken, due = 0, time.monotonic() + COMMIT_S
        while True:
            messages = self.consumer.consume(BATCH, 0.05)
            for (name, partition), records in _by_partition(messages).items():
                topic = self.live[name]
                for start in range(0, len(records), CHUNK_RECORDS):
                    self.chunk(topic, partition, records[start : start + CHUNK_RECORDS])
            if messages:
                (writes,) = self.table.open_writes
                self.table.apply(writes, {})
                self.table.open_writes = (Writes(),)
            taken += len(messages)
            if self.accounts and (taken >= COMMIT_RECORDS or time.monotonic() >= due):
                self.commit()
                taken, due = 0, time.monotonic() + COMMIT_S

    def chunk(self, topic: LiveTopic, partition: int, records: list[RawRecord]) -> None:
        """Decide records of one partition in order and produce what they become."""
        snapshot, place, known = self.registry.current(), topic.place(partition), self.table.read(())
        produce, states = self.producer.produce, self.table.open_writes[0].states
        decided = self.judge.records(records, 0, place, snapshot, known, time.time_ns() // 1000)
        for one in decided:
            for name, number, key, value in one.records:
                produce(name, value, key, number)
            decision = one.decision
            if decision.write is not None:
                state = states[decision.key] = decision.write.pack()
                produce(self.changelog, state, decision.key, zlib.crc32(decision.key) % CHANGELOG_PARTITIONS)
        self.producer.poll(0)
        where = str(topic.name), partition
        account = self.accounts.get(where)
        if account is None:
            account = self.accounts[where] = Account(records[0].offset)
        self.next[where] = records[-1].offset + 1
        account.add([one.decision for one in decided], self.next[where])

    def commit(self) -> None:
        """Write the ledger, wait for every delivery, commit the group's offsets."""
        now_us = time.time_ns() // 1000
        for (name, partition), account in self.accounts.items():
            topic = self.live[name]
            record = account.record(name, topic.topic_id, partition, self.group, now_us)
            value, key = ledger_wire.encode(record), f"{name}:{partition}".encode()
            self.producer.produce(topic.ledger, value, key, partition % topic.ledger_partitions)
        self.accounts.clear()
        assert self.producer.flush(60) == 0
        places = [TopicPartition(name, partition, offset) for (name, partition), offset in self.next.items()]
        self.consumer.commit(offsets=places, asynchronous=False)


def _by_partition(messages: list[Message]) -> dict[tuple[str, int], list[RawRecord]]:
    found: dict[tuple[str, int], list[RawRecord]] = {}
    for message in messages:
        assert message.error() is None, message.error()
        partition, given = message.partition(), message.headers() or []
        record = RawRecord(partition, message.offset(), message.timestamp()[1], message.value(), tuple(given))  # type: ignore[arg-type]
        key: Any = (message.topic(), partition)
        if key in found:
            found[key].append(record)
        else:
            found[key] = [record]
    return found


def main(path: Path) -> None:
    """Be ready, wait until the topics are not paused, run until SIGTERM."""
    gc.set_threshold(*GC_THRESHOLD)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    config = json.loads(path.read_text())
    registry = FileRegistry(path.with_name("registry.json"))
    plain = Plain(config, registry)
    path.with_name("ready").touch()
    topics = registry.current
    wait_until(lambda: not any(topic.paused for topic in topics().topics.values()), 60.0, what="go")
    plain.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
