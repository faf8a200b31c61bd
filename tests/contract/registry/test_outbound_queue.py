"""Turns of the engine: what is claimed grows no more, results and statuses go together, requests are done once."""

import orjson
import pytest
from sqlalchemy import select, update

from schemas.backing.registry import SYSTEM, LeaseLost, Registry
from schemas.backing.registry.outbound import Horizon, requests, rows
from schemas.backing.registry.outbound_tables import OUTBOUND_ATTEMPTS, OUTBOUND_DELIVERIES, OUTBOUND_EVENTS, WEBHOOKS
from schemas.definitions.notification import (
    Attempt,
    Cursor,
    Delivery,
    DeliveryKind,
    DeliveryState,
    FailureDetails,
    Lane,
)
from schemas.definitions.sending import Claim, Result, Told
from schemas.definitions.webhook import WebhookStatus
from schemas.wire.change import Op
from tests.contract.registry.outbound_make import LANE, batches, emptied, held, matched, webhook
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


def attempt(delivery: Delivery, status: int | None = 200, reason: str | None = None) -> Attempt:
    return Attempt(delivery.id, delivery.attempts + 1, NOW, 5, "https://example.com/in", status, reason, {}, {})


def result(claim: Claim, state: DeliveryState, status: int = 200, *, again_ms: int | None = None) -> Result:
    reason = None if status == 200 else "endpoint_failed"
    return Result(claim.delivery, attempt(claim.delivery, status, reason), state, reason, again_ms)


def claimed(registry: Registry, lane: Lane = LANE, most: int = 1, *, owner: str = "a") -> tuple[Claim, ...]:
    return registry.outbound.turn(held(registry, owner), (), (), {lane: most}).claims.get(lane, ())


def row(registry: Registry, delivery_id: str) -> Delivery:
    with registry._database.read() as connection:
        query = select(OUTBOUND_DELIVERIES).where(OUTBOUND_DELIVERIES.c.id == delivery_id)
        return rows.delivery(connection.execute(query).one())


def test_what_is_claimed_takes_no_more_events(registry: Registry, clock: ManualClock) -> None:
    webhook(registry)
    lease = held(registry)
    registry.outbound.take_in(lease, matched(1), [], 0.0)
    clock.advance(1)
    (claim,) = registry.outbound.turn(lease, (), (), {LANE: 4}).claims[LANE]
    assert [event.at_ms for event in claim.events] == [1]
    registry.outbound.take_in(lease, matched(2), [], 0.0)
    assert [events for events, _, _ in batches(registry)] == [[1], [2]]
    clock.advance(60)
    (again, _) = claimed(registry, most=4, owner="b")
    assert (again.delivery.id, again.events) == (claim.delivery.id, claim.events)


def test_claims_are_the_oldest_due_ones_and_tell_when_the_next_is_due(registry: Registry) -> None:
    webhook(registry, batch=1)
    webhook(registry, "w2")
    lease = held(registry)
    registry.outbound.take_in(lease, matched(1, 2, 3), [])
    registry.outbound.take_in(lease, matched(4, lanes=(Lane("w2"),)), [], 5.0)
    found = registry.outbound.turn(lease, (), (), {LANE: 2, Lane("w2"): 2, Lane("w3"): 2})
    assert [claim.delivery.events for claim in found.claims[LANE]] == [(1,), (2,)]
    assert found.again_ms == {LANE: NOW, Lane("w2"): NOW + 5000, Lane("w3"): None}
    assert {lane: each.pending for lane, each in registry.outbound.waiting().items()} == {LANE: 3, Lane("w2"): 1}


def test_results_are_kept_with_their_attempts_and_a_retry_comes_at_its_time(
    registry: Registry, clock: ManualClock
) -> None:
    webhook(registry, batch=1)
    lease = held(registry)
    registry.outbound.take_in(lease, matched(1, 2), [])
    first, second = registry.outbound.turn(lease, (), (), {LANE: 2}).claims[LANE]
    results = [
        result(first, DeliveryState.PENDING, 503, again_ms=NOW + 60_000),
        result(second, DeliveryState.DELIVERED),
    ]
    registry.outbound.turn(lease, results, (), {})
    after = registry.outbound.turn(lease, results, (), {LANE: 2})  # again: nobody knew whether it was written
    assert (after.claims, after.again_ms) == ({}, {LANE: NOW + 60_000})
    kept = row(registry, first.delivery.id)
    assert (kept.attempts, kept.tries, kept.last_status, kept.last_reason) == (1, 1, 503, "endpoint_failed")
    assert row(registry, second.delivery.id).state is DeliveryState.DELIVERED
    clock.advance(60)
    (again,) = claimed(registry, owner="b")
    assert again.delivery.attempts == 1
    with registry._database.read() as connection:
        assert len(connection.execute(select(OUTBOUND_ATTEMPTS)).all()) == 2


