"""Schema subjects and versions; audit, platforms."""

import pytest

from schemas.definitions.key import Permission
from schemas.vendors import VENDORS
from tests.integration.api.world import SOURCE, Api

SCHEMA = b'{"schema": {"type":"object",  "properties":{"n":{"type":"integer","maximum":1.50e3}}}}'


async def test_versions_are_immutable_and_kept_as_given(api: Api) -> None:
    await api.make("/schemas", {"subject": "order"})
    first = await api.send("POST", "/schemas/order/versions", raw=SCHEMA)
    assert (first.status, first.json["version"], first.json["pin"]) == (201, 1, "order@1")
    assert (await api.send("POST", "/schemas/order/versions", raw=SCHEMA)).status == 200
    assert (await api.send("POST", "/schemas/order/versions", {"schema": {"type": "string"}})).json["version"] == 2
    document = await api.send("GET", "/schemas/order/versions/1")
    assert document.body == SCHEMA.removeprefix(b'{"schema": ').removesuffix(b"}")
    assert (await api.send("GET", "/schemas/order")).json["latestVersion"] == 2
    page = (await api.send("GET", "/schemas/order/versions?limit=1")).json
    assert [item["version"] for item in page["items"]] == [1]
    rest = (await api.send("GET", f"/schemas/order/versions?cursor={page['nextCursor']}")).json
    assert ([item["version"] for item in rest["items"]], rest["nextCursor"]) == ([2], None)


@pytest.mark.parametrize("version", ["3", "0", "x", "9999999999999"])
async def test_unknown_versions_are_404(api: Api, version: str) -> None:
    await api.make("/schemas", {"subject": "order"})
    assert (await api.send("GET", f"/schemas/order/versions/{version}")).reason == "not_found"


async def test_refuses_a_schema_that_is_none(api: Api) -> None:
    await api.make("/schemas", {"subject": "order"})
    reply = await api.send("POST", "/schemas/order/versions", {"schema": {"type": "objct"}})
    assert (reply.status, reply.reason) == (422, "invalid_definition")
    assert reply.pointers[0].startswith("/schema")
    assert (await api.send("POST", "/schemas/never/versions", {"schema": {}})).reason == "not_found"


async def test_refuses_a_compatibility_that_is_not_checked(api: Api) -> None:
    reply = await api.send("POST", "/schemas", {"subject": "order", "compatibility": "full"})
    assert (reply.status, reply.reason, reply.pointers) == (422, "unsupported", ["/compatibility"])


async def test_a_pinned_subject_stays(api: Api) -> None:
    await api.make("/schemas", {"subject": "order"})
    await api.send("POST", "/schemas/order/versions", raw=SCHEMA)
    await api.make("/sources", SOURCE | {"pins": {"push": "order@1"}})
    assert (await api.send("DELETE", "/schemas/order")).reason == "in_use"
    assert (await api.send("PATCH", "/sources/github-main", {"pins": {"push": None}})).json["pins"] == {}
    assert (await api.send("DELETE", "/schemas/order")).status == 204


async def test_every_change_is_in_the_audit_log(api: Api) -> None:
    made = await api.send("POST", "/schemas", {"subject": "order"}, headers={"X-Request-Id": "req-1"})
    newest = (await api.send("GET", "/audit?limit=1")).json["items"][0]
    assert (newest["entityType"], newest["entityId"], newest["op"]) == ("subject", made.json["id"], "created")
    assert newest["requestId"] == "req-1"
    assert (await api.send("GET", "/audit", tenant="default")).json["items"][0]["entityName"] == "order"


async def test_platforms_are_the_vendor_adapters(api: Api) -> None:
    key = await api.key_for("default", Permission.WEBHOOKS_READ)
    listed = (await api.send("GET", "/platforms", key=key)).json["items"]
    assert [each["name"] for each in listed] == sorted(VENDORS)
    page = (await api.send("GET", "/platforms?limit=1")).json
    rest = (await api.send("GET", f"/platforms?cursor={page['nextCursor']}")).json["items"]
    assert [each["name"] for each in rest] == sorted(VENDORS)[1:]
    github = (await api.send("GET", "/platforms/github")).json
    assert github["docs"].startswith("https://")
    assert github["limits"]["bodyBytes"] == VENDORS["github"].body_limit
    assert (await api.send("GET", "/platforms/nobody")).reason == "not_found"
