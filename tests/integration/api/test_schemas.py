"""Schema subjects and versions; audit, platforms."""

import pytest

from schemas.backing.registry import SYSTEM
from schemas.definitions.key import Permission
from schemas.errors import Refused
from schemas.reasons import Reason
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


async def test_a_version_that_breaks_the_subject_is_409_with_every_place(api: Api) -> None:
    made = await api.make("/schemas", {"subject": "order", "compatibility": "backward"})
    assert (made["compatibility"], made["assertFormats"]) == ("backward", False)
    order = {"type": "object", "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}, "required": ["n"]}
    await api.make("/schemas/order/versions", {"schema": order})
    broken = order | {"required": ["n", "s"], "properties": {"n": {"type": "string"}, "s": {"type": "string"}}}
    reply = await api.send("POST", "/schemas/order/versions", {"schema": broken})
    assert (reply.status, reply.reason) == (409, "incompatible_schema")
    assert sorted(reply.pointers) == ["/schema/properties/n/type", "/schema/required"]
    assert [fault["detail"] for fault in reply.json["errors"] if fault["pointer"].endswith("type")] == [
        'backward: `type` was "integer", is "string" (in events at /n)'
    ]
    assert "order@1" in reply.json["detail"]
    looser = order | {"properties": {"n": {"type": "number"}, "s": {"type": "string"}}}
    assert (await api.make("/schemas/order/versions", {"schema": looser}))["version"] == 2
    assert (await api.send("GET", "/schemas/order")).json["latestVersion"] == 2


async def test_the_same_bytes_are_the_version_they_are_even_when_it_would_break_now(api: Api) -> None:
    await api.make("/schemas", {"subject": "order"})
    first = await api.make("/schemas/order/versions", {"schema": {"type": "integer"}})
    await api.make("/schemas/order/versions", {"schema": {"type": "string"}})
    await api.send("PATCH", "/schemas/order", {"compatibility": "full"})
    again = await api.send("POST", "/schemas/order/versions", {"schema": {"type": "integer"}})
    assert (again.status, again.json) == (200, first)


async def test_compatibility_can_change_and_holds_from_then_on(api: Api) -> None:
    await api.make("/schemas", {"subject": "order"})
    await api.make("/schemas/order/versions", {"schema": {"type": "integer"}})
    changed = await api.send("PATCH", "/schemas/order", {"compatibility": "forward", "description": "orders"})
    assert (changed.status, changed.json["compatibility"], changed.json["version"]) == (200, "forward", 2)
    wider = await api.send("POST", "/schemas/order/versions", {"schema": {"type": "number"}})
    assert (wider.status, wider.reason) == (409, "incompatible_schema")
    narrower = {"schema": {"type": "integer", "minimum": 0}}
    assert (await api.send("POST", "/schemas/order/versions", narrower)).status == 201
    newest = (await api.send("GET", "/audit?limit=2", tenant="default")).json["items"][1]
    assert (newest["entityType"], newest["op"]) == ("subject", "updated")


@pytest.mark.parametrize("change", [{"subject": "other"}, {"assertFormats": True}])
async def test_what_a_version_means_never_changes(api: Api, change: dict[str, object]) -> None:
    await api.make("/schemas", {"subject": "order"})
    reply = await api.send("PATCH", "/schemas/order", change)
    assert (reply.status, reply.reason) == (409, "immutable")
    stale = await api.send("PATCH", "/schemas/order", {"description": "x"}, headers={"If-Match": '"7"'})
    assert stale.reason == "precondition_failed"


async def test_two_writers_cannot_both_add_what_only_one_of_them_was_compared_with(api: Api) -> None:
    subjects, actor = api.env.registry.subjects, SYSTEM
    await api.make("/schemas", {"subject": "order", "compatibility": "backward"})
    subjects.add_version("default", "order", b'{"type":"integer"}', after=(1, 0), actor=actor)
    with pytest.raises(Refused) as refused:
        subjects.add_version("default", "order", b'{"type":"string"}', after=(1, 0), actor=actor)
    assert refused.value.reason is Reason.PRECONDITION_FAILED


async def test_a_dry_run_is_a_job_and_its_candidate_must_be_a_schema(api: Api) -> None:
    await api.make("/schemas", {"subject": "order"})
    await api.make("/schemas/order/versions", {"schema": {"type": "integer"}})
    source = await api.make("/sources", SOURCE)
    reply = await api.send("POST", "/schemas/order/dry-run", {"schema": {"type": "object"}, "source": "github-main"})
    assert (reply.status, reply.json["kind"], reply.json["state"]) == (202, "streams.dry_run", "queued")
    assert reply.headers["Location"] == f"/api/v1/jobs/{reply.json['id']}"
    held = api.env.registry.jobs.get("default", reply.json["id"]).arguments
    assert (held["sourceId"], held["last"], held["schema"]) == (source["id"], 1000, '{"type": "object"}')
    assert (await api.send("POST", "/schemas/order/dry-run", {"version": 1})).status == 202
    for body, status in (
        ({}, 422),
        ({"schema": {}, "version": 1}, 422),
        ({"schema": {"type": "objct"}}, 422),
        ({"schema": {"description": "x" * 300_000}}, 422),
        ({"schema": {}, "last": 20_001}, 422),
        ({"version": 9}, 404),
        ({"version": 1, "source": "nobody"}, 404),
    ):
        refused = await api.send("POST", "/schemas/order/dry-run", body)
        assert refused.status == status, (body, refused)
    assert (await api.send("POST", "/schemas/nobody/dry-run", {"version": 1})).reason == "not_found"


async def test_drift_is_asked_for_one_source_of_the_own_tenant(api: Api) -> None:
    source = await api.make("/sources", SOURCE)
    shown = await api.send("GET", "/sources/github-main/drift?days=7&limit=5")
    assert (shown.status, shown.json["source"], shown.json["places"]) == (200, "github-main", [])
    tenant, asked, limit, _ = api.tables.asked[-1]
    assert (tenant, asked["sourceId"], limit) == ("default", source["id"], 5)
    await api.make("/tenants", {"id": "other"})
    for path in ("/sources/github-main/drift", f"/sources/{source['id']}/drift"):
        assert (await api.send("GET", path, tenant="other")).reason == "not_found"
    key = await api.key_for("default", Permission.EVENTS_READ)
    assert (await api.send("GET", "/sources/github-main/drift", key=key)).reason == "forbidden"


async def test_subjects_of_another_tenant_do_not_exist(api: Api) -> None:
    await api.make("/tenants", {"id": "other"})
    await api.make("/schemas", {"subject": "order"})
    for method, path, body in (
        ("GET", "/schemas/order", None),
        ("PATCH", "/schemas/order", {"compatibility": "full"}),
        ("DELETE", "/schemas/order", None),
        ("POST", "/schemas/order/versions", {"schema": {}}),
        ("POST", "/schemas/order/dry-run", {"schema": {}}),
    ):
        assert (await api.send(method, path, body, tenant="other")).reason == "not_found", (method, path)


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
