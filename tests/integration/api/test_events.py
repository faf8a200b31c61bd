"""`/events`: what anyone tells of entities is taken whole or refused with its pointer, once an id, by tenant."""

from typing import Any

import pytest

from schemas.definitions.key import Permission
from schemas.definitions.posted import MAX_EVENTS
from tests.integration.api.world import Api

TOLD: dict[str, Any] = {
    "eventId": "7d9f8c6a-0000-4000-8000-000000000001",
    "eventType": "entityUpdated",
    "entityType": "table",
    "entityId": "t1",
    "entityFullyQualifiedName": "wh.sales.orders",
    "entity": {"id": "t1", "name": "orders", "tags": [{"tagFQN": "PII.Sensitive"}]},
    "changeDescription": {"fieldsUpdated": [{"name": "description", "oldValue": "", "newValue": "All"}]},
    "timestamp": 1_700_000_000_000,
    "userName": "ada",
}


async def test_an_event_is_taken_and_listed_as_it_was_told(api: Api) -> None:
    reply = await api.send("POST", "/events", TOLD)
    assert (reply.status, reply.json) == (202, {"items": [{"eventId": TOLD["eventId"]}], "new": 1})
    [shown] = (await api.send("GET", "/events")).json["items"]
    assert shown == {
        **TOLD,
        "tenantId": "default",
        "entity": {"type": "table", **TOLD["entity"]},
        "changeDescription": {"fieldsAdded": [], "fieldsDeleted": [], **TOLD["changeDescription"]},
    }


async def test_the_same_id_is_the_same_event(api: Api) -> None:
    await api.send("POST", "/events", TOLD)
    again = await api.send("POST", "/events", [{**TOLD, "userName": "eve"}, {**TOLD, "eventId": None, "id": "other"}])
    assert again.json == {"items": [{"eventId": TOLD["eventId"]}, {"eventId": "other"}], "new": 1}
    shown = (await api.send("GET", "/events")).json["items"]
    assert [(each["eventId"], each["userName"]) for each in shown] == [(TOLD["eventId"], "ada"), ("other", "ada")]


async def test_an_event_without_id_gets_one_and_the_entity_may_name_itself(api: Api) -> None:
    bare = {"eventType": "entityCreated", "entityType": "anything", "entity": '{"id": "x", "name": "n"}'}
    reply = await api.send("POST", "/events", [bare, bare])
    first, second = (each["eventId"] for each in reply.json["items"])
    assert first != second
    page = (await api.send("GET", "/events?limit=1")).json
    [shown] = page["items"]
    assert (shown["entityId"], shown["entityFullyQualifiedName"], shown["eventId"]) == ("x", "n", first)
    rest = (await api.send("GET", f"/events?cursor={page['nextCursor']}")).json
    assert ([each["eventId"] for each in rest["items"]], rest["nextCursor"]) == ([second], None)
    assert (await api.send("GET", "/events?after=4000000000000")).json["items"] == []


async def test_members_of_openmetadatas_own_events_are_taken(api: Api) -> None:
    whole = {
        **TOLD,
        "eventId": None,
        "id": "om-1",
        "previousVersion": 0.1,
        "currentVersion": 0.2,
        "domains": ["d"],
        "impersonatedBy": "bot",
        "incrementalChangeDescription": {},
        "changeDescription": {"fieldsAdded": [], "previousVersion": 0.1, "changeSummary": {}},
    }
    assert (await api.send("POST", "/events", whole)).json["items"] == [{"eventId": "om-1"}]


def deep(levels: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(levels):
        made = {"a": made}
    return made


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"eventType": "entityRead"}, "/1/eventType"),
        ({"entityType": ""}, "/1/entityType"),
        ({"entityId": None, "entity": {}}, "/1/entityId"),
        ({"entity": "[]"}, "/1/entity"),
        ({"entity": deep(300)}, "/1/entity"),
        ({"eventId": "x" * 37}, "/1/eventId"),
        ({"timestamp": -1}, "/1/timestamp"),
        ({"more": 1}, "/1/more"),
        ({"changeDescription": {"fieldsAdded": [{"name": "a"}] * 201}}, "/1/changeDescription/fieldsAdded"),
    ],
)
async def test_one_wrong_event_refuses_all_with_its_pointer(api: Api, change: dict[str, Any], pointer: str) -> None:
    reply = await api.send("POST", "/events", [TOLD, {**TOLD, "eventId": "second", **change}])
    assert (reply.status, reply.pointers) == (422, [pointer])
    assert (await api.send("GET", "/events")).json["items"] == []


@pytest.mark.parametrize("body", [[], [TOLD] * (MAX_EVENTS + 1), [7], [[TOLD]], "x", 7])
async def test_refuses_what_is_no_event_and_no_array_of_them(api: Api, body: Any) -> None:
    assert (await api.send("POST", "/events", body)).status == 422


async def test_an_event_is_bounded(api: Api) -> None:
    reply = await api.send("POST", "/events", {**TOLD, "entity": {"id": "t", "text": "x" * (256 << 10)}})
    assert (reply.status, reply.reason) == (413, "body_too_large")


async def test_tenants_tell_and_see_their_own_with_the_permission_to(api: Api) -> None:
    await api.make("/tenants", {"id": "globex"})
    writes = await api.key_for("globex", Permission.EVENTS_WRITE)
    reads = await api.key_for("globex", Permission.EVENTS_READ)
    assert (await api.send("POST", "/events", TOLD, key=writes)).status == 202
    assert (await api.send("POST", "/events", TOLD, key=reads)).status == 403
    assert (await api.send("GET", "/events", key=writes)).status == 403
    [shown] = (await api.send("GET", "/events", key=reads)).json["items"]
    assert shown["tenantId"] == "globex"
    assert (await api.send("GET", "/events")).json["items"] == []
    assert (await api.send("POST", "/events", TOLD)).json["new"] == 1
