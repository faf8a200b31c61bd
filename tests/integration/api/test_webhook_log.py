"""`/webhooks/{uuid}/deliveries`, `resend`, `test`, `statistics`: an outbound webhook's log and what is asked."""

import asyncio
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from schemas.backing.registry import SYSTEM, Registry
from schemas.backing.registry.outbound_tables import OUTBOUND_REQUESTS
from schemas.definitions.key import Permission
from schemas.wire.entity_event import event_id
from tests.contract.registry import outbound_rows as rows
from tests.integration.api.world import Api

ID = "018bcfe5-6800-7000-8000-00000000000{}"
HOOK, OTHER, OFF = ID.format(1), ID.format(2), ID.format(3)
AT = 1_790_000_000_000
FIRST, SECOND, THIRD = ID.format(4), ID.format(5), ID.format(6)
PATH = f"/webhooks/{HOOK}/deliveries"
pytestmark = pytest.mark.usefixtures("registry")


@pytest.fixture
def registry(api: Api) -> Registry:
    """Return the registry with three webhooks: one with three deliveries, one of another tenant's, one disabled."""
    registry = api.env.registry
    registry.tenants.create("acme", actor=SYSTEM)
    rows.webhook(registry, HOOK, tenant="default")
    rows.webhook(registry, OTHER, tenant="acme")
    rows.webhook(registry, OFF, tenant="default", enabled=False)
    rows.event(registry, 1, AT, tenant="default")
    delivery(registry, FIRST, state="delivered", last_status=204, last_attempt_at_ms=AT + 5, attempts=1)
    delivery(registry, SECOND, state="retryLimitReached", last_status=503, last_attempt_at_ms=AT + 5, at=AT + 1)
    delivery(registry, THIRD, state="pending", next_attempt_at_ms=AT + 60_000, at=AT + 2)
    attempt(registry, FIRST, 204)
    return registry


def delivery(registry: Registry, row_id: str, *, at: int = AT, **values: Any) -> None:
    rows.delivery(registry, row_id, HOOK, tenant_id="default", created_at_ms=at, **values)


def attempt(registry: Registry, delivery_id: str, status: int) -> None:
    rows.attempt(registry, delivery_id, 1, AT + 5, status, took=7, of=HOOK)


async def names(api: Api, query: str) -> list[str]:
    reply = await api.send("GET", f"{PATH}?{query}")
    assert reply.status == 200, reply
    return [one["id"] for one in reply.json["items"]]


async def test_deliveries_are_listed_from_new_to_old_in_pages_and_by_filters(api: Api) -> None:
    first = (await api.send("GET", f"{PATH}?limit=2")).json
    assert [one["id"] for one in first["items"]] == [THIRD, SECOND]
    assert await names(api, f"limit=2&cursor={first['nextCursor']}") == [FIRST]
    pending, failed = first["items"]
    assert (pending["text"], pending["nextAttempt"], pending["receiver"]) == ("not tried yet", AT + 60_000, None)
    assert (failed["text"], failed["lastStatusCode"]) == ("503 Service Unavailable", 503)
    wanted = {
        "state=pending": [THIRD],
        "kind=test": [],
        "answer=2xx": [FIRST],
        "answer=none": [],
        f"since={AT + 1}&until={AT + 2}": [SECOND],
        f"since={AT + 1}": [THIRD, SECOND],
        "until=2026-09-21T14:13:20Z": [],
        f"eventId={event_id('changes', 1)}": [THIRD, SECOND, FIRST],
        f"eventId={event_id('changes', 2)}": [],
    }
    assert {query: await names(api, query) for query in wanted} == wanted


async def test_a_filter_that_says_nothing_is_refused(api: Api) -> None:
    for query in ("state=x", "kind=x", "answer=6xx", "since=x", "since=-1", "until=9999999999999999999"):
        assert (await api.send("GET", f"{PATH}?{query}")).reason == "bad_request", query


async def test_one_delivery_shows_its_events_and_attempts(api: Api) -> None:
    found = (await api.send("GET", f"{PATH}/{FIRST}")).json
    assert [(one["eventId"], one["entity"]) for one in found["eventList"]] == [(event_id("changes", 1), {"n": 1})]
    (made,) = found["attemptList"]
    assert (made["statusCode"], made["text"], made["durationMs"], made["response"]) == (
        204, "204 No Content", 7, {},
    )  # fmt: skip
    assert (found["state"], found["events"], found["attempts"]) == ("delivered", 1, 1)


