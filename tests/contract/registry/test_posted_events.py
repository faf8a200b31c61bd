"""Posted events: kept once an id and tenant, in one order that nothing gives twice, pruned behind their reader."""

from concurrent.futures import ThreadPoolExecutor

from schemas.backing.registry import SYSTEM, PageRequest, Registry
from schemas.definitions.notification import Cursor
from schemas.definitions.posted import FEED, PostedEvent
from schemas.reasons import Reason
from schemas.wire.entity_event import EntityEvent
from tests.contract.registry.make import refused
from tests.contract.registry.outbound_make import held
from tests.fakes.clock import ManualClock


def posted(event_id: str, tenant: str = "acme") -> EntityEvent:
    told = PostedEvent.model_validate(
        {"eventType": "entityUpdated", "entityType": "table", "entityId": "t", "entity": {"text": "a\\u0000ü"}}
    )
    return told.event(tenant, event_id, 1)


def ids(registry: Registry) -> list[str]:
    return [row.event_id for row in registry.posted_events.after(0, 100)]


def test_an_id_is_kept_once_a_tenant_in_the_order_of_telling(registry: Registry) -> None:
    registry.tenants.create("globex", actor=SYSTEM)
    assert registry.posted_events.add("acme", [posted("b"), posted("a"), posted("b")]) == 2
    assert registry.posted_events.add("acme", [posted("a"), posted("c")]) == 1
    assert registry.posted_events.add("globex", [posted("a", "globex")]) == 1
    rows = registry.posted_events.after(0, 100)
    assert [(row.sequence, row.tenant_id, row.event_id) for row in rows] == [
        (1, "acme", "b"),
        (2, "acme", "a"),
        (3, "acme", "c"),
        (4, "globex", "a"),
    ]
    assert rows[0].event() == posted("b")
    assert [row.sequence for row in registry.posted_events.after(2, 1)] == [3]


def test_tenants_see_their_own(registry: Registry, clock: ManualClock) -> None:
    registry.tenants.create("globex", actor=SYSTEM)
    registry.posted_events.add("globex", [posted("x", "globex")])
    registry.posted_events.add("acme", [posted("a")])
    clock.advance(10)
    since = clock.time_ns() // 1_000_000
    registry.posted_events.add("acme", [posted("b"), posted("c")])
    first = registry.posted_events.page("acme", PageRequest(2), 0)
    assert [row.event_id for row in first.items] == ["a", "b"]
    rest = registry.posted_events.page("acme", PageRequest(2, first.next_cursor), 0)
    assert ([row.event_id for row in rest.items], rest.next_cursor) == (["c"], None)
    assert [row.event_id for row in registry.posted_events.page("acme", PageRequest(9), since).items] == ["b", "c"]
    refused(Reason.NOT_FOUND, lambda: registry.posted_events.add("nobody", [posted("a")]))


def test_only_what_the_feed_has_read_is_pruned_and_no_sequence_is_given_twice(
    registry: Registry, clock: ManualClock
) -> None:
    registry.posted_events.add("acme", [posted("a"), posted("b"), posted("c")])
    clock.advance(100)
    now = clock.time_ns() // 1_000_000
    assert registry.posted_events.prune(now, 100) == 0
    registry.outbound.take_in(held(registry), [], [Cursor(FEED, 2)])
    assert registry.posted_events.prune(now, 1) == 1
    assert registry.posted_events.prune(now, 100) == 1
    assert ids(registry) == ["c"]
    registry.outbound.take_in(held(registry), [], [Cursor(FEED, 3)])
    registry.posted_events.prune(now, 100)
    registry.posted_events.add("acme", [posted("d")])
    assert [row.sequence for row in registry.posted_events.after(0, 9)] == [4]


def test_many_that_tell_at_once_leave_no_gap_and_no_double(registry: Registry) -> None:
    with ThreadPoolExecutor(4) as pool:
        told = [[posted(f"{number}-{each}") for each in range(3)] for number in range(8)]
        assert sum(pool.map(lambda events: registry.posted_events.add("acme", events), told)) == 24
    assert [row.sequence for row in registry.posted_events.after(0, 100)] == list(range(1, 25))
