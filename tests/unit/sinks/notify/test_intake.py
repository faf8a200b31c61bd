"""Intake over a real registry: killed at every call, each wanted event is there once a lane.

What is away is waited for, who listens is known before the event is matched, a round is written in bounded parts.
"""

import asyncio
import shutil
from pathlib import Path

import pytest
from sqlalchemy import update

from schemas.backing.registry import SYSTEM, LeaseLost, Registry
from schemas.backing.registry.outbound_tables import POSTED_EVENTS
from schemas.definitions.notification import Lane
from schemas.definitions.posted import PostedEvent
from schemas.errors import Refused
from schemas.reasons import Reason
from sinks.notify.feeds import intake
from tests.contract.registry.make import source, stream
from tests.fakes.clock import ManualClock
from tests.unit.sinks.notify.world import (
    Counted,
    Died,
    Mortal,
    contact,
    drained,
    intakes,
    registry_in,
    told,
    webhook,
)


def post(registry: Registry, *event_ids: str, tenant: str = "acme") -> None:
    told = PostedEvent.model_validate({"eventType": "entityUpdated", "entityType": "table", "entityId": "t"})
    registry.posted_events.add(tenant, [told.event(tenant, each, 1) for each in event_ids])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def registry(tmp_path: Path, clock: ManualClock) -> Registry:
    made = registry_in(tmp_path, clock)
    clock.advance(1)
    webhook(made, "all", "entityCreated", "entityUpdated", "entityDeleted")
    webhook(made, "made", "entityCreated")
    return made


def run(registry: Registry | Mortal, clock: ManualClock, counts: Counted | None = None) -> None:
    lease = (registry.registry if isinstance(registry, Mortal) else registry).outbound.acquire("me", 15)
    assert lease is not None
    for each in intakes(registry, lease, clock, counts or Counted(), lambda _due: None):
        drained(each, clock)


def changed(registry: Registry) -> None:
    source(registry, "slack")
    made = stream(registry, "s")
    registry.streams.set_desired("acme", made.id, "running", actor=SYSTEM)
    post(registry, "p1", "p2", "p3")


def test_killed_at_every_call_each_event_is_taken_in_once_a_lane(
    registry: Registry, clock: ManualClock, tmp_path: Path
) -> None:
    run(registry, clock)
    changed(registry)
    registry.close()
    file, kept = tmp_path / "registry.db", tmp_path / "kept.db"
    shutil.copy(file, kept)
    run(registry, clock)
    expected = told(registry)
    assert sorted(len(ids) for ids in expected.values()) == [3, 7]
    died = 0
    while True:
        for after in (False, True):
            registry.close()
            for each in tmp_path.glob("registry.db*"):
                each.unlink()
            shutil.copy(kept, file)
            mortal = Mortal(registry, at=died, after=after)
            try:
                run(mortal, clock)
            except Died:
                run(registry, clock)
                assert told(registry) == expected, (died, after)
            else:
                assert mortal.made < died
                assert died > 10
                return
        died += 1


def test_what_was_told_before_a_webhook_was_made_is_not_for_it(registry: Registry, clock: ManualClock) -> None:
    run(registry, clock)
    changed(registry)
    clock.advance(1)
    late = webhook(registry, "late", "entityUpdated", "entityCreated")
    post(registry, "p4")
    run(registry, clock)
    assert told(registry)[Lane(late)] == ["p4"]


def test_a_webhook_made_just_before_its_event_gets_it(registry: Registry, clock: ManualClock) -> None:
    lease = registry.outbound.acquire("me", 15)
    assert lease is not None
    _changes, posted = intakes(registry, lease, clock, Counted(), lambda _due: None)
    drained(posted, clock)
    new = webhook(registry, "new", "entityUpdated")
    post(registry, "p1")
    drained(posted, clock)
    assert told(registry)[Lane(new)] == ["p1"]


def test_a_disabled_webhook_takes_nothing_in(registry: Registry, clock: ManualClock) -> None:
    run(registry, clock)
    before = told(registry)
    for each in registry.webhooks.active():
        off = each.definition.model_copy(update={"enabled": False})
        registry.webhooks.update("acme", each.id, off, overlap_s=0, actor=SYSTEM)
    changed(registry)
    run(registry, clock)
    assert told(registry) == before


