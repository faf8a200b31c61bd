"""A seed becomes a history: webhooks, ills of their endpoints, events, deaths of processes; then everything heals.

Lives here: making and running one history on the real queue in SQLite. Not here: what must hold (rules.py).
"""

import asyncio
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from sqlalchemy import event as sql_event

from schemas.backing.registry import SYSTEM, Registry, Vault
from schemas.backing.registry.outbound import requests
from schemas.definitions.base import read
from schemas.definitions.contact import ContactDefinition
from schemas.definitions.notification import DeliveryState, Lane, Matched
from schemas.definitions.webhook import WebhookDefinition, WebhookStatus
from schemas.settings.notify import DeliverySettings
from schemas.wire.entity_event import Description, EntityEvent, EventType, event_id
from tests.simulation.notify.loop import EPOCH_S, Clock, Loop
from tests.simulation.notify.network import GONE, ILLS, Endpoint, Network
from tests.simulation.notify.process import FEED, Fate, Ground, Process

HEALS_AT = 240.0
ENDS_AT = 3_000.0
LEASE_S = 9.0
SETTINGS = {
    "notify_retry_s": "10,30,60", "notify_circuit_failures": 3, "notify_circuit_probe_s": 4.0,
    "notify_lease_s": LEASE_S, "notify_linger_s": 0.5, "notify_poll_s": 5.0,
}  # fmt: skip


@dataclass(slots=True)
class History:
    """What happened, for the rules."""

    seed: int
    registry: Registry
    network: Network
    story: list[Matched] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    endpoints: dict[Lane, Endpoint] = field(default_factory=dict)
    epochs: list[int] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    batch: dict[str, int] = field(default_factory=dict)
    fell_back: set[str] = field(default_factory=set)


def template(folder: Path) -> Path:
    """Make the database that each history begins with."""
    path = folder / "template.db"
    made = Registry(f"sqlite:///{path}", vault=Vault(bytes(32)), clock=Clock())
    made.migrate()
    made.tenants.create("acme", actor=SYSTEM)
    made.close()
    return path


@contextmanager
def history(seed: int, begin: Path) -> Iterator[History]:
    """Run a history to its end and yield it, its database open."""
    chance, clock = random.Random(seed), Clock()
    path = begin.with_name(f"history-{seed}.db")
    shutil.copy(begin, path)
    registry = Registry(f"sqlite:///{path}", vault=Vault(bytes(32)), clock=clock, random_bytes=chance.randbytes)
    careless(registry)
    made = History(seed, registry, Network(clock, chance))
    _webhooks(made, chance)
    _story(made, chance)
    loop = Loop(clock)
    try:
        loop.run_until_complete(_run(made, clock, chance))
        yield made
    finally:
        loop.close()
        registry.close()
        path.unlink()


