"""Kill a notify process before its n-th write, and around each request; let a successor finish; for every n.

Lives here: the process that forks once per n (imports are paid once), on SQLite and a receiver on this machine. Prints
one JSON line: points, kills, faults found. May not live here: assertions. Usage: kills.py FOLDER RECEIVER_URL.
"""

import asyncio
import json
import os
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import orjson
from sqlalchemy import Connection, event, select, update

from deploy.processes.clock import SystemClock
from schemas.backing.egress import HttpEgress
from schemas.backing.egress.post import Posted
from schemas.backing.registry import SYSTEM, Registry, Vault
from schemas.backing.registry.database import _WRITES
from schemas.backing.registry.outbound_tables import LEASES, OUTBOUND_DELIVERIES
from schemas.definitions.base import read
from schemas.definitions.webhook import WebhookDefinition
from schemas.metrics import Metrics
from schemas.settings.notify import DeliverySettings, EndpointSettings
from schemas.wire.entity_event import Description, EntityEvent, EventType
from sinks.notify.app import App, Parts
from sinks.notify.measures import Measures

EVENTS = 3
GIVEN = DeliverySettings(notify_poll_s=0.05, notify_linger_s=0.0)
_EMPTY = 0.02


class Points:
    """Counts what may be died at; dies at the `at`-th (0: never)."""

    def __init__(self, at: int) -> None:
        self.at, self.passed = at, 0

    def pass_one(self) -> None:
        self.passed += 1
        if self.passed == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


class Egress:
    """Posts; a point before and one after."""

    def __init__(self, points: Points) -> None:
        private = EndpointSettings(notify_allow_private="127.0.0.0/8", notify_allow_http=True)
        self._points, self.inner = points, HttpEgress.for_webhooks(private, GIVEN)

    async def post(
        self, url: str, *, headers: Sequence[tuple[str, str]], body: bytes, timeout_s: float, limit_bytes: int
    ) -> Posted:
        self._points.pass_one()
        posted = await self.inner.post(url, headers=headers, body=body, timeout_s=timeout_s, limit_bytes=limit_bytes)
        self._points.pass_one()
        return posted


def opened(path: Path) -> Registry:
    return Registry(f"sqlite:///{path}", vault=Vault(bytes(32)), clock=SystemClock())


def template(path: Path) -> None:
    """Make a database with a tenant and three posted events."""
    made = opened(path)
    made.migrate()
    made.tenants.create("acme", actor=SYSTEM)
    made.close()


def prepare(path: Path, url: str) -> None:
    """Make the webhook of one n, and what it is to be told."""
    made = opened(path)
    config = {"endpoint": url}
    filters = [{"eventType": "entityUpdated", "entities": ["order"]}]
    value = {"name": "hook", "batchSize": 2, "eventFilters": filters, "webhookConfig": config}
    made.webhooks.create("acme", read(WebhookDefinition, value), actor=SYSTEM)
    told = [
        EntityEvent(
            f"e{number}", "acme", EventType.UPDATED, "order", "1", "acme.1", number, {"n": number}, Description()
        )
        for number in range(EVENTS)
    ]
    made.posted_events.add("acme", told)
    made.close()


async def live(path: Path, points: Points) -> None:
    """Be a notify process until everything is delivered."""
    registry = opened(path)

    def commits(connection: Connection) -> None:
        if connection.get_execution_options().get(_WRITES):
            points.pass_one()

    event.listen(registry._database._engine, "commit", commits)
    egress, stop = Egress(points), asyncio.Event()
    parts = Parts(
        registry=registry, egress=egress, kafka=None, clock=SystemClock(), measures=Measures(Metrics()),
        chance=random.Random(1).random, owner=str(os.getpid()),
    )  # fmt: skip
    app = asyncio.create_task(App(GIVEN, parts).run(stop))
    while not app.done() and not finished(registry):
        await asyncio.sleep(_EMPTY)
    stop.set()
    await app
    await egress.inner.close()
    registry.close()


def finished(registry: Registry) -> bool:
    with registry._database.read() as connection:
        states = connection.execute(select(OUTBOUND_DELIVERIES.c.events, OUTBOUND_DELIVERIES.c.state)).all()
    done = sum(len(orjson.loads(row.events)) for row in states if row.state == "delivered")
    return done == EVENTS and all(row.state == "delivered" for row in states)


def forked(path: Path, at: int) -> tuple[bool, int]:
    """Run a process that dies at a point; tell whether it died, and how many points it passed."""
    end, out = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(end)
        code = 1
        try:
            points = Points(at)
            asyncio.run(live(path, points))
            os.write(out, str(points.passed).encode())
            code = 0
        except BaseException:  # noqa: BLE001 the parent is told by the exit code
            traceback.print_exc()
        os._exit(code)
    os.close(out)
    with os.fdopen(end) as told:
        passed = told.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True, 0
    if status:
        raise RuntimeError(f"the process that was to die at {at} failed by itself")
    return False, int(passed)


def lapse(path: Path) -> None:
    """Let the time pass that a dead holder's lease lasts."""
    registry = opened(path)
    with registry._database.write() as connection:
        connection.execute(update(LEASES).values(until_ms=0))
    registry.close()


def main(folder: Path, url: str) -> None:
    """Kill at every point and print what was found."""
    begin = folder / "template.db"
    template(begin)
    at, kills, passed = 0, 0, 0
    while True:
        at += 1
        path = folder / f"{at}.db"
        shutil.copy(begin, path)
        prepare(path, f"{url}/{at}")
        died, passed = forked(path, at)
        if died:
            kills += 1
            lapse(path)
            forked(path, 0)
        if not died:
            break
    sys.stdout.write(json.dumps({"kills": kills, "points": passed}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