def test_a_holder_whose_lease_is_gone_records_nothing_at_all(registry: Registry, clock: ManualClock) -> None:
    webhook(registry)
    old = held(registry)
    registry.outbound.take_in(old, matched(1, 2, 3), [])
    (claim,) = registry.outbound.turn(old, (), (), {LANE: 1}).claims[LANE]
    clock.advance(16)
    held(registry, "b")
    told = [Told("w1", WebhookStatus.FAILED, FailureDetails(NOW, None, "x"))]
    for call in (
        lambda: registry.outbound.turn(old, [result(claim, DeliveryState.DELIVERED)], told, {}),
        lambda: registry.outbound.turn(old, (), (), {LANE: 1}),
        lambda: registry.outbound.act(old),
        lambda: registry.outbound.give_up(old, LANE, DeliveryState.CANCELED, "x", most=5),
        lambda: registry.outbound.prune(old, Horizon(NOW * 2, NOW * 2)),
    ):
        with pytest.raises(LeaseLost):
            call()
    assert row(registry, claim.delivery.id).state is DeliveryState.PENDING
    assert registry.webhooks.get("acme", "w1").status is WebhookStatus.ACTIVE


def test_a_status_is_one_change_and_its_fallback_hears_of_it_once(registry: Registry) -> None:
    webhook(registry)
    webhook(registry, "w2")
    lease = held(registry)
    told = [Told("w1", WebhookStatus.RETRY_LIMIT_REACHED, FailureDetails(NOW, 503, "endpoint_failed"), Lane("w2"))]
    before = registry.revision()
    assert registry.outbound.turn(lease, (), told, {}).moved == {Lane("w2"): NOW}
    assert registry.outbound.turn(lease, (), told, {}).moved == {}
    assert registry.revision() == before + 1
    (change,) = registry.changes.page(before, 10)
    assert (change.entity_type, change.op) == ("webhook", Op.UPDATED)
    (claim,) = registry.outbound.turn(lease, (), (), {Lane("w2"): 4}).claims[Lane("w2")]
    assert claim.delivery.kind is DeliveryKind.FALLBACK
    (event,) = claim.events
    (delta,) = event.change.updated
    assert (event.entity_type, delta.name, delta.old, delta.new) == ("webhook", "status", "active", "retryLimitReached")
    assert event.entity["failureDetails"]["lastFailedStatusCode"] == 503
    assert b"h1dden" not in orjson.dumps(event.to_wire())


def test_results_of_a_webhook_that_is_gone_are_left_out(registry: Registry) -> None:
    webhook(registry, batch=1)
    webhook(registry, "w2", batch=1)
    lease = held(registry)
    registry.outbound.take_in(lease, matched(1, lanes=(LANE, Lane("w2"))), [])
    found = registry.outbound.turn(lease, (), (), {LANE: 1, Lane("w2"): 1}).claims
    registry.webhooks.delete("acme", "w1", actor=SYSTEM)
    results = [result(claims[0], DeliveryState.DELIVERED) for claims in found.values()]
    told = [Told("w1", WebhookStatus.RETRY_LIMIT_REACHED, FailureDetails(NOW, 503, "x"), Lane("w2"))]
    registry.outbound.turn(lease, results, told, {})
    assert row(registry, found[Lane("w2")][0].delivery.id).state is DeliveryState.DELIVERED
    assert registry.outbound.waiting() == {}