def test_a_registry_that_is_away_is_waited_for_and_nothing_is_lost(registry: Registry, clock: ManualClock) -> None:
    changed(registry)
    mortal = Mortal(registry)
    lease = registry.outbound.acquire("me", 15)
    assert lease is not None

    def away(number: int) -> None:
        if number % 3:
            raise Refused(Reason.REGISTRY_AWAY, "the registry database cannot be reached")

    for each in intakes(mortal, lease, clock, Counted(), lambda _due: None):
        mortal.fails = lambda _number: away(1)
        assert [each.step() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
        mortal.fails = away
        for _ in range(200):
            each.step()
        mortal.fails = lambda _number: None
        drained(each, clock)
    assert sorted(len(ids) for ids in told(registry).values()) == [3, 7]


def test_a_posted_row_that_nobody_can_read_holds_up_no_other(registry: Registry, clock: ManualClock) -> None:
    post(registry, "p1", "p2", "p3")
    with registry._database.write() as connection:
        connection.execute(update(POSTED_EVENTS).where(POSTED_EVENTS.c.event_id == "p2").values(document="{}"))
    run(registry, clock)
    assert [ids[-2:] for ids in told(registry).values() if "p1" in ids] == [["p1", "p3"]]


def test_a_lost_lease_ends_the_intake(registry: Registry, clock: ManualClock) -> None:
    lease = registry.outbound.acquire("me", 15)
    assert lease is not None
    registry.outbound.acquire("me", 15)
    post(registry, "p1")
    posted = intakes(registry, lease, clock, Counted(), lambda _due: None)[1]
    with pytest.raises(LeaseLost):
        posted.step()


def test_who_cannot_be_told_is_counted_and_the_rest_is_told(registry: Registry, clock: ManualClock) -> None:
    ann = contact(registry, "ann", admin=True, endpoint="https://ann.example/")
    contact(registry, "bob", admin=True)
    people = webhook(registry, "people", "entityUpdated", sendToAdmins=True)
    owners = webhook(registry, "owners", "entityUpdated", sendToOwners=True)
    post(registry, "p1")
    counts = Counted()
    run(registry, clock, counts)
    assert told(registry)[Lane(people, ann)] == ["p1"]
    assert Lane(owners) not in told(registry)
    assert counts.missing == ["admin"]
    assert counts.taken == len({each for ids in told(registry).values() for each in ids})


def test_contacts_and_webhooks_that_change_are_seen_with_the_next_event(registry: Registry, clock: ManualClock) -> None:
    people = webhook(registry, "people", "entityUpdated", sendToAdmins=True)
    lease = registry.outbound.acquire("me", 15)
    assert lease is not None
    posted = intakes(registry, lease, clock, Counted(), lambda _due: None)[1]
    post(registry, "p1")
    drained(posted, clock)
    ann = contact(registry, "ann", admin=True, endpoint="https://ann.example/")
    post(registry, "p2")
    drained(posted, clock)
    registry.contacts.delete("acme", ann, actor=SYSTEM)
    registry.webhooks.remove("acme", "made", actor=SYSTEM)
    post(registry, "p3")
    drained(posted, clock)
    assert told(registry)[Lane(people, ann)] == ["p2"]


def test_a_round_is_written_in_parts_of_bounded_size(
    registry: Registry, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MAX_LANES", 2)
    run(registry, clock)
    parts: list[int] = []
    lease = registry.outbound.acquire("me", 15)
    assert lease is not None
    post(registry, *(f"p{number}" for number in range(7)))
    posted = intakes(registry, lease, clock, Counted(), lambda due: parts.append(len(due)))[1]
    drained(posted, clock)
    assert len(parts) == 4
    [ids] = [ids for ids in told(registry).values() if "p0" in ids]
    assert ids[-7:] == [f"p{number}" for number in range(7)]


async def test_feeds_run_until_they_are_stopped_and_one_that_fails_ends_all(
    registry: Registry, clock: ManualClock
) -> None:
    lease = registry.outbound.acquire("me", 15)
    assert lease is not None
    stop, seen = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    post(registry, "p1")

    def due(_lanes: object) -> None:
        loop.call_soon_threadsafe(seen.set)

    running = asyncio.create_task(intake.run(intakes(registry, lease, clock, Counted(), due), stop))
    async with asyncio.timeout(20):
        await seen.wait()
        stop.set()
        await running
    registry.outbound.acquire("me", 15)
    post(registry, "p2")
    with pytest.raises(LeaseLost):
        async with asyncio.timeout(20):
            await intake.run(intakes(registry, lease, clock, Counted(), lambda _due: None), asyncio.Event())
