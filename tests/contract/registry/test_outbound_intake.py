"""The lease fences, and taking in is one transaction: events, batches, cursors."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from schemas.backing.registry import LeaseLost, Registry
from schemas.backing.registry.outbound_tables import OUTBOUND_DELIVERIES, OUTBOUND_EVENTS
from schemas.definitions.notification import Cursor, Lane
from tests.contract.registry.outbound_make import batches, emptied, held, matched, webhook
from tests.fakes.clock import ManualClock

NOW = 1_700_000_000_000


@pytest.fixture
def clock(shared: Registry) -> ManualClock:
    """Return the registry's clock, set back."""
    found = shared.outbound.rim.clock
    assert isinstance(found, ManualClock)
    found.at_s = NOW / 1000
    return found


@pytest.fixture
def registry(shared: Registry, clock: ManualClock) -> Registry:  # noqa: ARG001 set back
    return emptied(shared)


def counted(registry: Registry) -> tuple[int, int]:
    with registry._database.read() as connection:
        events, deliveries = (
            connection.execute(select(func.count()).select_from(table)).scalar()
            for table in (OUTBOUND_EVENTS, OUTBOUND_DELIVERIES)
        )
    return events or 0, deliveries or 0


def test_one_holder_at_a_time_and_a_later_one_has_a_greater_epoch(registry: Registry, clock: ManualClock) -> None:
    first = held(registry)
    assert registry.outbound.acquire("b", 15) is None
    clock.advance(14)
    assert registry.outbound.renew(first, 15)
    clock.advance(14)
    assert registry.outbound.acquire("b", 15) is None
    clock.advance(2)
    second = held(registry, "b")
    assert second.epoch == first.epoch + 1
    assert not registry.outbound.renew(first, 15)
    registry.outbound.release(first)
    assert registry.outbound.acquire("c", 15) is None
    registry.outbound.release(second)
    assert held(registry, "c").epoch == second.epoch + 1


def test_many_that_want_the_lease_at_once_get_it_once(registry: Registry) -> None:
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda number: registry.outbound.acquire(f"p{number}", 15), range(8)))
    assert len([lease for lease in got if lease is not None]) == 1


def test_a_holder_frozen_past_its_lease_writes_nothing(registry: Registry, clock: ManualClock) -> None:
    webhook(registry)
    old = held(registry)
    clock.advance(16)
    held(registry, "b")
    with pytest.raises(LeaseLost):
        registry.outbound.take_in(old, matched(1), [Cursor("changes", 1)])
    assert counted(registry) == (0, 0)
    assert registry.outbound.cursors() == {}


def test_batches_fill_up_to_batch_size_and_wait_their_linger(registry: Registry, clock: ManualClock) -> None:
    webhook(registry)
    lease = held(registry)
    assert registry.outbound.take_in(lease, matched(1, 2), [Cursor("changes", 2)], 2.0) == {Lane("w1"): NOW + 2000}
    clock.advance(1)
    due = registry.outbound.take_in(lease, matched(3, 4), [Cursor("changes", 4)], 2.0)
    assert due == {Lane("w1"): NOW + 1000}
    assert batches(registry) == [([1, 2, 3], False, NOW + 1000), ([4], True, NOW + 3000)]


def test_a_full_batch_that_waited_longer_is_not_due_later(registry: Registry, clock: ManualClock) -> None:
    webhook(registry)
    lease = held(registry)
    registry.outbound.take_in(lease, matched(1), [], 1.0)
    clock.advance(30)
    registry.outbound.take_in(lease, matched(2, 3), [], 1.0)
    assert batches(registry) == [([1, 2, 3], False, NOW + 1000)]


def test_deliveries_of_a_lane_are_due_in_order_though_the_clock_goes_back(
    registry: Registry, clock: ManualClock
) -> None:
    webhook(registry)
    lease = held(registry)
    for number in range(1, 8):
        registry.outbound.take_in(lease, matched(number), [], 0.0)
        clock.advance(-10)
    found = batches(registry)
    assert [events for events, _, _ in found] == [[1, 2, 3], [4, 5, 6], [7]]
    assert [due for _, _, due in found] == sorted(due for _, _, due in found)


def test_an_event_without_a_lane_is_not_stored_and_its_cursor_moves(registry: Registry) -> None:
    webhook(registry)
    lease = held(registry)
    taken = matched(1, lanes=()) + matched(2, lanes=(Lane("gone"),)) + matched(3, lanes=(Lane("w1"), Lane("w1")))
    registry.outbound.take_in(lease, taken, [Cursor("changes", 3)])
    assert counted(registry) == (1, 1)
    assert batches(registry) == [([1], True, NOW + 1000)]
    assert registry.outbound.cursors() == {"changes": 3}


def test_cursors_never_go_back_and_a_repetition_writes_nothing(registry: Registry) -> None:
    webhook(registry)
    lease = held(registry)
    registry.outbound.take_in(lease, matched(1), [Cursor("changes", 5), Cursor("t:0", 2, "acme")])
    assert registry.outbound.take_in(lease, matched(1), [Cursor("changes", 5), Cursor("t:0", 2, "acme")]) == {}
    assert counted(registry) == (1, 1)
    registry.outbound.take_in(lease, matched(2), [Cursor("changes", 3), Cursor("t:0", 7, "acme")])
    assert registry.outbound.cursors() == {"changes": 5, "t:0": 7}
    assert counted(registry) == (2, 1)


def test_a_thousand_events_to_twenty_lanes_are_cheap(registry: Registry) -> None:
    lanes = tuple(Lane(webhook(registry, f"w{number}", batch=10)) for number in range(20))
    lease = held(registry)
    began = time.thread_time()
    registry.outbound.take_in(lease, matched(*range(1000), lanes=lanes), [Cursor("changes", 1000)])
    assert time.thread_time() - began < 1.5
    assert counted(registry) == (1000, 2000)
    assert [events for events, _, _ in batches(registry, lanes[7])] == [
        list(range(at, at + 10)) for at in range(1, 1001, 10)
    ]