def careless(registry: Registry) -> None:
    """No power fails here: let SQLite not wait for the disk."""

    def quick(connection: object, _record: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")  # type: ignore[attr-defined]

    sql_event.listen(registry._database._engine, "connect", quick)


def _webhooks(made: History, chance: random.Random) -> None:
    registry, count = made.registry, chance.randint(1, 4)
    ids: list[str] = []
    for number in range(count):
        url = f"https://r{number}.example/in"
        made.network.endpoints[url] = Endpoint(url, _ills(chance))
        batch = chance.randint(1, 4)
        value = {
            "name": f"w{number}",
            "batchSize": batch,
            "eventFilters": [{"eventType": "entityUpdated"}],
            "webhookConfig": {"endpoint": url, "timeout": chance.randint(2, 15), "sendToAdmins": chance.random() < 0.3},
        }
        if ids and chance.random() < 0.5:
            value["fallback"] = {"id": chance.choice(ids), "type": "webhook"}
        webhook = registry.webhooks.create("acme", read(WebhookDefinition, value), actor=SYSTEM)
        ids.append(webhook.id)
        made.batch[webhook.id] = batch
        made.endpoints[Lane(webhook.id)] = made.network.endpoints[url]
        if webhook.definition.webhook_config.send_to_admins:
            _contact(made, chance, webhook.id, number)


def _contact(made: History, chance: random.Random, webhook_id: str, number: int) -> None:
    url = f"https://c{number}.example/in"
    made.network.endpoints[url] = Endpoint(url, _ills(chance))
    contact = read(ContactDefinition, {"name": f"c{number}", "admin": True, "endpoint": url})
    record = made.registry.contacts.create("acme", contact, actor=SYSTEM)
    made.endpoints[Lane(webhook_id, record.id)] = made.network.endpoints[url]


def _ills(chance: random.Random) -> list[tuple[float, float, str]]:
    if chance.random() < 0.35:
        return []
    found = []
    for _ in range(chance.randint(1, 3)):
        since = chance.uniform(0, HEALS_AT)
        what = GONE if chance.random() < 0.1 else chance.choice(ILLS)
        found.append((since, min(HEALS_AT, since + chance.expovariate(1 / 60)), what))
    return found


def _story(made: History, chance: random.Random) -> None:
    lanes = list(made.endpoints)
    made.times = sorted(chance.uniform(0, HEALS_AT) for _ in range(chance.randint(5, 60)))
    for number, at in enumerate(made.times, 1):
        event = EntityEvent(
            event_id(FEED, number), "acme", EventType.UPDATED, "stream", "i", "acme.s", int((EPOCH_S + at) * 1000),
            {"n": number}, Description(),
        )  # fmt: skip
        made.story.append(Matched(event, tuple(lane for lane in lanes if chance.random() < 0.7)))


async def _run(made: History, clock: Clock, chance: random.Random) -> None:
    ground = Ground(
        made.registry, made.network, clock, DeliverySettings(**SETTINGS), made.story,  # type: ignore[arg-type]
        lambda: sum(at <= clock.now for at in made.times), made.epochs,
    )  # fmt: skip
    keeping = [asyncio.create_task(_keep_alive(made, ground, chance, slot)) for slot in range(chance.randint(1, 2))]
    operating = asyncio.create_task(_operate(made, clock, chance))
    await asyncio.gather(*keeping, operating)


async def _keep_alive(made: History, ground: Ground, chance: random.Random, slot: int) -> None:
    """Start a process again and again, as a supervisor does; the last one lives until nothing waits."""
    number, clock = 0, ground.clock
    while True:
        number += 1
        doomed = clock.now < HEALS_AT
        what = chance.choice(("", "kill", "kill", "freeze")) if doomed else ""
        fate = Fate(what, chance.randint(1, 150), chance.uniform(0.5, 4 * LEASE_S))
        process = Process(f"{slot}.{number}", ground, chance, fate)
        running = asyncio.create_task(process.run())
        while not running.done():
            await asyncio.wait({running}, timeout=2.0)
            asked = doomed and not what and chance.random() < 0.05
            if asked or _done(made, clock):
                process.stop.set()
        running.result()
        made.ends.append(process.end)
        if _done(made, clock):
            return
        await asyncio.sleep(chance.uniform(0.1, 3.0))


def _done(made: History, clock: Clock) -> bool:
    if clock.now > ENDS_AT:
        return True
    queue = made.registry.outbound
    return clock.now > HEALS_AT + 10 and queue.cursors().get(FEED) == len(made.story) and not queue.waiting()


async def _operate(made: History, clock: Clock, chance: random.Random) -> None:
    """Somebody asks for resends meanwhile, and enables again what a 410 disabled, when everything has healed."""
    webhooks, rim = made.registry.webhooks, made.registry.outbound.rim
    ids = sorted({lane.webhook_id for lane in made.endpoints})
    while clock.now < HEALS_AT:
        await asyncio.sleep(chance.uniform(5, 80))
        chosen = chance.choice(ids)
        if webhooks.get("acme", chosen).status is not WebhookStatus.DISABLED and chance.random() < 0.4:
            requests.resend_failed(rim, "acme", chosen, [DeliveryState.RETRY_LIMIT_REACHED], 0, actor=SYSTEM)
    while not _done(made, clock):
        for one in ids:
            webhook = webhooks.get("acme", one)
            if webhook.status is WebhookStatus.DISABLED:
                enabled = webhook.definition.model_copy(update={"enabled": True})
                webhooks.update("acme", one, enabled, overlap_s=0, actor=SYSTEM)
        await asyncio.sleep(20)


def events_of(text: str) -> list[int]:
    """Return the sequences of a delivery's row."""
    found: list[int] = orjson.loads(text)
    return found
