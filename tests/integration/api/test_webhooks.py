"""`/webhooks` by HTTP: the entity, patches, what is the caller's to set, deletes, history, tenants."""

import asyncio
from typing import Any

import orjson
from jsonschema_rs import Draft202012Validator

from schemas.definitions.key import Permission
from schemas.definitions.webhook import MASK
from schemas.definitions.webhook_entity import FILE
from tests.integration.api.world import WEBHOOK, Api, Reply

JSON_PATCH = {"Content-Type": "application/json-patch+json"}
SECRET = "s3cret of the receiver"
FULL = {
    **WEBHOOK,
    "displayName": "Hook",
    "description": "why",
    "webhookType": "MSTeams",
    "batchSize": 5,
    "tags": [{"tagFQN": "PII.Sensitive"}],
    "domain": {"type": "domain", "name": "Sales"},
    "owner": {"type": "team", "name": "Data team"},
    "extension": {"costCentre": "42", "nested": {"any": [1, None]}},
    "webhookConfig": {
        "endpoint": "https://receiver.example/in", "secretKey": SECRET, "headers": {"X-Team": "data"}, "timeout": 5,
        "sendToOwners": True,
    },
}  # fmt: skip


async def patched(api: Api, made: dict[str, Any], *operations: dict[str, Any], **headers: str) -> Reply:
    return await api.send("PATCH", f"/webhooks/{made['id']}", list(operations), headers={**JSON_PATCH, **headers})


async def test_the_answer_is_the_entity_of_the_published_schema(api: Api) -> None:
    team = await api.make("/contacts", {"name": "Data team", "type": "team"})
    fallback = await api.make("/webhooks", {**WEBHOOK, "name": "other"})
    made = await api.make("/webhooks", {**FULL, "fallback": {"type": "webhook", "name": "default.other"}})
    schema = orjson.loads(FILE.read_bytes())

    Draft202012Validator(schema).validate(made)
    assert set(made) == set(schema["properties"])
    assert (made["fullyQualifiedName"], made["status"], made["version"]) == ("default.hook", "active", 0.1)
    assert made["href"] == f"http://127.0.0.1:8080/api/v1/webhooks/{made['id']}"
    assert made["webhookConfig"]["secretKey"] == MASK
    assert (made["owner"]["id"], made["owner"]["href"]) == (team["id"], team["href"])
    assert (made["fallback"]["id"], made["fallback"]["href"]) == (fallback["id"], fallback["href"])
    assert made["updatedAt"] > 1_600_000_000_000
    for path in (f"/webhooks/{made['id']}", f"/webhooks/{made['id'].upper()}", "/webhooks/name/hook?fields=owner,tags"):
        assert (await api.send("GET", path)).json == made
    for method, path in (("PUT", "/webhooks"), ("PUT", f"/webhooks/{made['id']}")):
        again = await api.send(method, path, made)
        assert (again.status, again.json) == (200, made), "an answer sent back changes nothing"


async def test_put_makes_or_replaces_and_keeps_the_secret_that_it_does_not_name(api: Api) -> None:
    first = await api.send("PUT", "/webhooks", {**FULL, "owner": None})
    assert first.status == 201
    etag = first.headers["ETag"]
    second = await api.send("PUT", "/webhooks", WEBHOOK, headers={"If-Match": etag})
    assert (second.status, second.json["version"], second.json["id"]) == (200, 1.0, first.json["id"])
    assert second.json["webhookConfig"]["secretKey"] == MASK
    assert (await api.send("PUT", "/webhooks", FULL, headers={"If-Match": etag})).reason == "precondition_failed"
    assert (await api.send("PUT", "/webhooks", WEBHOOK, headers={"If-None-Match": "*"})).status == 412
    absent = await api.send("PUT", "/webhooks", {**WEBHOOK, "name": "new"}, headers={"If-Match": etag})
    assert absent.status == 412
    gone = await api.send("PATCH", f"/webhooks/{first.json['id']}", {"webhookConfig": {"secretKey": None}})
    assert gone.json["webhookConfig"]["secretKey"] is None
    renamed = await api.send("PUT", f"/webhooks/{first.json['id']}", {**WEBHOOK, "name": "renamed"})
    assert (renamed.status, renamed.reason) == (409, "immutable")


async def test_calls_at_the_same_moment_all_have_their_effect(api: Api) -> None:
    puts = [api.send("PUT", "/webhooks", {**WEBHOOK, "description": str(number)}) for number in range(4)]
    replies = await asyncio.gather(*puts)
    assert sorted(reply.status for reply in replies) == [200, 200, 200, 201]
    made = replies[0].json
    patches = [patched(api, made, {"op": "add", "path": f"/extension/e{number}", "value": 1}) for number in range(3)]
    assert {reply.status for reply in await asyncio.gather(*patches)} == {200}
    now = (await api.send("GET", "/webhooks/name/hook")).json
    assert (sorted(now["extension"]), now["version"]) == (["e0", "e1", "e2"], 0.7)


