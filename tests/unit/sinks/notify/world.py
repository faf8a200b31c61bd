"""A registry in a file that dies at its n-th call, and the intake of its feeds, started anew after each death."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import select

from schemas.backing.registry import SYSTEM, Registry, Vault
from schemas.backing.registry.outbound_tables import OUTBOUND_DELIVERIES, OUTBOUND_EVENTS
from schemas.definitions.base import read
from schemas.definitions.contact import ContactDefinition
from schemas.definitions.notification import Lane, Lease
from schemas.definitions.webhook import WebhookDefinition
from sinks.notify.feeds.audience import Audience
from sinks.notify.feeds.changes import ChangesFeed
from sinks.notify.feeds.intake import Intake, Into
from sinks.notify.feeds.posted import PostedFeed
from tests.fakes.clock import ManualClock

KEY = bytes(range(32))
OPEN_CALLS = {"changes", "webhooks", "contacts", "topics", "entities", "outbound", "posted_events"}


class Died(BaseException):
    """The process is gone: nothing of it handles this."""


@dataclass
class Mortal:
    """Every call of a registry, counted; dies before or after one of them."""

    registry: Registry
    at: int | None = None
    after: bool = False
    fails: Callable[[int], None] = lambda _number: None
    calls: Iterator[int] = field(default_factory=itertools.count)
    made: int = 0

    def call(self, wrapped: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        number = self.made = next(self.calls)
        self.fails(number)
        if number == self.at and not self.after:
            raise Died
        result = wrapped(*args, **kwargs)
        if number == self.at:
            raise Died
        return result

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.registry, name)
        if name in OPEN_CALLS:
            return _Part(self, found)
        return lambda *args, **kwargs: self.call(found, *args, **kwargs)


@dataclass
class _Part:
    mortal: Mortal
    part: Any

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.part, name)
        return lambda *args, **kwargs: self.mortal.call(found, *args, **kwargs)


@dataclass
class Counted:
    """What the intake counted."""

    taken: int = 0
    missing: list[str] = field(default_factory=list)

    def took_in(self, _feed: str, events: int) -> None:
        self.taken += events

    def lags(self, _feed: str, _positions: int) -> None: ...

    def no_contact(self, role: str) -> None:
        self.missing.append(role)


def registry_in(folder: Path, clock: ManualClock) -> Registry:
    made = Registry(f"sqlite:///{folder}/registry.db", vault=Vault(KEY), clock=clock)
    made.migrate()
    made.tenants.create("acme", actor=SYSTEM)
    return made


def webhook(registry: Registry, name: str, *kinds: str, **config: Any) -> str:
    value = {
        "name": name,
        "eventFilters": [{"eventType": kind} for kind in kinds],
        "webhookConfig": config or {"endpoint": f"https://{name}.example/"},
    }
    return registry.webhooks.create("acme", read(WebhookDefinition, value), actor=SYSTEM).id


def contact(registry: Registry, name: str, **more: Any) -> str:
    return registry.contacts.create("acme", read(ContactDefinition, {"name": name, **more}), actor=SYSTEM).id


def intakes(
    registry: Any, lease: Lease, clock: ManualClock, counts: Counted, due: Callable[[Mapping[Lane, int]], None]
) -> list[Intake]:
    into = Into(registry.outbound, lease, counts, due, clock, linger_s=0.0, poll_s=0.5)
    audience = Audience(registry)
    return [Intake(feed, audience, into) for feed in (ChangesFeed(registry, audience), PostedFeed(registry, audience))]


def drained(each: Intake, clock: ManualClock) -> None:
    """Do rounds until nothing more comes, and past the time after which quiet positions are written."""
    while each.step() == 0.0:
        pass
    clock.advance(6)
    each.step()


def told(registry: Registry) -> dict[Lane, list[str]]:
    """Return the ids of the events that each lane was given, in order."""
    found: dict[Lane, list[str]] = {}
    with registry._database.read() as connection:
        ids = {row.sequence: row.event_id for row in connection.execute(select(OUTBOUND_EVENTS))}
        rows = connection.execute(select(OUTBOUND_DELIVERIES).order_by(OUTBOUND_DELIVERIES.c.first_event)).all()
    for row in rows:
        found.setdefault(Lane(row.webhook_id, row.receiver), []).extend(ids[each] for each in orjson.loads(row.events))
    return found
