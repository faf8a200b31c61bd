"""What the pure part costs: `python -m tests.integration.streams.pure [events] [rounds]`, CPU µs an event, no Kafka.

Parse to emit in chunks as the consumer hands them over, then accounts and states as the agent makes them. The table is
a real RocksDB in a temporary folder. Compare two commits by running both, in turn, on one machine.
"""

import asyncio
import gc
import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import orjson

from schemas.contracts import Library
from schemas.definitions.source import SourceDefinition
from schemas.definitions.view import RoleView, Snapshot, SourceView
from schemas.topics import Kind, TopicName
from schemas.vendors.base import Vendor
from schemas.vendors.github import GITHUB
from schemas.wire import raw
from schemas.wire.raw import AuthResult, RawMeta, RawRecord
from streams.account import Account
from streams.agents.ingest import Ingest
from streams.emit import Limits, Place
from streams.engine.agent import Batch
from streams.engine.directory import LiveTopic
from streams.engine.table import FirstSeenTable
from streams.roles import Roles, Target
from tests.integration.streams.vendor import VENDOR

CHUNK = 200
PLACE = Place(
    TopicName("t", Kind.WEBHOOK, "shop"), "A" * 22, 0, "t.event.shop", "t.quarantine.shop", Limits(1 << 20, 1 << 20)
)
TOPIC = LiveTopic(PLACE.raw, PLACE.topic_id, 4, PLACE.event, PLACE.quarantine, "t.ledger", 4, PLACE.limits)
SCHEMA = b'{"type":"object","required":["id"],"properties":{"n":{"type":"number"}}}'
GITHUB_HEADERS = tuple(
    {
        "Host": "hooks.example.org", "User-Agent": "GitHub-Hookshot/7f2a9c1", "Content-Length": "7318", "Accept": "*/*",
        "Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Hook-ID": "512345678",
        "X-GitHub-Hook-Installation-Target-ID": "91823", "X-GitHub-Hook-Installation-Target-Type": "repository",
    }.items()
)  # fmt: skip


class Registry:
    """One source that never changes."""

    def __init__(self, **definition: Any) -> None:
        given = SourceDefinition.model_validate({"platform": "shop", "auth": {"type": "none"}} | definition)
        source = SourceView(
            id="source-1", tenant="t", platform="shop", name="shop", version=1, definition=given,
            partitioning="source", partitions=4, topic="t.webhook.shop", open=True,
        )  # fmt: skip
        schemas = {("t", "s@1"): SCHEMA}
        self.known = Snapshot(1, frozenset({"t"}), {source.id: source}, {}, {}, {}, {}, {}, schemas)

    def current(self) -> Snapshot:
        return self.known

    async def refresh(self) -> Snapshot:
        return self.known


def headers(**more: Any) -> tuple[tuple[str, bytes], ...]:
    given: dict[str, Any] = {"headers": (("Content-Type", "application/json"),)} | more
    meta = RawMeta(
        delivery_id=str(uuid.uuid4()), source_id="source-1", tenant="t", received_at_us=time.time_ns() // 1000,
        method="POST", path="/in/x", query="", auth=AuthResult("none", "none"), **given,
    )  # fmt: skip
    return tuple(raw.encode(meta))


def small(number: int, draw: random.Random) -> RawRecord:
    value = {"id": f"evt_{number}", "type": "order.new", "n": draw.random(), "text": "x" * 300}
    return RawRecord(0, number, 1_800_000_000_000 + number, orjson.dumps(value), headers())


def push(number: int, draw: random.Random) -> RawRecord:
    commits = [{"id": f"{draw.getrandbits(160):040x}", "message": "x" * 60, "added": ["a", "b"]} for _ in range(8)]
    value = {"ref": "refs/heads/main", "repository": {"id": 7, "full_name": "a/b"}, "commits": commits}
    told = (*GITHUB_HEADERS, ("X-GitHub-Delivery", str(uuid.uuid4())))
    return RawRecord(0, number, 1_800_000_000_000 + number, orjson.dumps(value), headers(headers=told))


CASES: dict[str, tuple[Callable[[int, random.Random], RawRecord], Vendor, dict[str, Any]]] = {
    "small": (small, VENDOR, {}),
    "small, pinned": (small, VENDOR, {"pins": {"order.*": "s@1"}}),
    "github push, 10 headers": (push, GITHUB, {}),
}
ROLES: dict[str, tuple[str, ...]] = {
    "small, 20 roles of others": tuple(f"webhook.other{n}.*" for n in range(20)),
    "small, one run each": ("webhook.shop.*",),
    "small, three runs each": ("webhook.shop.*", "*.order_new", "webhook.shop.order_new"),
}
"""Cases of `small` with assignments."""


class Runs:
    """What the stage knows of run topics: `roles` never change."""

    def __init__(self, roles: tuple[str, ...]) -> None:
        views = [RoleView(str(uuid.UUID(int=n)), f"r{n}", role, "agent", "t.run.agent") for n, role in enumerate(roles)]
        self._made = Roles("t", 0, views, {"t.run.agent": Target("t.run.agent", 4, 4, 1 << 20)}) if views else None

    async def roles(self, _snapshot: Snapshot, _topic: LiveTopic) -> Roles | None:
        return self._made


async def decided(
    records: Sequence[RawRecord], vendor: Vendor, registry: Registry, folder: Path, roles: tuple[str, ...]
) -> float:
    """Return the CPU seconds that the records took."""
    table = FirstSeenTable("seen", folder)
    table.open()
    runs: Any = Runs(roles)
    ingest = Ingest(table, registry, lambda _platform: vendor, lambda: time.time_ns() // 1000, Library(), runs=runs)
    account = Account(0)

    async def batches() -> AsyncIterator[Batch]:
        for start in range(0, len(records), CHUNK):
            yield Batch(TOPIC, PLACE, tuple(records[start : start + CHUNK]), 0)

    gc.collect()
    before = time.process_time()
    given: Any = batches()
    async for decided_ in ingest.agent(given):
        decisions = [one.decision for one in decided_]
        states = {decision.key: decision.write.pack() for decision in decisions if decision.write is not None}
        assert len(states) == len(decisions)
        account.add(decisions, 1)
    used = time.process_time() - before
    table.close()
    assert account.items == len(records)
    return used


def main(events: int, rounds: int) -> None:
    gc.set_threshold(100_000, 50, 1000)  # as streams/app.py
    cases: dict[str, Any] = {name: (*case, ()) for name, case in CASES.items()}
    cases |= {name: (*CASES["small"], roles) for name, roles in ROLES.items()}
    for name, (make, vendor, definition, roles) in cases.items():
        draw = random.Random(1)
        records = [make(number, draw) for number in range(events)]
        spent = []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                spent.append(asyncio.run(decided(records, vendor, Registry(**definition), Path(folder), roles)))
        each = sorted(seconds / events * 1e6 for seconds in spent)
        print(f"{name:26} {each[0]:6.1f} best {each[len(each) // 2]:6.1f} median µs; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    arguments = [int(text) for text in sys.argv[1:]]
    main(*(arguments + [20_000, 3][len(arguments) :]))