def test_what_people_ask_for_is_done_once(registry: Registry) -> None:
    webhook(registry, batch=1)
    lease = held(registry)
    registry.outbound.take_in(lease, matched(1, 2, 3), [Cursor("changes", 3)])
    claims = registry.outbound.turn(lease, (), (), {LANE: 3}).claims[LANE]
    states = (DeliveryState.DELIVERED, DeliveryState.RETRY_LIMIT_REACHED, DeliveryState.CANCELED)
    done = [result(claim, state, 500) for claim, state in zip(claims, states, strict=True)]
    registry.outbound.turn(lease, done, (), {})
    assert not registry.outbound.asked()
    rim = registry.outbound.rim
    test_id = requests.test(rim, "acme", "w1", actor=SYSTEM)
    requests.resend(rim, "acme", "w1", claims[0].delivery.id, actor=SYSTEM)
    requests.resend_failed(rim, "acme", "w1", [DeliveryState.RETRY_LIMIT_REACHED], 0, actor=SYSTEM)
    assert registry.outbound.asked()
    assert registry.outbound.act(lease) == {LANE: NOW}
    assert not registry.outbound.asked()
    assert registry.outbound.act(lease) == {}
    found = registry.outbound.turn(lease, (), (), {LANE: 9}).claims[LANE]
    assert {claim.delivery.id for claim in found} == {claims[0].delivery.id, claims[1].delivery.id, test_id}
    assert {claim.delivery.tries for claim in found} == {0}
    (test,) = [claim for claim in found if claim.delivery.kind is DeliveryKind.TEST]
    assert test.events[0].entity["name"] == "w1"


def test_giving_up_takes_those_due_first_and_only_pending_ones(registry: Registry) -> None:
    webhook(registry, batch=1)
    lease = held(registry)
    registry.outbound.take_in(lease, matched(1, 2, 3, 4), [])
    (claim,) = registry.outbound.turn(lease, (), (), {LANE: 1}).claims[LANE]
    registry.outbound.turn(lease, [result(claim, DeliveryState.DELIVERED)], (), {})
    give_up = registry.outbound.give_up
    assert give_up(lease, LANE, DeliveryState.CANCELED, "too_many", most=2) == 2
    assert give_up(lease, LANE, DeliveryState.CANCELED, "late", most=9, due_before_ms=NOW) == 0
    with registry._database.read() as connection:
        found = connection.execute(select(OUTBOUND_DELIVERIES).order_by(OUTBOUND_DELIVERIES.c.first_event)).all()
    assert [one.state for one in found] == ["delivered", "canceled", "canceled", "pending"]
    assert found[1].last_reason == "too_many"


def test_the_log_lets_go_of_what_is_old_and_never_of_an_event_that_is_still_to_be_sent(
    registry: Registry, clock: ManualClock
) -> None:
    webhook(registry, batch=1)
    webhook(registry, "w2", batch=1)
    lease = held(registry)
    registry.outbound.take_in(lease, matched(1, 2), [])
    claims = registry.outbound.turn(lease, (), (), {LANE: 2}).claims[LANE]
    registry.outbound.turn(lease, [result(claims[1], DeliveryState.DELIVERED)], (), {})
    clock.advance(86_400)
    registry.outbound.take_in(lease, matched(3), [])
    now = NOW + 86_400_000
    while registry.outbound.prune(lease, Horizon(ended_ms=now - 1000, pending_ms=NOW - 1)):
        pass
    (kept, newest) = registry.outbound.turn(lease, (), (), {LANE: 9}).claims[LANE]
    assert (kept.delivery.id, len(kept.events), len(newest.events)) == (claims[0].delivery.id, 1, 1)
    while registry.outbound.prune(lease, Horizon(ended_ms=now + 1000, pending_ms=now + 1000)):
        pass
    with registry._database.read() as connection:
        assert connection.execute(select(OUTBOUND_DELIVERIES)).all() == []
        assert [one.sequence for one in connection.execute(select(OUTBOUND_EVENTS))] == [3]


def test_a_smaller_batch_size_closes_what_is_larger_than_it(registry: Registry) -> None:
    webhook(registry, batch=3)
    lease = held(registry)
    registry.outbound.take_in(lease, matched(1, 2), [])
    definition = orjson.dumps({"name": "w1", "batchSize": 1}).decode()
    with registry._database.write() as connection:
        connection.execute(update(WEBHOOKS).values(definition=definition))
    registry.outbound.take_in(lease, matched(3), [])
    assert [events for events, _, _ in batches(registry)] == [[1, 2], [3]]
    assert not any(open_ for _, open_, _ in batches(registry))
