"""The log of outbound deliveries: lists and their filters, one delivery, figures, and what is asked of the process."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from sqlalchemy import event as events
from sqlalchemy import select

from schemas.backing.registry import SYSTEM, PageRequest, Registry, Vault
from schemas.backing.registry.outbound import log, requests, statistics
from schemas.backing.registry.outbound.log import Wanted
from schemas.backing.registry.outbound_tables import OUTBOUND_REQUESTS
from schemas.definitions.notification import DeliveryKind, DeliveryState, RequestKind
from schemas.definitions.webhook import WebhookStatus
from schemas.errors import Overloaded
from schemas.reasons import Reason
from schemas.wire.entity_event import event_id
from tests.contract.registry.conftest import KEY
from tests.contract.registry.make import refused
from tests.contract.registry.outbound_rows import attempt, delivery, event, webhook
from tests.fakes.clock import ManualClock
from tests.house import stack

PENDING, DELIVERED, GIVEN_UP = DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.RETRY_LIMIT_REACHED
ALL = Wanted()
HOUR_MS = 3_600_000


def listed(registry: Registry, wanted: Wanted = ALL, webhook_id: str = "w1") -> list[str]:
    found = log.page(registry.outbound.rim, "acme", webhook_id, wanted, PageRequest(200))
    return [one.id for one in found.items]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Yield one registry for all tests here: each has webhooks of its own."""
    url = f"sqlite:///{tmp_path_factory.mktemp('log')}/registry.db"
    if request.param == "postgres":
        server: stack.Postgres = request.getfixturevalue("postgres")
        url = server.fresh_database()
    made = Registry(url, vault=Vault(KEY), clock=ManualClock())
    made.migrate()
    for tenant in ("acme", "umbra", "few"):
        made.tenants.create(tenant, actor=SYSTEM)
    yield made
    made.close()


@pytest.fixture(scope="module")
def kept(registry: Registry) -> Registry:
    """Return the registry whose webhook w1 has four deliveries, made at 1..4, and w2 one."""
    webhook(registry, "w1")
    webhook(registry, "w2")
    delivery(registry, "d1", state="delivered", last_status=204, last_attempt_at_ms=1, events=[1, 12])
    delivery(
        registry, "d2", state="retryLimitReached", created_at_ms=2, last_status=503, last_attempt_at_ms=2, events=[2]
    )
    delivery(registry, "d3", state="pending", created_at_ms=3, last_attempt_at_ms=3, events=[112], kind="fallback")
    delivery(registry, "d4", state="pending", created_at_ms=4, events=[12], kind="test")
    delivery(registry, "other", "w2")
    return registry


def test_pages_go_from_new_to_old_and_hold_one_webhook_s(kept: Registry) -> None:
    rim = kept.outbound.rim
    first = log.page(rim, "acme", "w1", ALL, PageRequest(3))
    assert [one.id for one in first.items] == ["d4", "d3", "d2"]
    rest = log.page(rim, "acme", "w1", ALL, PageRequest(3, first.next_cursor))
    assert ([one.id for one in rest.items], rest.next_cursor) == (["d1"], None)
    assert rest.items[0].events == (1, 12)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(state=PENDING), ["d4", "d3"]),
        (Wanted(state=GIVEN_UP), ["d2"]),
        (Wanted(kind=DeliveryKind.TEST), ["d4"]),
        (Wanted(since_ms=2, until_ms=4), ["d3", "d2"]),
        (Wanted(answer=2), ["d1"]),
        (Wanted(answer=5), ["d2"]),
        (Wanted(answer=0), ["d3"]),
        (Wanted(answer=4), []),
        (Wanted(failed=True), ["d3", "d2"]),
        (Wanted(state=PENDING, kind=DeliveryKind.FALLBACK, since_ms=3), ["d3"]),
    ],
)
def test_a_filter_narrows_the_list(kept: Registry, wanted: Wanted, found: list[str]) -> None:
    assert listed(kept, wanted) == found


def test_an_event_is_found_in_every_delivery_that_holds_it(kept: Registry) -> None:
    """Sequence 12 is no part of 112, and stands first, last and alone."""
    named = event(kept, 12)
    webhook(kept, "holds")
    forms = ([12], [1, 12], [12, 13], [1, 12, 13], [112], [1, 121])
    for number, held in enumerate(forms):
        state = "delivered" if number == 1 else "pending"
        delivery(kept, f"e{number}", "holds", created_at_ms=number, events=held, state=state)
    assert listed(kept, Wanted(event_id=named), "holds") == ["e3", "e2", "e1", "e0"]
    assert listed(kept, Wanted(event_id=named, state=DELIVERED), "holds") == ["e1"]
    assert listed(kept, Wanted(event_id=event_id("changes", 99)), "holds") == []


