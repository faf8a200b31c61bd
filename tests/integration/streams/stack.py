"""What the stage's integration tests stand on: topics, a registry file, a worker process, what it wrote."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from schemas.wire import ledger as ledger_wire
from schemas.wire import quarantine as quarantine_wire
from schemas.wire import raw
from schemas.wire.ledger import Ledger
from schemas.wire.quarantine import Quarantine
from schemas.wire.raw import AuthResult, RawMeta
from tests.house.polling import wait_until

TOP = Path(__file__).resolve().parents[3]
WORKER = Path(__file__).with_name("worker.py")
STRICT = json.dumps({"type": "object", "required": ["id"], "properties": {"n": {"type": "integer"}}})


def headers(source: str, delivery: str, **more: Any) -> list[tuple[str, bytes]]:
    given: dict[str, Any] = {"headers": (("Content-Type", "application/json"),)} | more
    meta = RawMeta(
        delivery_id=delivery, source_id=source, tenant="t", received_at_us=1_800_000_000_000_000, method="POST",
        path="/in/x", query="", auth=AuthResult("none", "none"), **given,
    )  # fmt: skip
    return raw.encode(meta)


def read_to_end(bootstrap: str, topics: list[str], partitions: int, deadline_s: float = 60.0) -> Iterator[Message]:
    """Yield the committed records of topics from their beginning until the end of each partition was met once."""
    config = {
        "bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "enable.auto.commit": False,
        "auto.offset.reset": "earliest", "isolation.level": "read_committed", "enable.partition.eof": True,
        "fetch.wait.max.ms": 10,  # how long an end is waited for: by default half a second a reading
    }  # fmt: skip
    left = {(topic, number) for topic in topics for number in range(partitions)}
    consumer, deadline = Consumer(config), time.monotonic() + deadline_s
    try:
        consumer.assign([TopicPartition(topic, number, 0) for topic, number in left])
        while left:
            assert time.monotonic() < deadline, f"no end of {sorted(left)} within {deadline_s:g} s"
            for message in consumer.consume(1000, 0.02):
                if message.error():
                    left.discard((message.topic() or "", message.partition() or 0))
                else:
                    yield message
    finally:
        consumer.close()


@dataclass
class Read:
    """Everything in the output topics, read_committed; clean as (partition, value)."""

    clean: list[dict[str, Any]] = field(default_factory=list)
    quarantine: list[Quarantine] = field(default_factory=list)
    ledger: list[Ledger] = field(default_factory=list)

    def outcomes(self) -> Counter[str]:
        sums: Counter[str] = Counter()
        for record in self.ledger:
            for count in record.counts:
                sums[count.outcome] += count.n
        return sums


class Stage:
    """One tenant with its topics, and the worker that reads them."""

    def __init__(self, bootstrap: str, folder: Path, partitions: int = 2, **more: Any) -> None:
        self.bootstrap, self.folder, self.partitions = bootstrap, folder, partitions
        self.tenant = f"t{uuid.uuid4().hex[:10]}"
        self.group = f"g{uuid.uuid4().hex[:10]}"
        self.registry: dict[str, list[Any]] = {"topics": [], "sources": [], "schemas": [], "roles": []}
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self.producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 5})
        self.process: subprocess.Popen[bytes] | None = None
        self.processes: list[subprocess.Popen[bytes]] = []
        self.create(f"{self.tenant}.ledger")
        self.save()
        self.settings = {
            "kafka_bootstrap_servers": bootstrap, "registry_url": "sqlite://", "state_dir": str(folder / "state"),
            "replication_factor": 1, "min_insync_replicas": 1, "stage_session_timeout_s": 6, "commit_interval_s": 0.1,
        } | more  # fmt: skip

    def create(self, name: str, **config: str) -> None:
        topic = NewTopic(name, self.partitions, 1, config={"message.timestamp.type": "LogAppendTime"} | config)
        self.admin.create_topics([topic])[name].result(20)

    def assign(self, role: str, target: str) -> str:
        """Assign a role to a target, whose topic is made; return the assignment's id."""
        topic, made = f"{self.tenant}.run.{target}", str(uuid.uuid4())
        if all(row["view"]["topic"] != topic for row in self.registry["roles"]):
            self.create(topic)
            self.registry["topics"].append(
                {
                    "name": topic, "topic_id": "", "tenant": self.tenant, "kind": "run", "platform": target,
                    "partitions": self.partitions, "group": "", "paused": False, "span": self.partitions,
                }
            )  # fmt: skip
        view = {"id": made, "name": made, "role": role, "target": target, "topic": topic}
        self.registry["roles"].append({"tenant": self.tenant, "view": view})
        self.save()
        return made

    def add(
        self, platform: str, *, group: str = "", slot: int = 0, raw: dict[str, str] | None = None, **definition: Any
    ) -> str:
        """Make a source with its topics, the raw one with the settings `raw`; return its id."""
        for kind in ("webhook", "event", "quarantine"):
            self.create(f"{self.tenant}.{kind}.{platform}", **(raw or {}) if kind == "webhook" else {})
        source = str(uuid.uuid4())
        given = {"platform": platform, "auth": {"type": "none"}} | definition
        self.registry["sources"].append(
            {
                "id": source,
                "tenant": self.tenant,
                "platform": platform,
                "partitions": self.partitions,
                "definition": given,
            }
        )  # fmt: skip
        self.registry["topics"].append(
            {
                "name": f"{self.tenant}.webhook.{platform}", "topic_id": "", "tenant": self.tenant, "kind": "webhook",
                "platform": platform, "partitions": self.partitions, "group": group or self.group, "paused": False,
                "slot": slot,
            }
        )  # fmt: skip
        self.save()
        return source

    def save(self) -> None:
        text = json.dumps(self.registry)
        part = self.folder / "registry.part"
        part.write_text(text)
        part.rename(self.folder / "registry.json")

    def send(self, platform: str, source: str, body: Any, partition: int = 0, **more: Any) -> None:
        value = body if isinstance(body, bytes) else json.dumps(body).encode()
        at = more.pop("at_ms", 0)
        made: Any = more.pop("raw_headers", None) or headers(source, str(uuid.uuid4()), **more)
        self.producer.produce(f"{self.tenant}.webhook.{platform}", value, b"k", partition, headers=made, timestamp=at)
        self.producer.poll(0)

    def flush(self) -> None:
        assert self.producer.flush(20) == 0

    # ---- the worker
    def start(self, deadline_s: float = 60.0, **more: Any) -> "subprocess.Popen[bytes]":
        """Start a worker and return when it is ready."""
        process = self.spawn(**more)

        def ready() -> bool:
            assert process.poll() is None, self.log()
            return (self.folder / f"{more.get('name', 'config')}.ready").exists()

        wait_until(ready, deadline_s, what="worker ready")
        return process

    def spawn(self, name: str = "config", group: str = "", **more: Any) -> "subprocess.Popen[bytes]":
        """Start a worker; `more` are settings, `deaf`: it decides nothing, or `pressure`: it tells what waits."""
        odd = {name: more.pop(name, False) for name in ("deaf", "pressure")}
        config = {"group": group or self.group, "settings": self.settings | more, **odd}
        (self.folder / f"{name}.json").write_text(json.dumps(config))
        (self.folder / f"{name}.ready").unlink(missing_ok=True)
        log = (self.folder / "worker.log").open("ab")
        environment = os.environ | {"PYTHONPATH": str(TOP)}
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), str(self.folder / f"{name}.json")], stdout=log, stderr=log, env=environment
        )
        log.close()
        self.processes.append(self.process)
        return self.process

    def log(self) -> str:
        return (self.folder / "worker.log").read_text()[-6000:]

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, deadline_s: float = 8.0) -> int:
        if self.process is None or self.process.poll() is not None:
            return 0 if self.process is None else self.process.returncode
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(self.log()) from None

    # ---- what it wrote
    def read(self, platforms: list[str]) -> Read:
        """Return what was written of these platforms; of none named: the ledger of all."""
        found = Read()
        names = [f"{self.tenant}.ledger"]
        names += [f"{self.tenant}.{kind}.{platform}" for platform in platforms for kind in ("event", "quarantine")]
        for message in read_to_end(self.bootstrap, names, self.partitions):
            name, value = message.topic(), message.value()
            assert isinstance(value, bytes)
            assert name is not None
            if name.endswith(".ledger"):
                record = ledger_wire.decode(value)
                if not platforms or record.topic.rpartition(".")[2] in platforms:
                    found.ledger.append(record)
            elif ".event." in name:
                found.clean.append(json.loads(value) | {"_partition": message.partition(), "_raw": value})
            else:
                found.quarantine.append(quarantine_wire.decode(value))
        return found

    def ledger_times(self, items: int, deadline_s: float = 120.0) -> list[int]:
        """Return when transactions were decided (µs), once the ledger counts `items`."""

        def enough() -> list[int] | None:
            found = self.read([]).ledger
            times = sorted(record.decided_at_us for record in found)
            return times if sum(record.items for record in found) >= items else None

        return wait_until(enough, deadline_s, every_s=1.0, what=f"{items} items in the ledger") or []

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()

    def await_items(self, platforms: list[str], items: int, deadline_s: float = 30.0) -> Read:
        """Return what was written of these platforms once the ledger counts `items` of them."""

        def enough() -> Read | None:
            assert self.process is None or self.process.poll() is None, self.log()
            found = self.read(platforms)
            return found if sum(record.items for record in found.ledger) >= items else None

        return wait_until(enough, deadline_s, every_s=0.2, what=f"{items} items") or Read()