async def test_what_is_asked_waits_for_the_notify_process(api: Api, registry: Registry) -> None:
    one = await api.send("POST", f"{PATH}/{FIRST}/resend")
    some = await api.send("POST", f"/webhooks/{HOOK}/resend", {"since": AT})
    none = await api.send("POST", f"/webhooks/{HOOK}/resend", {"since": "2026-09-22T00:00:00Z"})
    tested = await api.send("POST", f"/webhooks/{HOOK}/test")
    assert [reply.status for reply in (one, some, none, tested)] == [202] * 4
    assert [reply.json for reply in (one, some, none)] == [
        {"matching": 1, "resending": 1}, {"matching": 1, "resending": 1}, {"matching": 0, "resending": 0},
    ]  # fmt: skip
    with registry._database.read() as connection:
        found = connection.execute(select(OUTBOUND_REQUESTS)).all()
    asked = {(row.kind, orjson.loads(row.arguments).get("deliveryId")) for row in found}
    assert {("test", tested.json["deliveryId"]), ("resend", FIRST), ("resendFailed", None)} == asked


async def test_the_same_call_twice_asks_once(api: Api, registry: Registry) -> None:
    once = {"Idempotency-Key": "k1"}
    replies = [await api.send("POST", f"/webhooks/{HOOK}/test", headers=once) for _ in range(2)]
    assert replies[0].json == replies[1].json
    with registry._database.read() as connection:
        assert len(connection.execute(select(OUTBOUND_REQUESTS)).all()) == 1


async def test_a_test_that_waits_answers_with_its_attempt(api: Api, registry: Registry) -> None:
    call = asyncio.create_task(api.send("POST", f"/webhooks/{HOOK}/test?wait=10"))
    while not (asked := (await asyncio.to_thread(_requests, registry))):
        assert not call.done()
    delivery(registry, asked[0], state="pending", attempts=1)
    attempt(registry, asked[0], 500)
    reply = await call
    assert (reply.status, reply.json["deliveryId"], reply.json["attempt"]["text"]) == (
        200, asked[0], "500 Internal Server Error",
    )  # fmt: skip


def _requests(registry: Registry) -> list[str]:
    with registry._database.read() as connection:
        asked = connection.execute(select(OUTBOUND_REQUESTS.c.arguments)).scalars()
        return [orjson.loads(text)["deliveryId"] for text in asked]


async def test_a_test_that_nobody_sends_is_told_without_an_attempt(api: Api) -> None:
    reply = await api.send("POST", f"/webhooks/{HOOK}/test?wait=1")
    assert (reply.status, reply.json["attempt"]) == (202, None)


async def test_a_resend_says_what_is_wrong(api: Api) -> None:
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "/since"),
        ({"since": "soon"}, "/since"),
        ({"since": -1}, "/since"),
        ({"since": 0, "until": "x"}, "/until"),
        ({"since": 0, "states": ["pending"]}, "/states"),
        ({"since": 0, "states": []}, "/states"),
        ({"since": 0, "more": 1}, "/more"),
    )
    for body, pointer in wrong:
        reply = await api.send("POST", f"/webhooks/{HOOK}/resend", body)
        assert (reply.status, reply.pointers) == (422, [pointer]), body


async def test_nothing_is_asked_of_a_disabled_webhook(api: Api) -> None:
    for path, body in ((f"/webhooks/{OFF}/test", None), (f"/webhooks/{OFF}/resend", {"since": 0})):
        reply = await api.send("POST", path, body)
        assert (reply.status, reply.reason) == (409, "webhook_disabled")


async def test_figures_name_every_answer_and_state(api: Api) -> None:
    told = (await api.send("GET", f"/webhooks/{HOOK}/statistics")).json
    assert (told["pending"], told["oldestPendingAt"], told["lastSuccessAt"]) == (1, AT + 2, AT + 5)
    assert told["log"] == {
        "attempts": {"2xx": 1, "3xx": 0, "4xx": 0, "5xx": 0, "none": 0},
        "successRate": 1.0,
        "p50Ms": 7,
        "p95Ms": 7,
        "measured": 1,
        "deliveries": {"pending": 1, "delivered": 1, "retryLimitReached": 1, "canceled": 0},
    }


async def test_tenants_never_meet_and_reading_is_not_writing(api: Api) -> None:
    reader = await api.key_for("default", Permission.WEBHOOKS_READ)
    stranger = await api.key_for("acme", Permission.WEBHOOKS_READ, Permission.WEBHOOKS_WRITE)
    blind = await api.key_for("default", Permission.STREAMS_READ)
    reads = (PATH, f"{PATH}/{FIRST}", f"/webhooks/{HOOK}/statistics")
    writes: tuple[tuple[str, Any], ...] = (
        (f"{PATH}/{FIRST}/resend", None), (f"/webhooks/{HOOK}/resend", {"since": 0}), (f"/webhooks/{HOOK}/test", None),
    )  # fmt: skip
    for path in reads:
        assert (await api.send("GET", path, key=reader)).status == 200
        assert (await api.send("GET", path, key=stranger)).reason == "not_found"
        assert (await api.send("GET", path, key=blind)).reason == "forbidden"
    for path, body in writes:
        assert (await api.send("POST", path, body, key=reader)).reason == "forbidden"
        assert (await api.send("POST", path, body, key=stranger)).reason == "not_found"
    assert (await api.send("GET", f"/webhooks/{OTHER}/deliveries/{FIRST}", key=stranger)).reason == "not_found"
