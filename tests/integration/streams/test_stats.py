"""Minutes of ledgers: the sums told are the sums of the ledger, whatever kills the process that counts, and when."""

import json
import os
import random
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from schemas.backing.registry import SYSTEM, Registry, Vault
from schemas.definitions.base import read
from schemas.definitions.source import SourceDefinition
from schemas.wire import ledger
from schemas.wire.ledger import Count, Ledger
from tests.house.polling import wait_until
from tests.integration.streams.worker import WallClock

TOP = Path(__file__).resolve().parents[3]
WORKER = Path(__file__).with_name("stats_worker.py")
PARTITIONS = 2
MINUTE_US = 60_000_000
Sums = Counter[tuple[str, str, int, str]]
"""By source, event type, minute and outcome."""


class Ground:
    """Ledgers of tenants, a registry to tell, and the process that counts."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.bootstrap, self.folder = bootstrap, folder
        self.name = f"s{uuid.uuid4().hex[:10]}"
        url = f"sqlite:///{folder}/registry.db"
        self.registry = Registry(url, vault=Vault(bytes(32)), clock=WallClock())
        self.registry.migrate()
        self.file: dict[str, list[Any]] = {"topics": [], "sources": [], "schemas": [], "roles": []}
        self.save()
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        settings = {
            "kafka_bootstrap_servers": bootstrap, "registry_url": url, "state_dir": str(folder / "state"),
            "replication_factor": 1, "min_insync_replicas": 1, "stage_session_timeout_s": 6, "stats_flush_s": 0.2,
            "stats_lateness_s": 5, "transaction_timeout_s": 2,
        }  # fmt: skip
        config = {"settings": settings, "name": self.name, "database": url}
        (folder / "config.json").write_text(json.dumps(config))
        self.processes: list[subprocess.Popen[bytes]] = []
        self.expected: Sums = Counter()

    def tenant(self) -> tuple[str, str]:
        """Make a tenant with a ledger and a source; return both ids."""
        tenant = f"t{uuid.uuid4().hex[:10]}"
        name = f"{tenant}.ledger"
        self.admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(20)
        self.registry.tenants.create(tenant, actor=SYSTEM)
        definition = read(SourceDefinition, {"platform": "shop", "auth": {"type": "none"}})
        source = self.registry.sources.create(tenant, definition, partitioning="event", partitions=2, actor=SYSTEM)
        self.file["topics"].append(
            {
                "name": name, "topic_id": f"id-{tenant}", "tenant": tenant, "kind": "ledger", "platform": "",
                "partitions": PARTITIONS, "group": "", "paused": False,
            }
        )  # fmt: skip
        self.save()
        return tenant, source.id

    def save(self) -> None:
        part = self.folder / "registry.part"
        part.write_text(json.dumps(self.file))
        part.rename(self.folder / "registry.json")

    def start(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(TOP)}
        with (self.folder / "worker.log").open("ab") as log:
            command = [sys.executable, str(WORKER), str(self.folder / "config.json")]
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=TOP))

    def kill(self) -> None:
        self.processes[-1].kill()
        self.processes[-1].wait()

    def told(self, sources: list[str]) -> Sums:
        assert self.processes[-1].poll() is None, (self.folder / "worker.log").read_text()[-2000:]
        sums: Sums = Counter()
        for source in sources:
            for row in self.registry.minutes.read(source, 0, 1 << 40):
                for event_type, outcomes in row.types.items():
                    for outcome, n in outcomes.items():
                        sums[source, event_type, row.minute, outcome] += n
        return sums

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        self.registry.close()


@pytest.fixture
def ground(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Ground]:
    made = Ground(kafka_bootstrap, tmp_path)
    yield made
    made.close()


class Stage:
    """Writes ledger records in transactions, as the stage does; every third one is aborted."""

    def __init__(self, ground: Ground, draw: random.Random) -> None:
        self._ground, self._draw = ground, draw
        given = {"bootstrap.servers": ground.bootstrap, "transactional.id": ground.name, "linger.ms": 0}
        self._producer = Producer(given)
        self._producer.init_transactions(20)
        self._number = 0

    def write(self, tenant: str, source: str, transactions: int) -> None:
        draw = self._draw
        for _ in range(transactions):
            self._number += 1
            kept, sums = self._number % 3 != 0, Sums()
            self._producer.begin_transaction()
            for partition in range(PARTITIONS):
                now = time.time_ns() // 1000
                minute = now // MINUTE_US
                keys = {
                    (source, draw.choice("abc"), minute - draw.choice((0, 0, 0, 1, 30, 900)), draw.choice(OUTCOMES))
                    for _ in range(4)
                }
                counts = tuple(Count(*key, draw.randrange(1, 9)) for key in sorted(keys))
                record = Ledger(
                    f"{tenant}.webhook.shop", "raw", partition, self._number, self._number + 1, "0", now,
                    sum(count.n for count in counts), counts, (),
                )  # fmt: skip
                self._producer.produce(f"{tenant}.ledger", ledger.encode(record), partition=partition)
                for count in counts:
                    sums[count.source_id, count.event_type, count.minute, count.outcome] += count.n
            if kept:
                self._producer.commit_transaction(20)
                self._ground.expected.update(sums)
            else:
                self._producer.flush(20)
                self._producer.abort_transaction(20)


OUTCOMES = ("clean", "clean", "duplicate", "quarantined")


@pytest.mark.faults
def test_killed_at_any_moment_it_tells_what_the_ledger_says(ground: Ground) -> None:
    stage, draw = Stage(ground, random.Random(20260102)), random.Random(7)
    tenants = [ground.tenant()]
    sources = [tenants[0][1]]
    for _ in range(2):
        ground.start()
        for tenant, source in tenants:
            stage.write(tenant, source, 20)
        before = ground.told(sources).total()
        wait_until(lambda least=before: ground.told(sources).total() > least, 60, what="minutes that are told")  # type: ignore[misc]
        stage.write(*tenants[-1], draw.randrange(3, 15))
        ground.kill()
        tenants.append(ground.tenant())
        sources.append(tenants[-1][1])
    ground.start()
    for tenant, source in tenants:
        stage.write(tenant, source, 10)
    wait_until(lambda: ground.told(sources) == ground.expected, 60, what="all that the ledger says")
    tenants.append(ground.tenant())  # followed while it runs
    sources.append(tenants[-1][1])
    stage.write(*tenants[-1], 5)
    wait_until(lambda: ground.told(sources) == ground.expected, 60, what="all that the ledger says")
    closed = time.time_ns() // 1000 // MINUTE_US - 2
    wait_until(
        lambda: all((ground.registry.minutes.complete(tenant) or 0) >= closed for tenant, _ in tenants), 20,
        what="minutes of quiet ledgers that close",
    )  # fmt: skip
