"""The ground that stage figures stand on: topics of one tenant, GitHub-like events, a registry file, a ledger reader.

Lives here: what is measured against. Not here: the processes (stage_worker.py, plain.py) and the figures (stage.py).
"""

import json
import random
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec  # type: ignore[attr-defined]

from ingress.producers import producer_config
from schemas.reasons import Outcome
from schemas.wire import ledger as ledger_wire
from schemas.wire import raw
from schemas.wire.raw import AuthResult, RawMeta
from tests.house.polling import wait_until

PARTITIONS = 4
REQUEST_HEADERS = tuple(
    {
        "Host": "hooks.example.org", "User-Agent": "GitHub-Hookshot/7f2a9c1", "Content-Length": "7318", "Accept": "*/*",
        "Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Hook-ID": "512345678",
        "X-GitHub-Hook-Installation-Target-ID": "91823", "X-GitHub-Hook-Installation-Target-Type": "repository",
    }.items()
)  # fmt: skip
_KEPT = {"retention.bytes": str(64 << 20), "segment.bytes": str(64 << 20)}
"""Of output topics, so that many runs do not fill the disk."""


def body(size: int, number: int, draw: random.Random) -> bytes:
    """Return a GitHub-like push event of about `size` bytes."""
    name = "octo-org/octo-repo"
    repository = {"id": 35129377, "name": "octo-repo", "full_name": name, "private": False, "stargazers_count": number}
    head = f"{draw.getrandbits(160):040x}"
    value: dict[str, Any] = {"ref": "refs/heads/main", "after": head, "repository": repository, "commits": []}
    left = size - len(orjson.dumps(value))
    while left > 0:
        commit = {"id": f"{draw.getrandbits(160):040x}", "distinct": True, "author": {"name": "octo", "email": "o@x"}}
        commit |= {"message": "change " + "m" * min(60, left), "added": ["src/a.py"], "removed": [], "modified": []}
        value["commits"].append(commit)
        left -= len(orjson.dumps(commit)) + 1
    return orjson.dumps(value)


def headers(source: str, tenant: str) -> list[tuple[str, str | bytes | None]]:
    """Return the headers of one raw record as ingress writes them, with a GitHub delivery id of its own."""
    told = (*REQUEST_HEADERS, ("X-GitHub-Delivery", str(uuid.uuid4())))
    meta = RawMeta(
        delivery_id=str(uuid.uuid4()), source_id=source, tenant=tenant, received_at_us=time.time_ns() // 1000,
        method="POST", path="/api/v1/webhooks/github", query="", headers=told, auth=AuthResult("github", "full", "s1"),
    )  # fmt: skip
    return [*raw.encode(meta)]


