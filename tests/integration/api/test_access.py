"""Who may call what, for which tenant."""

from pathlib import Path

import pytest

from ingress.api.routes import Route
from ingress.api.table import ROUTES
from schemas import ids
from schemas.backing.registry import SYSTEM
from schemas.definitions.key import KeyDefinition, Permission
from tests.integration.api.world import SOURCE, STREAM, Api, running


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer abc", "Basic hbk_x", "Bearer hbk_" + "x" * 300, "hbk_x"])
async def test_refuses_what_is_no_key(api: Api, value: str) -> None:
    reply = await api.send("GET", "/streams", headers={"Authorization": value})
    assert (reply.status, reply.reason) == (401, "unauthenticated")
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


async def test_refuses_a_revoked_key(api: Api) -> None:
    made = await api.make("/keys", {"permissions": ["streams:read"], "name": "old"})
    assert (await api.send("GET", "/streams", key=made["key"])).status == 200
    assert (await api.send("DELETE", f"/keys/{made['id']}")).status == 204
    assert (await api.send("GET", "/streams", key=made["key"])).status == 401


async def test_a_key_made_elsewhere_is_found_by_one_refresh(api: Api) -> None:
    registry = api.env.registry
    _, text = registry.keys.create(KeyDefinition(permissions=(Permission.STREAMS_READ,)), actor=SYSTEM)
    assert (await api.send("GET", "/streams", key=text)).status == 200


def path_of(route: Route) -> str:
    """Return a path of the route's shape."""
    return route.path.replace("{uuid}", str(ids.uuid7(1, bytes(10)))).replace("{", "").replace("}", "")


async def test_every_call_needs_a_key(api: Api) -> None:
    for route in ROUTES:
        reply = await api.send(route.method, path_of(route), headers={"Authorization": "Bearer hbk_unknown"})
        assert (reply.status, reply.reason) == (401, "unauthenticated"), route


async def test_every_call_needs_exactly_its_permission(api: Api) -> None:
    """A key with all permissions but the route's own is refused; one with only that is not."""
    for permission in {route.permission for route in ROUTES} - {None}:
        assert permission is not None
        without = await api.key_for("default", *(each for each in Permission if each is not permission))
        only = await api.key_for("default", permission)
        for route in (each for each in ROUTES if each.permission is permission):
            path = path_of(route)
            refused = await api.send(route.method, path, key=without)
            assert (refused.status, refused.reason) == (403, "forbidden"), route
            allowed = await api.send(route.method, path, key=only)
            assert allowed.status != 401, route
            assert allowed.status != 403 or "permission" not in allowed.json["detail"], route


def test_permissions_are_those_of_the_contract() -> None:
    found = {(route.method, route.path): route.permission for route in ROUTES}
    for (method, path), permission in found.items():
        resource = path.split("/")[1]
        expected: str | None
        if resource in {"keys", "tenants", "audit"}:
            expected = "keys:admin"
        elif resource in {"quarantine", "jobs", "deliveries", "alerts"}:
            expected = f"events:{'read' if method == 'GET' else 'write'}"
        elif resource == "roles":
            expected = f"sources:{'read' if method == 'GET' else 'write'}"
        elif resource == "contacts":
            expected = f"webhooks:{'read' if method == 'GET' else 'write'}"
        elif resource in {"platforms", "overview"}:  # an overview shows what the key may read
            expected = None
        elif path.endswith(("/table", "/rows", "/columns")):
            expected = "tables:read"
        else:
            expected = f"{resource}:{'read' if method == 'GET' else 'write'}"
        assert (permission.value if permission else None) == expected, (method, path)


async def test_a_key_of_a_tenant_acts_for_it_alone(api: Api) -> None:
    await api.make("/tenants", {"id": "acme"})
    await api.make("/tenants", {"id": "other"})
    key = await api.key_for("acme")
    assert (await api.send("POST", "/streams", STREAM, key=key)).json["tenantId"] == "acme"
    assert (await api.send("GET", "/streams", key=key, tenant="acme")).status == 200
    for tenant in ("other", "nobody"):
        reply = await api.send("GET", "/streams", key=key, tenant=tenant)
        assert (reply.status, reply.reason) == (403, "forbidden")


async def test_an_admin_key_names_the_tenant(api: Api) -> None:
    await api.make("/tenants", {"id": "acme"})
    made = await api.make("/streams", STREAM, tenant="acme")
    assert made["topics"] == ["acme.webhook.slack"]
    assert (await api.send("GET", f"/streams/{made['id']}")).status == 404
    unknown = await api.send("GET", "/streams", tenant="nobody")
    assert (unknown.status, unknown.reason) == (404, "not_found")


