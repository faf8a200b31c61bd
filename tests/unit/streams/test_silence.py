"""Silence: an alert after a source's limit, closed by its next event; nobody is blamed for what we did."""

from dataclasses import dataclass, field
from typing import Any

from schemas.definitions.alert import AlertKind
from schemas.definitions.minute import LastEvent
from schemas.definitions.source import SourceDefinition
from schemas.definitions.view import EMPTY, Snapshot, SourceView
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.ledger import Count, Ledger
from streams.agents.silence import GRACE_S, Silence
from tests.fakes.clock import ManualClock

LIMIT_S = 600
SOURCE = ("source", "s")


def snapshot(**members: Any) -> Snapshot:
    given = {"platform": "shop", "auth": {"type": "none"}, "silenceAfterSeconds": LIMIT_S} | members
    source = SourceView(
        id="s", tenant="acme", platform="shop", name="shop", version=1, topic="acme.webhook.shop", open=True,
        definition=SourceDefinition.model_validate(given), partitioning="source", partitions=1,
    )  # fmt: skip
    values = {name: getattr(EMPTY, name) for name in Snapshot.__slots__}
    return Snapshot(**(values | {"revision": 1, "sources": {"s": source}}))


@dataclass
class Book:
    """The registry: alerts that are open, what was done to them, and when sources spoke."""

    last: LastEvent | None = None
    away: bool = False
    known: set[str] = field(default_factory=set)
    did: list[tuple[Any, ...]] = field(default_factory=list)

    def ask(self) -> None:
        if self.away:
            raise Refused(Reason.REGISTRY_AWAY, "gone")

    def open(self, tenant: str, kind: AlertKind, entity: tuple[str, str], message: str, details: Any) -> None:
        self.ask()
        self.did.append(("open", tenant, kind, entity, details["lastEventAt"]))
        assert message.startswith("source shop: no event for 600 s, ")

    def close(self, kind: AlertKind, entity: tuple[str, str]) -> bool:
        self.ask()
        self.did.append(("close", kind, entity))
        return True

    def opened(self, _kind: AlertKind) -> list[Any]:
        self.ask()
        return [type("Alert", (), {"entity_id": one}) for one in self.known]

    def last_events(self, ids: list[str]) -> dict[str, LastEvent]:
        self.ask()
        return {one: self.last for one in ids if self.last is not None}


class World:
    def __init__(self, *, made_s: float = 0, received_s: float | None = None, **members: Any) -> None:
        self.clock, self.book, self.view = ManualClock(), Book(), snapshot(**members)
        self.begin_ms = self.clock.time_ns() // 1_000_000
        self.spoke(received_s, made_s=made_s)
        self.silence = self.made()

    def made(self) -> Silence:
        return Silence(self.book, self.book, lambda: self.view, self.clock)  # type: ignore[arg-type]

    def spoke(self, received_s: float | None, *, made_s: float = 0, changed_s: float | None = None) -> None:
        at = self.begin_ms + int(made_s * 1000)
        received = None if received_s is None else self.begin_ms + int(received_s * 1000)
        changed = at if changed_s is None else self.begin_ms + int(changed_s * 1000)
        self.book.last = LastEvent(at, changed, received)

    def decided(self, at_s: float, event_s: float | None = None) -> None:
        at_us = (self.begin_ms + int(at_s * 1000)) * 1000
        event_us = at_us if event_s is None else (self.begin_ms + int(event_s * 1000)) * 1000
        count = Count("s", "push", event_us // 60_000_000, "quarantined", 1)
        self.silence.note(Ledger("t", "id", 0, 0, 1, "0", at_us, 1, (count,), ()))

    async def step(self, *seconds: float) -> list[str]:
        """Let time pass in steps; return what was done to alerts meanwhile."""
        self.book.did.clear()
        for part in seconds or (0.0,):
            self.clock.advance(part)
            await self.silence.step()
        return [did[0] for did in self.book.did]


async def test_an_alert_opens_once_after_the_limit_and_the_next_event_closes_it() -> None:
    world = World(received_s=100)
    assert await world.step(100, LIMIT_S - 1) == []
    assert await world.step(1, 5, 5) == ["open"]
    world.spoke(100 + LIMIT_S + 11)
    assert await world.step(5) == ["close"]
    assert await world.step(5, LIMIT_S) == ["open"]


async def test_what_was_decided_counts_as_heard_though_its_edge_told_nothing() -> None:
    world = World(received_s=0)
    assert await world.step(LIMIT_S) == ["open"]
    world.decided(LIMIT_S + 1)
    assert await world.step(5) == ["close"]


async def test_an_old_event_that_is_redriven_is_no_sign_of_life() -> None:
    world = World(received_s=0)
    world.decided(LIMIT_S - 10, event_s=-3_600)
    assert await world.step(LIMIT_S) == ["open"]


async def test_a_source_that_never_spoke_is_silent_once_it_is_that_old() -> None:
    world = World(made_s=0)
    assert await world.step(LIMIT_S - 1) == []
    assert await world.step(1) == ["open"]
    assert world.book.did[0][-1] is None


async def test_time_before_a_source_was_changed_does_not_count() -> None:
    world = World(received_s=0)
    world.spoke(0, changed_s=LIMIT_S - 10)  # enabled again, or its limit set, just now
    assert await world.step(LIMIT_S, LIMIT_S - 11) == []
    assert await world.step(1) == ["open"]


async def test_after_a_start_nobody_is_silent_for_a_moment_and_open_alerts_are_taken_over() -> None:
    world = World(received_s=0)
    world.clock.advance(10 * LIMIT_S)
    world.silence = world.made()
    assert await world.step(GRACE_S - 1) == []
    assert await world.step(1) == ["open"]
    world.book.known = {"s"}
    world.silence = world.made()
    assert await world.step(2 * GRACE_S) == []
    world.spoke(11 * LIMIT_S)
    assert await world.step(1) == ["close"]


async def test_disabled_paused_deleted_and_unlimited_sources_are_not_watched() -> None:
    for members in ({"enabled": False}, {"paused": True}, {"silenceAfterSeconds": None}):
        world = World(received_s=0)
        assert await world.step(LIMIT_S) == ["open"]
        world.view = snapshot(**members)
        assert await world.step(5, LIMIT_S) == ["close"]
    world = World(received_s=0)
    assert await world.step(LIMIT_S) == ["open"]
    world.view = Snapshot(**({name: getattr(EMPTY, name) for name in Snapshot.__slots__} | {"revision": 2}))
    assert await world.step(5) == ["close"]


async def test_a_registry_that_is_away_is_told_later() -> None:
    world = World(received_s=0)
    world.book.away = True
    assert await world.step(LIMIT_S, 5) == []
    world.book.away = False
    assert await world.step(5) == ["open"]
    world.spoke(LIMIT_S + 11)
    world.book.away = True
    assert await world.step(5) == []
    world.book.away = False
    assert await world.step(5) == ["close"]


async def test_before_the_registry_is_loaded_nothing_is_said() -> None:
    world = World(received_s=0)
    world.view = EMPTY
    world.book.known = {"s"}
    assert await world.step(LIMIT_S) == []
