"""What the benchmark stands on: a registry with webhooks, the process, the receiver, events of a real size.

Lives here: starting and ending them, posting, waiting. The rows: run.py.
"""

import base64
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from deploy.processes.clock import SystemClock
from schemas.backing.registry import SYSTEM, Registry, Vault
from schemas.backing.registry.outbound_tables import OUTBOUND_DELIVERIES, OUTBOUND_EVENTS
from schemas.definitions.base import read
from schemas.definitions.webhook import WebhookDefinition
from schemas.ids import uuid7
from schemas.wire.entity_event import Delta, Description, EntityEvent, EventType, encode, event_id
from tests.benchmarks.many.process import Reading
from tests.benchmarks.many.process import read as reading
from tests.house.polling import free_port, wait_until

ROOT = Path(__file__).parents[3]
TENANT = "bench"
START_S, END_S = 30.0, 15.0
CHUNK = 1_000
_KEY = bytes(range(32))
_ENTITY = {
    "name": "orders", "description": "every order that was placed, changed or cancelled; one row a change. " * 4,
    "columns": [{"name": f"column_{number}", "dataType": "string"} for number in range(8)],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notify:
    """The process under test."""

    process: "subprocess.Popen[bytes]"
    port: int

    def reading(self) -> Reading:
        return reading(self.process.pid)

    def figure(self, name: str) -> float:
        """Return a metric without labels; 0 while it is not there."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except (urllib.error.URLError, OSError):
            return 0.0
        return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0.0)


class World:
    """One registry and one receiver; `number` events were posted so far."""

    def __init__(self, url: str, port: int) -> None:
        self.url, self.port, self.number = url, port, 0
        self.registry = Registry(url, vault=Vault(_KEY), clock=SystemClock())
        self.registry.migrate()
        self.registry.tenants.create(TENANT, actor=SYSTEM)

    def webhook(self, name: str, path: str, *, batch: int, entity: str, timeout: int = 10) -> str:
        """Make a webhook that wants one entity type; return its id."""
        wanted = {
            "name": name,
            "batchSize": batch,
            "eventFilters": [{"eventType": "entityUpdated", "entities": [entity]}],
            "webhookConfig": {
                "endpoint": f"http://127.0.0.1:{self.port}/{path}",
                "secretKey": "s3cret",
                "timeout": timeout,
            },
        }
        return self.registry.webhooks.create(TENANT, read(WebhookDefinition, wanted), actor=SYSTEM).id

    def post(self, entities: list[str]) -> None:
        """Keep one event for each entity type, as POST /api/v1/events does."""
        events = [self._event(entity) for entity in entities]
        for at in range(0, len(events), CHUNK):
            self.registry.posted_events.add(TENANT, events[at : at + CHUNK])

    def pending(self, webhooks: list[str], first: int, until: int) -> None:
        """Write deliveries, numbered from `first`, that wait for a retry an hour from now, spread over webhooks."""
        now = SystemClock().time_ns() // 1_000_000
        with self.registry._database.write() as connection:
            for at in range(first, until, CHUNK):
                numbers = range(at, min(at + CHUNK, until))
                rows = [
                    {"sequence": 1_000_000 + number, "tenant_id": TENANT, "event_id": event_id("bench", -number),
                     "document": encode(self._event("waits")).decode(), "created_at_ms": now}
                    for number in numbers
                ]  # fmt: skip
                connection.execute(insert(OUTBOUND_EVENTS), rows)
                waits: list[dict[str, Any]] = [
                    {"id": str(uuid7(now, os.urandom(10))), "tenant_id": TENANT,
                     "webhook_id": webhooks[number % len(webhooks)], "receiver": "", "kind": "event",
                     "state": "pending", "events": f"[{1_000_000 + number}]", "first_event": 1_000_000 + number,
                     "takes_more": False, "attempts": 1, "tries": 1, "next_attempt_at_ms": now + 3_600_000,
                     "created_at_ms": now, "updated_at_ms": now, "last_attempt_at_ms": now}
                    for number in numbers
                ]  # fmt: skip
                connection.execute(insert(OUTBOUND_DELIVERIES), waits)

    def _event(self, entity: str) -> EntityEvent:
        self.number += 1
        now = SystemClock().time_ns() // 1_000_000
        name = f"{TENANT}.{entity}"
        change = Description(updated=(Delta("description", "before", "after"),))
        return EntityEvent(event_id("bench", self.number), TENANT, EventType.UPDATED, entity, event_id("id", entity),
                           name, now, _ENTITY, change, "bench")  # fmt: skip

    def told(self) -> dict[str, Any]:
        """Return what the receiver got since it was last asked."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/told", timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        return found


@contextmanager
def receiving() -> Iterator[int]:
    """Run the receiver; yield its port."""
    command = [sys.executable, "-m", "tests.benchmarks.notify.receiver"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


@contextmanager
def notifying(world: World, log: Path, **more: str) -> Iterator[Notify]:
    """Run `hookberg notify` over the registry; yield it when it leads. There is no Kafka: no tenant has a topic."""
    port = free_port()
    given: Mapping[str, str] = {
        "HOOKBERG_REGISTRY_URL": world.url,
        "HOOKBERG_VAULT_KEY": base64.urlsafe_b64encode(_KEY).decode(),
        "HOOKBERG_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "HOOKBERG_NOTIFY_HEALTH_PORT": str(port),
        "HOOKBERG_NOTIFY_ALLOW_PRIVATE": "127.0.0.0/8",
        "HOOKBERG_NOTIFY_ALLOW_HTTP": "true",
        **more,
    }
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HOOKBERG_")}
    with log.open("ab") as out:
        command = [sys.executable, "-m", "deploy.cli", "notify"]
        process = subprocess.Popen(command, cwd=ROOT, env={**environ, **given}, stdout=out, stderr=out)
    found = Notify(process, port)
    try:
        wait_until(
            lambda: found.figure("hookberg_notify_leads") == 1.0, START_S, every_s=0.05, what="the process to lead"
        )
        yield found
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
