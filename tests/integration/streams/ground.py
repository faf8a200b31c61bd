"""One group's table and transactions without the rest of the worker, on a real broker."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from schemas.wire.position import Position
from streams import seen
from streams.emit import Record
from streams.engine.directory import Directory
from streams.engine.recovery import changelog, ensure_changelog, recover
from streams.engine.reseed import reseed
from streams.engine.table import FirstSeenTable, Stand
from streams.engine.transaction import Transactions
from streams.seen import Seen
from tests.house.polling import wait_until
from tests.unit.streams.made import TOPIC_ID

RAW = (TOPIC_ID, 0)


class EndedError(Exception):
    """The process would have ended here."""


def end(why: str, cause: BaseException | None) -> NoReturn:
    raise EndedError(why) from cause


def key(number: int) -> bytes:
    return seen.key("source", str(uuid.UUID(int=number)))


def state(number: int) -> bytes:
    return Seen(Position(TOPIC_ID, 0, number, 0), number, clean=True, fingerprint=b"12345678").pack()


@dataclass
class World:
    """One group: an output topic, a changelog, and workers that come and go."""

    bootstrap: str
    folder: Path
    group: str = field(default_factory=lambda: f"x{uuid.uuid4().hex[:10]}")

    def __post_init__(self) -> None:
        self.kafka: dict[str, Any] = {"bootstrap.servers": self.bootstrap}
        self.admin = AdminClient(self.kafka)
        self.output = f"out-{self.group}"
        self.admin.create_topics([NewTopic(self.output, 1, 1)])[self.output].result(20)
        self.changelog()

    def changelog(self) -> None:
        ensure_changelog(self.admin, self.group, replication=1, min_insync=1)

    def worker(self, disk: str = "disk", **more: Any) -> "Worker":
        return Worker(self, self.folder / disk, **more)

    def written(self) -> list[bytes]:
        """Return the values in the output topic, read_committed."""
        config = self.kafka | {"group.id": uuid.uuid4().hex, "isolation.level": "read_committed"}
        config |= {"enable.partition.eof": True, "fetch.wait.max.ms": 10}
        consumer = Consumer(config)
        consumer.assign([TopicPartition(self.output, 0, 0)])
        found: list[bytes] = []
        while True:
            for message in consumer.consume(100, 0.02):
                if message.error():
                    consumer.close()
                    return found
                found.append(message.value() or b"")


class Worker:
    """Table and transactions of one process."""

    def __init__(
        self, world: World, disk: Path, make: Callable[..., Transactions] = Transactions, max_records: int = 20_000
    ) -> None:
        self.world = world
        self.table = FirstSeenTable("seen", disk)
        self.transactions = make(
            world.kafka, world.group, changelog(world.group), self.table, interval_s=0.1, max_records=max_records,
            timeout_s=10.0, on_commit=lambda _took, _writes: None, end=end,
        )  # fmt: skip

    def begin(self) -> int:
        """Fence, recover; return how many records were read."""
        topic = changelog(self.world.group)
        wait_until(lambda: topic in Directory(self.world.kafka).ids([topic]), 20, what="the changelog's leaders")
        topic_id = Directory(self.world.kafka).ids([topic])[topic][0]
        marks = reseed(self.table, self.transactions, self.world.group, topic_id, self.transactions.fence())
        read = recover(self.world.kafka, self.table, self.world.group, topic_id, marks)
        self.transactions.start()
        return read

    def add(self, number: int) -> None:
        """Decide one record."""
        made = Record(self.world.output, 0, b"k", b"%d" % number)
        self.transactions.add(RAW, Stand(number + 1, number), {key(number): state(number)}, [made])

    def known(self, *numbers: int) -> list[bool]:
        view = self.table.read(())
        return [view.look(key(number)) is not None for number in numbers]