async def test_without_a_default_tenant_the_header_is_asked_for(tmp_path: Path, template: Path) -> None:
    async with running(tmp_path, template, default_tenant=None) as api:
        reply = await api.send("GET", "/streams")
        assert (reply.status, reply.reason) == (400, "bad_request")
        assert "X-Tenant-Id" in reply.json["detail"]
        assert (await api.send("GET", "/streams", tenant="default")).status == 200


async def test_two_tenant_headers_are_refused(api: Api) -> None:
    headers = [("Authorization", f"Bearer {api.key}"), ("X-Tenant-Id", "default"), ("X-Tenant-Id", "other")]
    async with api.http.get(f"{api.url}/api/v1/streams", headers=headers) as answer:
        assert answer.status == 400


async def test_tenants_never_see_each_other(api: Api) -> None:
    for tenant in ("one", "two"):
        await api.make("/tenants", {"id": tenant})
    source = await api.make("/sources", SOURCE, tenant="one")
    stream = await api.make("/streams", STREAM, tenant="one")
    victim_key = await api.make("/keys", {"tenantId": "one", "permissions": ["streams:read"]})
    key = await api.key_for("two")
    for listing in ("sources", "streams", "schemas", "roles", "keys", "tenants", "audit", "jobs"):
        reply = await api.send("GET", f"/{listing}?limit=200", key=key)
        assert reply.status == 200
        for secret in ('"one"', source["id"], stream["id"], victim_key["id"]):
            assert secret not in reply.body.decode(), listing
    for method, path in (
        ("GET", f"/sources/{source['id']}"),
        ("DELETE", f"/sources/{source['id']}"),
        ("POST", f"/sources/{source['id']}/urls"),
        ("GET", f"/streams/{stream['id']}"),
        ("POST", f"/streams/{stream['id']}/start"),
        ("DELETE", f"/streams/{stream['id']}"),
        ("DELETE", f"/keys/{victim_key['id']}"),
        ("GET", "/tenants/one"),
    ):
        reply = await api.send(method, path, key=key)
        assert (reply.status, reply.reason) == (404, "not_found"), path


async def test_a_key_of_a_tenant_makes_nothing_beyond_it(api: Api) -> None:
    await api.make("/tenants", {"id": "one"})
    key = await api.key_for("one")
    wider = await api.send("POST", "/keys", {"tenantId": "default", "permissions": ["streams:read"]}, key=key)
    assert (wider.status, wider.reason) == (403, "forbidden")
    own = await api.send("POST", "/keys", {"tenantId": None, "permissions": ["streams:read"]}, key=key)
    assert (own.status, own.json["tenantId"]) == (201, "one")
    assert (await api.send("POST", "/tenants", {"id": "three"}, key=key)).status == 403
    assert (await api.send("DELETE", "/tenants/one", key=key)).status == 403


async def test_a_key_is_shown_once(api: Api) -> None:
    made = await api.make("/keys", {"tenantId": "default", "permissions": ["streams:read"], "name": "edge"})
    assert made["key"].startswith("hbk_")
    shown = await api.send("GET", f"/keys/{made['id']}")
    assert "key" not in shown.json
    for path in ("/keys", "/audit", f"/keys/{made['id']}"):
        assert made["key"] not in (await api.send("GET", path)).body.decode()


async def test_a_key_past_its_rate_is_429_whatever_it_calls(tmp_path: Path, template: Path) -> None:
    async with running(tmp_path, template, key_requests_per_s=0.001, key_burst_requests=4) as api:
        key = await api.key_for("default", Permission.STREAMS_READ)
        for path in ("/streams", "/sources", "/streams/none"):
            assert (await api.send("GET", path, key=key)).status in {200, 403, 404}
        assert (await api.send("GET", "/platforms", key=key)).status == 200
        for method, path in (("GET", "/streams"), ("POST", "/streams"), ("GET", "/platforms")):
            reply = await api.send(method, path, key=key)
            assert (reply.status, reply.reason) == (429, "rate_limited_key")
            assert 900 < int(reply.headers["Retry-After"]) == reply.json["retryAfter"] <= 1000
        assert (await api.send("GET", "/streams")).status == 200
        counted = api.env.metrics.registry.get_sample_value("hookberg_rate_limited_total", {"limit": "key"})
        assert counted == 3
