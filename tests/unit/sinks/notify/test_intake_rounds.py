"""What a round of the intake keeps when a part of it fails: what was read, the cursors behind it, who listens."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from schemas.backing.registry import Registry
from schemas.definitions.notification import Cursor, Lane, Lease, Matched
from schemas.definitions.webhook import WebhookStatus
from schemas.errors import Transient
from schemas.wire.entity_event import Description, EntityEvent, EventType
from sinks.notify.feeds import intake
from sinks.notify.feeds.audience import Audience
from sinks.notify.feeds.fed import Fed, Read
from sinks.notify.feeds.intake import Intake, Into
from tests.fakes.clock import ManualClock
from tests.unit.sinks.notify.world import Counted, intakes, registry_in, webhook

LATER_MS = 1 << 52


@dataclass
class Scripted:
    """A feed that hands over what it is told to, or raises it; counts how often it began anew."""

    rounds: list[Sequence[Fed] | Exception]
    name: str = "scripted"
    begun: int = 0

    def read(self) -> Read:
        if not self.rounds:
            return Read()
        told = self.rounds.pop(0)
        if isinstance(told, Exception):
            raise told
        return Read(told)

    def again(self) -> None:
        self.begun += 1

    def close(self) -> None: ...


@dataclass
class Queue:
    """What was taken in; calls whose number is in `fails` raise."""

    fails: Iterable[int] = ()
    calls: int = 0
    events: list[str] = field(default_factory=list)
    cursors: dict[str, int] = field(default_factory=dict)

    def take_in(
        self, _held: Lease, taken: Sequence[Matched], cursors: Sequence[Cursor], _linger_s: float
    ) -> Mapping[Lane, int]:
        self.calls += 1
        if self.calls in self.fails:
            raise Transient("away")
        self.events += [each.event.event_id for each in taken]
        self.cursors |= {each.feed: each.position for each in cursors}
        return {}


def fed(position: int, *, at: str = "p0", wanted: bool = True) -> Fed:
    kind = EventType.CREATED if wanted else EventType.DELETED
    told = EntityEvent(f"{at}-{position}", "acme", kind, "table", "t", "t", 1, {}, Description())
    return Fed(told, LATER_MS, Cursor(at, position))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def registry(tmp_path: Path, clock: ManualClock) -> Registry:
    made = registry_in(tmp_path, clock)
    webhook(made, "a", "entityCreated")
    return made


def over(registry: Registry, feed: Scripted, queue: Queue, clock: ManualClock) -> Intake:
    into = Into(queue, Lease("notify", "me", 1), Counted(), lambda _due: None, clock, 0.0, 0.5)
    return Intake(feed, Audience(registry), into)


def test_a_feed_that_fails_begins_anew_at_its_cursors(registry: Registry, clock: ManualClock) -> None:
    feed = Scripted([Transient("away"), [fed(1)]])
    queue = Queue()
    one = over(registry, feed, queue, clock)
    assert (one.step(), feed.begun) == (0.5, 1)
    assert (one.step(), feed.begun, queue.events) == (0.5, 1, ["p0-1"])


def test_parts_behind_one_that_failed_are_written_later_in_their_order(
    registry: Registry, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MAX_LANES", 1)
    queue = Queue(fails=(2, 3))
    one = over(registry, Scripted([[fed(1), fed(2), fed(3)], [fed(4)]]), queue, clock)
    waits = [one.step() for _ in range(4)]
    assert waits[:2] == [0.5, 1.0]
    assert queue.events == ["p0-1", "p0-2", "p0-3", "p0-4"]
    assert queue.cursors == {"p0": 4}


def test_positions_that_nobody_wanted_are_written_with_the_next_event_or_after_a_while(
    registry: Registry, clock: ManualClock
) -> None:
    queue = Queue()
    rounds: list[Any] = [[fed(7, at="p1", wanted=False)], [fed(1)], [fed(8, at="p1", wanted=False)]]
    one = over(registry, Scripted(rounds), queue, clock)
    one.step()
    assert queue.calls == 0
    one.step()
    assert (queue.calls, queue.cursors) == (1, {"p0": 1, "p1": 7})
    one.step()
    assert queue.calls == 1
    clock.advance(6)
    one.step()
    assert (queue.calls, queue.cursors) == (2, {"p0": 1, "p1": 8})


def test_a_webhook_that_a_410_disabled_takes_nothing_more_in(registry: Registry, clock: ManualClock) -> None:
    queue = Queue()
    one = over(registry, Scripted([[fed(1)], [fed(2)], [fed(3)]]), queue, clock)
    one.step()
    [known] = registry.webhooks.active()
    for status in (WebhookStatus.AWAITING_RETRY, WebhookStatus.DISABLED):
        with registry._database.change() as connection:
            registry.webhooks.set_status(connection, known.id, status, None)
        one.step()
    assert queue.events == ["p0-1", "p0-2"]


def test_lanes_with_work_are_told_when_they_have_some(registry: Registry, clock: ManualClock) -> None:
    lease = registry.outbound.acquire("me", 15)
    assert lease is not None
    due: list[Mapping[Lane, int]] = []
    changes, _posted = intakes(registry, lease, clock, Counted(), due.append)
    changes.step()
    due.clear()
    other = webhook(registry, "b", "entityCreated")
    changes.step()
    assert [set(each) for each in due] == [
        {Lane(known.id) for known in registry.webhooks.active() if known.id != other}
    ]