def test_one_delivery_holds_its_events_and_attempts_in_order(kept: Registry) -> None:
    first, last = event(kept, 21), event(kept, 22)
    webhook(kept, "one")
    delivery(kept, "o1", "one", events=[21, 22])
    for number in (1, 2):
        attempt(kept, "o1", number, number, None if number == 1 else 204, of="one")
    told = log.one(kept.outbound.rim, "acme", "one", "o1")
    assert [one.event_id for one in told.events] == [first, last]
    assert [(one.number, one.status, one.request) for one in told.attempts] == [
        (1, None, {"body": "b"}),
        (2, 204, {"body": "b"}),
    ]


def test_the_newest_hundred_attempts_are_shown(kept: Registry) -> None:
    for number in range(1, 104):
        attempt(kept, "d2", number, number, 503)
    told = log.one(kept.outbound.rim, "acme", "w1", "d2")
    assert [one.number for one in told.attempts] == list(range(4, 104))


def test_another_tenant_s_webhook_and_another_webhook_s_delivery_are_not_found(kept: Registry) -> None:
    rim = kept.outbound.rim
    for call in (
        lambda: log.page(rim, "umbra", "w1", ALL, PageRequest(5)),
        lambda: log.one(rim, "umbra", "w1", "d1"),
        lambda: log.one(rim, "acme", "w1", "other"),
        lambda: statistics.of_webhook(rim, "umbra", "w1"),
        lambda: requests.test(rim, "umbra", "w1", actor=SYSTEM),
        lambda: requests.resend(rim, "acme", "w1", "other", actor=SYSTEM),
        lambda: requests.resend_failed(rim, "umbra", "w1", [GIVEN_UP], 0, actor=SYSTEM),
    ):
        refused(Reason.NOT_FOUND, call)
    assert statistics.of_tenant(rim, "umbra") == ()


def test_figures_are_those_of_the_hour_the_day_and_the_log(registry: Registry) -> None:
    webhook(registry, "figures")
    now = registry.outbound.rim.now_ms()
    for number, (age, status, took) in enumerate(
        (
            (0, 200, 10),
            (HOUR_MS - 1, 503, 30),
            (2 * HOUR_MS, None, 1000),
            (30 * HOUR_MS, 204, 20),
            (31 * HOUR_MS, 500, 5),
        )
    ):
        at = now - age
        state = "delivered" if status in {200, 204} else "retryLimitReached"
        delivery(registry, f"f{number}", "figures", created_at_ms=at, state=state)
        attempt(registry, f"f{number}", 1, at, status, took, of="figures")
    delivery(registry, "waits", "figures", created_at_ms=now - 500)
    told = statistics.of_webhook(registry.outbound.rim, "acme", "figures")
    hour, day, whole = (told.windows[name] for name in ("hour", "day", "log"))
    assert (hour.attempts, hour.success_rate, hour.p50_ms, hour.p95_ms) == ({"2xx": 1, "5xx": 1}, 0.5, 10, 30)
    assert hour.deliveries == {"delivered": 1, "retryLimitReached": 1, "pending": 1}
    assert (day.attempts, day.p50_ms, day.p95_ms, day.measured) == ({"2xx": 1, "5xx": 1, "none": 1}, 30, 1000, 3)
    assert (whole.attempts, whole.success_rate, whole.measured) == ({"2xx": 2, "5xx": 2, "none": 1}, 0.4, 5)
    assert (told.pending, told.oldest_pending_at_ms) == (1, now - 500)
    assert (told.last_success_at_ms, told.last_failure_at_ms) == (now, now - HOUR_MS + 1)


def test_a_webhook_without_attempts_has_no_rate(registry: Registry) -> None:
    webhook(registry, "silent")
    told = statistics.of_webhook(registry.outbound.rim, "acme", "silent")
    assert [(one.success_rate, one.p50_ms, one.measured) for one in told.windows.values()] == [(None, None, 0)] * 3
    assert (told.pending, told.last_success_at_ms, told.last_failure_at_ms) == (0, None, None)