async def test_json_patch_does_all_operations_or_none(api: Api) -> None:
    made = await api.make("/webhooks", {**FULL, "owner": None})
    done = await patched(
        api,
        made,
        {"op": "test", "path": "/description", "value": "why"},
        {"op": "replace", "path": "/displayName", "value": "Other"},
        {"op": "add", "path": "/tags/-", "value": {"tagFQN": "Tier.Tier1"}},
        {"op": "add", "path": "/webhookConfig/headers/X~1Y".replace("~1", "-"), "value": "1"},
        {"op": "move", "from": "/extension/costCentre", "path": "/extension/centre"},
        {"op": "copy", "from": "/tags/0", "path": "/tags/0"},
        {"op": "remove", "path": "/tags/0"},
        {"op": "remove", "path": "/domain"},
    )
    assert (done.status, done.json["version"]) == (200, 0.2)
    assert [tag["tagFQN"] for tag in done.json["tags"]] == ["PII.Sensitive", "Tier.Tier1"]
    assert done.json["extension"]["centre"] == "42"
    change = done.json["changeDescription"]
    assert {each["name"] for each in change["fieldsAdded"]} == {"webhookConfig.headers.X-Y", "extension.centre"}
    assert {each["name"] for each in change["fieldsUpdated"]} == {"displayName", "tags"}
    for operations, status, pointer in (
        ([{"op": "replace", "path": "/description", "value": "x"}, {"op": "test", "path": "/enabled", "value": False}],
         409, "/1"),
        ([{"op": "remove", "path": "/nothing"}], 409, "/0"),
        ([{"op": "add", "path": "/no/where", "value": 1}], 409, "/0"),
        ([{"op": "replace", "path": "/tags/9", "value": 1}], 409, "/0"),
        ([{"op": "add", "path": "/batchSize", "value": 101}], 422, "/batchSize"),
        ([{"op": "replace", "path": "/webhookType", "value": "Fax"}], 422, "/webhookType"),
        ([{"op": "add", "path": "/eventFilters/0/colour", "value": "red"}], 422, "/eventFilters/0/colour"),
        ([{"op": "replace", "path": "", "value": []}], 422, ""),
        ([{"op": "jump", "path": "/a"}], 422, "/0/op"),
        ([{"op": "add", "path": "/description"}], 422, "/0/value"),
        ([{"op": "copy", "from": "description", "path": "/displayName"}], 422, "/0/from"),
        (["remove"], 422, "/0"),
        ([{"op": "test", "path": "/name", "value": 1}] * 201, 422, ""),
        ([{"op": "copy", "from": "/extension", "path": f"/extension/e{n}"} for n in range(60)], 422, None),
    ):  # fmt: skip
        reply = await patched(api, made, *operations)
        assert reply.status == status, (operations[:2], reply)
        assert pointer is None or reply.pointers[0] == pointer, (operations[:2], reply)
    assert (await api.send("GET", f"/webhooks/{made['id']}")).json == done.json
    assert (await patched(api, made, **{"If-Match": '"1"'})).status == 412
    asked = {"op": "test", "path": "/webhookConfig/secretKey", "value": SECRET}
    assert (await patched(api, made, asked)).status == 409, "a test is no oracle"


async def test_a_patch_takes_two_media_types_and_says_so(api: Api) -> None:
    made = await api.make("/webhooks", {**FULL, "owner": None})
    path = f"/webhooks/{made['id']}"
    other = await api.send("PATCH", path, raw=b"{}", headers={"Content-Type": "application/json"})
    assert other.status == 415
    assert other.headers["Accept-Patch"] == "application/json-patch+json, application/merge-patch+json"
    assert (await api.send("PATCH", path, {}, headers=JSON_PATCH)).status == 422
    assert (await api.send("PATCH", path, [])).status == 422
    whole = {"op": "replace", "path": "/webhookConfig", "value": {"endpoint": "https://receiver.example/in"}}
    kept = await patched(api, made, whole)
    assert kept.json["webhookConfig"]["secretKey"] == MASK, "what a patch does not name stays"
    gone = await patched(api, made, {"op": "remove", "path": "/webhookConfig/secretKey"})
    assert gone.json["webhookConfig"]["secretKey"] is None