class Ground:
    """One tenant with `topics` GitHub-like sources of four partitions; each run has a group and a folder of its own."""

    def __init__(self, bootstrap: str, folder: Path, topics: int = 1) -> None:
        self.bootstrap, self.folder = bootstrap, folder
        self.tenant = f"t{uuid.uuid4().hex[:10]}"
        self.platforms = ["github"] if topics == 1 else [f"github{number}" for number in range(topics)]
        self.sources = {platform: str(uuid.uuid4()) for platform in self.platforms}
        self.producer = Producer(producer_config({"bootstrap.servers": bootstrap}, 1 << 20))
        self._runs = 0
        folder.mkdir(parents=True, exist_ok=True)
        wanted = [self._topic(f"{self.tenant}.ledger")]
        for platform in self.platforms:
            wanted.append(self._topic(self.raw(platform)))
            wanted += [self._topic(f"{self.tenant}.{kind}.{platform}", **_KEPT) for kind in ("event", "quarantine")]
        admin = AdminClient({"bootstrap.servers": bootstrap})
        for start in range(0, len(wanted), 100):
            for future in admin.create_topics(wanted[start : start + 100], operation_timeout=60.0).values():
                future.result(60)
        wait_until(lambda: _serves(admin, wanted[-1].topic), 120.0, what="the broker has the last topic")

    @staticmethod
    def _topic(name: str, **config: str) -> NewTopic:
        return NewTopic(name, PARTITIONS, 1, config={"message.timestamp.type": "LogAppendTime"} | config)

    def raw(self, platform: str) -> str:
        """Return the name of a raw topic."""
        return f"{self.tenant}.webhook.{platform}"

    def fill(self, size: int, count: int) -> None:
        """Append `count` events of about `size` bytes to the first raw topic."""
        draw = random.Random(size)
        bodies = [body(size, number, draw) for number in range(1_000)]
        for number in range(count):
            self.send(self.platforms[0], bodies[number % 1_000], number % PARTITIONS)
        assert self.producer.flush(60) == 0

    def send(
        self, platform: str, value: bytes, partition: int, done: Callable[[Any, Message], None] | None = None
    ) -> None:
        """Append one event; waits when the producer's queue is full."""
        made = headers(self.sources[platform], self.tenant)
        while True:
            try:
                self.producer.produce(self.raw(platform), value, b"k", partition, headers=made, on_delivery=done)
                break
            except BufferError:
                self.producer.poll(0.1)
        self.producer.poll(0)

    def run_folder(self) -> Path:
        """Make the folder of a run, with a worker group of its own and every topic paused."""
        self._runs += 1
        group = f"g{uuid.uuid4().hex[:10]}"
        folder = self.folder / f"run-{self._runs}"
        folder.mkdir()
        settings = {
            "kafka_bootstrap_servers": self.bootstrap, "registry_url": "sqlite://",
            "state_dir": str(folder / "state"), "replication_factor": 1, "min_insync_replicas": 1,
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps({"group": group, "settings": settings}))
        self.pause(folder, paused=True)
        return folder

    def pause(self, folder: Path, *, paused: bool) -> None:
        """Write a run's registry: its group has every topic, paused or not."""
        group = json.loads((folder / "config.json").read_text())["group"]
        sources = [
            {
                "id": source, "tenant": self.tenant, "platform": platform, "partitions": PARTITIONS,
                "definition": {"platform": platform, "auth": {"type": "none"}},
            }
            for platform, source in self.sources.items()
        ]  # fmt: skip
        topics = [
            {
                "name": self.raw(platform), "topic_id": "", "tenant": self.tenant, "kind": "webhook",
                "platform": platform, "partitions": PARTITIONS, "group": group, "paused": paused,
            }
            for platform in self.platforms
        ]  # fmt: skip
        part = folder / "registry.part"
        part.write_text(json.dumps({"topics": topics, "sources": sources, "schemas": []}))
        part.rename(folder / "registry.json")


def _serves(admin: AdminClient, name: str) -> bool:
    """Tell whether the broker answers for a topic: after many are made its leaders follow its metadata by seconds."""
    latest: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = {TopicPartition(name, number): latest for number in range(PARTITIONS)}
    try:
        for future in admin.list_offsets(asked, request_timeout=10.0).values():
            future.result(10)
    except KafkaException:
        return False
    return True


class Follower:
    """Reads topics read_committed from their ends at the time that it is made."""

    def __init__(self, bootstrap: str, names: list[str]) -> None:
        config: dict[str, Any] = {
            "bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "enable.auto.commit": False,
            "isolation.level": "read_committed", "fetch.wait.max.ms": 20, "fetch.error.backoff.ms": 20,
        }  # fmt: skip
        self._consumer = Consumer(config)
        known = self._consumer.list_topics(timeout=20).topics
        places = [TopicPartition(name, number) for name in names for number in known[name].partitions]
        for place in places:
            place.offset = self._consumer.get_watermark_offsets(place, timeout=20)[1]
        self._consumer.assign(places)

    def read(self, wait_s: float) -> Iterator[tuple[str, bytes]]:
        """Yield (topic, value) of what has arrived, waiting at most `wait_s` for the first."""
        for message in self._consumer.consume(1_000, wait_s):
            error, name, value = message.error(), message.topic(), message.value()
            assert error is None, error
            assert name is not None
            yield name, bytes(value or b"")

    def close(self) -> None:
        """Leave."""
        self._consumer.close()


def await_clean(follower: Follower, count: int, deadline_s: float, check: Callable[[], None]) -> None:
    """Return when the ledger has counted `count` clean events; AssertionError on any other outcome and from `check`."""
    clean = 0

    def enough() -> bool:
        nonlocal clean
        check()
        for _, value in follower.read(0.05):
            for counted in ledger_wire.decode(value).counts:
                assert counted.outcome == Outcome.CLEAN.value, counted
                clean += counted.n
        return clean >= count

    wait_until(enough, deadline_s, every_s=0.0, what=f"{count} events in the ledger")
    assert clean == count, f"{clean} events decided, {count} sent"