def test_a_tenant_s_webhooks_stand_in_one_line_each(registry: Registry) -> None:
    for name, values in (("b", {"status": "awaitingRetry"}), ("a", {}), ("c", {"deleted": True})):
        webhook(registry, f"few-{name}", tenant="few", **values)
    for number, state in enumerate(("pending", "pending", "delivered"), 3):
        delivery(registry, f"s{number}", "few-b", tenant_id="few", created_at_ms=number, state=state)
    told = statistics.of_tenant(registry.outbound.rim, "few")
    assert [(one.name, one.status, one.pending, one.oldest_pending_at_ms) for one in told] == [
        ("few-a", WebhookStatus.ACTIVE, 0, None),
        ("few-b", WebhookStatus.AWAITING_RETRY, 2, 3),
    ]


def test_what_is_asked_is_a_row_and_a_row_of_the_log_of_changes(kept: Registry) -> None:
    rim = kept.outbound.rim
    made = requests.test(rim, "acme", "w1", actor=SYSTEM)
    requests.resend(rim, "acme", "w1", "d1", actor=SYSTEM)
    asked = requests.resend_failed(rim, "acme", "w1", [GIVEN_UP, DELIVERED], 1, 3, actor=SYSTEM)
    assert (asked.matching, asked.resending) == (2, 2)
    with kept._database.read() as connection:
        rows = connection.execute(select(OUTBOUND_REQUESTS).where(OUTBOUND_REQUESTS.c.webhook_id == "w1")).all()
    rows = sorted(rows, key=lambda row: list(RequestKind).index(RequestKind(row.kind)))
    assert [(row.kind, orjson.loads(row.arguments)) for row in rows] == [
        (RequestKind.TEST, {"deliveryId": made}),
        (RequestKind.RESEND, {"deliveryId": "d1"}),
        (
            RequestKind.RESEND_FAILED,
            {"states": ["delivered", "retryLimitReached"], "sinceMs": 1, "untilMs": 3, "limit": requests.MAX_RESENT},
        ),
    ]
    changes = [row for row in kept.changes.page(0, 1000) if row.entity_type == "webhookRequest"]
    named = {(row.entity_id, row.tenant_id, row.entity_name) for row in changes}
    assert {(row.id, "acme", "w1") for row in rows} <= named
    assert {field.pointer: field.new for field in changes[1].fields} == {
        "/webhookId": "w1", "/kind": "resend", "/deliveryId": "d1",
    }  # fmt: skip


def test_nothing_is_asked_of_a_webhook_that_sends_nothing(registry: Registry) -> None:
    rim = registry.outbound.rim
    webhook(registry, "off", enabled=False)
    webhook(registry, "gone", deleted=True)
    refused(Reason.WEBHOOK_DISABLED, lambda: requests.test(rim, "acme", "off", actor=SYSTEM))
    refused(Reason.WEBHOOK_DISABLED, lambda: requests.resend_failed(rim, "acme", "off", [GIVEN_UP], 0, actor=SYSTEM))
    refused(Reason.NOT_FOUND, lambda: requests.test(rim, "acme", "gone", actor=SYSTEM))


def test_requests_that_wait_are_bounded(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_WAITING", 2)
    webhook(registry, "asked")
    for _ in range(2):
        requests.test(registry.outbound.rim, "acme", "asked", actor=SYSTEM)
    with pytest.raises(Overloaded):
        requests.test(registry.outbound.rim, "acme", "asked", actor=SYSTEM)


def test_figures_are_read_from_indexes(registry: Registry) -> None:
    """Rows hold bodies; a webhook with a large log must not be read row by row."""
    if not registry._database.sqlite:
        pytest.skip("SQLite says in its plan that an index covers a query; PostgreSQL decides by statistics")
    webhook(registry, "planned")
    asked: list[tuple[str, Any]] = []

    def note(_c: object, _u: object, text: str, values: Any, *_rest: object) -> None:
        asked.append((text, values))

    events.listen(registry._database._engine, "before_cursor_execute", note)
    statistics.of_webhook(registry.outbound.rim, "acme", "planned")
    statistics.of_tenant(registry.outbound.rim, "acme")
    events.remove(registry._database._engine, "before_cursor_execute", note)
    plans: dict[str, str] = {}
    with registry._database.read() as connection:
        for text, values in asked:
            if "outbound_attempts" in text or "outbound_deliveries" in text:
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
                plans[text] = "; ".join(row[3] for row in rows if "TEMP B-TREE" not in row[3])
    assert len(plans) >= 5
    assert {text: plan for text, plan in plans.items() if "COVERING INDEX" not in plan} == {}