async def test_what_the_server_sets_is_taken_as_it_stands_and_refused_otherwise(api: Api) -> None:
    coming = {"fullyQualifiedName": "default.hook", "status": "active", "version": 0.1, "deleted": False, "id": None}
    made = await api.make("/webhooks", {**WEBHOOK, **coming})
    for name, value in (
        ("id", "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"), ("fullyQualifiedName", "other.hook"), ("status", "failed"),
        ("version", 7), ("deleted", True), ("updatedBy", "me"), ("updatedAt", 1), ("href", "https://x.example/"),
        ("failureDetails", {"lastFailedAt": 1}), ("changeDescription", {"fieldsAdded": []}),
    ):  # fmt: skip
        posted = await api.send("POST", "/webhooks", {**WEBHOOK, "name": "another", name: value})
        replaced = await api.send("PUT", f"/webhooks/{made['id']}", {**made, name: value})
        patch = await patched(api, made, {"op": "add", "path": f"/{name}", "value": value})
        for reply in (posted, replaced, patch):
            assert (reply.status, reply.pointers) == (422, [f"/{name}"]), (name, reply)


BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"colour": "red"}, "/colour"),
    ({"eventFilters": []}, "/eventFilters"),
    ({"eventFilters": [{"eventType": "entityBorn"}]}, "/eventFilters/0/eventType"),
    ({"batchSize": 0}, "/batchSize"),
    ({"name": "Not A Name"}, "/name"),
    ({"webhookConfig": {}}, "/webhookConfig"),
    ({"webhookConfig": {"endpoint": "https://127.0.0.1/in"}}, "/webhookConfig/endpoint"),
    ({"webhookConfig": {"endpoint": "http://receiver.example/in"}}, "/webhookConfig/endpoint"),
    ({"webhookConfig": {"endpoint": "https://x.example/", "secretKey": MASK}}, "/webhookConfig/secretKey"),
    ({"webhookConfig": {"endpoint": "https://x.example/", "headers": {"Host": "y"}}}, "/webhookConfig/headers"),
    ({"extension": {"a": "x" * 40_000}}, "/extension"),
    ({"extension": orjson.loads('{"a":' * 12 + "1" + "}" * 12)}, "/extension"),
    ({"fallback": {"type": "webhook", "name": "nobody"}}, "/fallback"),
    ({"fallback": {"type": "webhook", "name": "hook"}}, "/fallback"),
    ({"owner": {"name": "no type"}}, "/owner/type"),
)


async def test_a_bad_definition_is_refused_with_its_place(api: Api) -> None:
    for members, pointer in BAD:
        reply = await api.send("POST", "/webhooks", {**WEBHOOK, **members})
        assert (reply.status, reply.pointers[0]) == (422, pointer), (members, reply)
        if pointer == "/webhookConfig/endpoint":
            assert "notify_allow_" in reply.json["detail"]


async def test_a_soft_delete_is_seen_when_asked_for_and_taken_back(api: Api) -> None:
    made = await api.make("/webhooks", WEBHOOK)
    path = f"/webhooks/{made['id']}"
    gone = await api.send("DELETE", f"{path}?hardDelete=false&recursive=true")
    assert (gone.status, gone.json["deleted"], gone.json["status"], gone.json["version"]) == (200, True, "disabled", 1)
    assert (await api.send("GET", path)).status == 404
    assert (await api.send("GET", f"{path}?include=all")).json == gone.json
    assert (await api.send("GET", "/webhooks/name/hook?include=deleted")).json == gone.json
    assert (await api.send("GET", f"{path}?include=some")).reason == "bad_request"
    assert (await api.send("GET", "/webhooks")).json["items"] == []
    assert len((await api.send("GET", "/webhooks?include=deleted")).json["items"]) == 1
    for method in ("POST", "PUT"):
        assert (await api.send(method, "/webhooks", WEBHOOK)).reason == "name_taken"
    assert (await api.send("PATCH", path, {"description": "x"})).status == 404
    back = await api.send("PUT", "/webhooks/restore", {"id": made["id"]})
    assert (back.json["deleted"], back.json["status"], back.json["version"]) == (False, "active", 1.1)
    await api.send("DELETE", path)
    assert (await api.send("POST", f"{path}/restore")).json["version"] == 2.1
    history = (await api.send("GET", f"{path}/versions")).json
    assert [each["version"] for each in history["versions"]] == [2.1, 2.0, 1.1, 1.0, 0.1]
    assert (await api.send("GET", f"{path}/versions/1.0")).json == gone.json
    assert (await api.send("GET", f"{path}/versions/9.9")).status == 404
    ended = await api.send("DELETE", f"{path}?hardDelete=true")
    assert (ended.status, ended.json["deleted"]) == (200, True)
    assert (await api.send("GET", f"{path}?include=all")).status == 404
    assert (await api.make("/webhooks", WEBHOOK))["version"] == 0.1


async def test_lists_are_filtered(api: Api) -> None:
    await api.make("/contacts", {"name": "Data team", "type": "team"})
    await api.make("/webhooks", FULL)
    await api.make("/webhooks", {**WEBHOOK, "name": "off", "enabled": False})
    narrow = [{"eventType": "entityUpdated", "entities": ["table"]}]
    await api.make("/webhooks", {**WEBHOOK, "name": "table", "eventFilters": narrow})
    for query, names in (
        ("status=disabled", ["off"]), ("enabled=true", ["hook", "table"]), ("webhookType=MSTeams", ["hook"]),
        ("entityType=source", ["hook", "off"]), ("entityType=table", ["hook", "off", "table"]),
        ("owner=Data%20team", ["hook"]), ("domain=Sales", ["hook"]), ("tag=PII.Sensitive", ["hook"]), ("q=o", ["off"]),
        ("q=hook&enabled=false", []),
    ):  # fmt: skip
        page = (await api.send("GET", f"/webhooks?{query}")).json
        assert [each["name"] for each in page["items"]] == names, query
    for query in ("status=on", "webhookType=Fax", "enabled=1", "colour=red"):
        assert (await api.send("GET", f"/webhooks?{query}")).reason == "bad_request"
    first = (await api.send("GET", "/webhooks?limit=2")).json
    rest = (await api.send("GET", f"/webhooks?limit=2&cursor={first['nextCursor']}")).json
    assert [each["name"] for each in (*first["items"], *rest["items"])] == ["hook", "off", "table"]
    assert rest["nextCursor"] is None


async def test_permissions_hold_and_tenants_do_not_see_each_other(api: Api) -> None:
    await api.make("/tenants", {"id": "acme"})
    made = await api.make("/webhooks", WEBHOOK)
    contact = await api.make("/contacts", {"name": "ops"})
    reader = await api.key_for("default", Permission.WEBHOOKS_READ)
    stranger = await api.key_for("acme")
    nobody = await api.key_for("default", Permission.SOURCES_WRITE)
    calls: list[tuple[str, str, Any]] = [
        ("GET", f"/webhooks/{made['id']}", None), ("GET", "/webhooks/name/hook", None),
        ("GET", f"/webhooks/{made['id']}/versions", None), ("GET", f"/contacts/{contact['id']}", None),
        ("PUT", f"/webhooks/{made['id']}", WEBHOOK), ("PATCH", f"/webhooks/{made['id']}", {"description": "x"}),
        ("DELETE", f"/webhooks/{made['id']}", None), ("POST", f"/webhooks/{made['id']}/restore", None),
        ("PUT", "/webhooks/restore", {"id": made["id"]}), ("DELETE", f"/contacts/{contact['id']}", None),
        ("PATCH", f"/contacts/{contact['id']}", {"admin": True}),
    ]  # fmt: skip
    for method, path, body in calls:
        assert (await api.send(method, path, body, key=stranger)).status == 404, (method, path)
        assert (await api.send(method, path, body, key=nobody)).reason == "forbidden", (method, path)
        read = await api.send(method, path, body, key=reader)
        assert read.status == (200 if method == "GET" else 403), (method, path)
    assert (await api.send("GET", "/webhooks", key=stranger)).json["items"] == []
    borrowed = {**WEBHOOK, "fallback": {"type": "webhook", "id": made["id"]}}
    assert (await api.send("POST", "/webhooks", borrowed, key=stranger)).pointers == ["/fallback"]
    theirs = await api.send(
        "POST", "/webhooks", {**WEBHOOK, "owner": {"type": "user", "id": contact["id"]}}, key=stranger
    )
    assert (theirs.status, theirs.json["owner"]["name"]) == (201, None)


async def test_the_same_key_makes_one_webhook(api: Api) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await api.send("POST", "/webhooks", WEBHOOK, headers=headers)
    again = await api.send("POST", "/webhooks", WEBHOOK, headers=headers)
    assert (first.status, again.status, again.json) == (201, 201, first.json)
    assert again.headers["Idempotency-Replayed"] == "true"
    other = await api.send("POST", "/webhooks", FULL, headers=headers)
    assert other.reason == "idempotency_mismatch"


async def test_no_secret_is_shown_or_told(api: Api) -> None:
    made = await api.make("/webhooks", {**FULL, "owner": None})
    rotated = {"webhookConfig": {"secretKey": SECRET + " anew"}}
    assert (await api.send("PATCH", f"/webhooks/{made['id']}", rotated)).json["version"] == 0.2
    bad = {"webhookConfig": {"secretKey": SECRET, "timeout": 900}}
    said = [await api.send("PATCH", f"/webhooks/{made['id']}", bad)]
    paths = ("/audit", "/webhooks", f"/webhooks/{made['id']}/versions", f"/webhooks/{made['id']}")
    said += [await api.send("GET", path) for path in paths]
    assert not any(SECRET.encode() in reply.body for reply in said)
