"""A tenant's key sees and touches nothing of another tenant, through every listing and every id."""

import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from tests.system import lake
from tests.system.client import Caller, Server, eventually, request

pytestmark = pytest.mark.system

PERMISSIONS = [
    "ingestion:write",
    "streams:read",
    "streams:write",
    "sources:read",
    "sources:write",
    "schemas:read",
    "schemas:write",
    "events:read",
    "events:write",
    "tables:read",
    "keys:admin",
]


@dataclass(frozen=True)
class Neighbour:
    """A tenant with one of everything, and its own key."""

    caller: Caller
    admin: Caller
    ids: dict[str, str]


@pytest.fixture(scope="module")
def victim(server: Server) -> Neighbour:
    """Make a tenant with a source, a schema, a stream, rows and a quarantined event."""
    admin = server.new_tenant("victim")
    caller, key_id = _own_key(admin)
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    admin.call("POST", "/api/v1/schemas", {"subject": "order", "compatibility": "none"}, expect=201)
    admin.call("POST", "/api/v1/schemas/order/versions", {"schema": schema}, expect=201)
    source = {"platform": "orders", "name": "orders-main", "auth": {"type": "none"}, "pins": {"*": "order@1"}}
    made = admin.call("POST", "/api/v1/sources", source, expect=201)
    stream = admin.new_stream("orders", "orders", "orders")
    for body in (b'{"event":"order","n":1}', b'{"event":"order","n":"one"}'):
        assert caller.post_event("orders", body).status == 200
    _wait(caller, "orders", 1)
    _wait(caller, "hookberg_quarantine", 1)
    ids = {"source": made["id"], "stream": stream["id"], "key": key_id, "schema": "order"}
    return Neighbour(caller, admin, ids)


@pytest.fixture(scope="module")
def stranger(server: Server) -> Caller:
    """Make another tenant with a key of its own that may do everything there."""
    return _own_key(server.new_tenant("stranger"))[0]


def _own_key(admin: Caller) -> tuple[Caller, str]:
    wanted = {"tenantId": admin.tenant, "permissions": PERMISSIONS, "name": "own"}
    made = admin.call("POST", "/api/v1/keys", wanted, expect=201)
    return Caller(admin.server, made["key"]), str(made["id"])


def _wait(caller: Caller, table: str, at_least: int) -> None:
    tenant = caller.call("GET", "/api/v1/keys")["items"][0]["tenantId"]
    data_dir = caller.server.data_dir
    eventually(f"{at_least} rows in {table}", lambda: lake.count(data_dir, tenant, table) >= at_least)


@pytest.mark.parametrize("listing", ["sources", "streams", "schemas", "keys", "quarantine", "jobs", "audit"])
def test_listings_show_nothing_of_another_tenant(victim: Neighbour, stranger: Caller, listing: str) -> None:
    own = stranger.send("GET", f"/api/v1/{listing}?limit=200")
    assert own.status == 200, own
    text = own.body.decode()
    assert victim.admin.tenant is not None
    assert victim.admin.tenant not in text
    assert not [name for name in ("orders-main", victim.ids["source"], victim.ids["stream"]) if name in text]
    assert victim.ids["key"] not in text


def test_the_tenants_listing_shows_at_most_the_own(victim: Neighbour, stranger: Caller) -> None:
    reply = stranger.send("GET", "/api/v1/tenants?limit=200")
    assert reply.status in (200, 403), reply
    assert victim.admin.tenant is not None
    assert victim.admin.tenant.encode() not in reply.body


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/sources/{source}", None),
        ("PATCH", "/sources/{source}", {"enabled": False}),
        ("DELETE", "/sources/{source}", None),
        ("POST", "/sources/{source}/urls", {}),
        ("POST", "/sources/{source}/secrets", {"secret": "whatever-it-takes"}),
        ("GET", "/streams/{stream}", None),
        ("GET", "/streams/{stream}/status", None),
        ("GET", "/streams/{stream}/table", None),
        ("GET", "/streams/{stream}/rows", None),
        ("PATCH", "/streams/{stream}", {"description": "mine now"}),
        ("POST", "/streams/{stream}/start", None),
        ("POST", "/streams/{stream}/stop", None),
        ("POST", "/streams/{stream}/restart", None),
        ("DELETE", "/streams/{stream}?dropTable=true", None),
        ("GET", "/schemas/{schema}", None),
        ("GET", "/schemas/{schema}/versions", None),
        ("POST", "/schemas/{schema}/versions", {"schema": {}}),
        ("DELETE", "/keys/{key}", None),
    ],
)
def test_ids_of_another_tenant_do_not_exist(
    victim: Neighbour, stranger: Caller, method: str, path: str, body: Any
) -> None:
    found = stranger.send(method, "/api/v1" + path.format(**victim.ids), body, _patch_type(method))
    never = {name: str(uuid.uuid4()) for name in victim.ids} | {"schema": "never-made"}
    unknown = stranger.send(method, "/api/v1" + path.format(**never), body, _patch_type(method))
    assert (found.status, found.reason) == (unknown.status, unknown.reason) == (404, "not_found"), (found, unknown)


def _patch_type(method: str) -> dict[str, str]:
    return {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}


def test_a_tenants_key_cannot_act_for_another_tenant(victim: Neighbour, stranger: Caller) -> None:
    posing = Caller(stranger.server, stranger.key, victim.admin.tenant)
    for method, path in (("GET", "/api/v1/sources"), ("GET", "/api/v1/streams/orders"), ("GET", "/api/v1/quarantine")):
        reply = posing.send(method, path)
        assert reply.status in (403, 404), (method, path, reply)
    for door in (stranger.server.ingest, stranger.server.api):
        reply = posing.post_event("orders", b'{"event":"order","n":2}', door=door)
        assert reply.status in (401, 403, 404), reply


def test_a_stream_cannot_read_another_tenants_topic(victim: Neighbour, stranger: Caller) -> None:
    for kind in ("webhook", "event"):
        definition = {
            "name": "spy",
            "topics": [f"{victim.admin.tenant}.{kind}.orders"],
            "targetTable": "spied",
            "valueFormat": "JSON",
        }
        reply = stranger.send("POST", "/api/v1/streams", definition)
        assert reply.status in (403, 404, 422), reply
        assert reply.reason


def test_a_tenants_key_cannot_make_keys_or_tenants_beyond_its_own(victim: Neighbour, stranger: Caller) -> None:
    for tenant in (victim.admin.tenant, None):
        wanted = {"tenantId": tenant, "permissions": ["sources:read"], "name": "wider"}
        reply = stranger.send("POST", "/api/v1/keys", wanted)
        if tenant is None and reply.status == 201:  # None may stand for the caller's own tenant, never for any
            assert reply.json()["tenantId"] not in (None, victim.admin.tenant)
        else:
            assert reply.status in (403, 404, 422), reply
    assert stranger.send("POST", "/api/v1/tenants", {"id": f"t-{uuid.uuid4().hex[:8]}"}).status == 403


def test_the_victim_is_as_it_was(victim: Neighbour, stranger: Caller) -> None:
    assert stranger.key is not None
    source = victim.caller.call("GET", f"/api/v1/sources/{victim.ids['source']}")
    assert source["enabled"] is True
    assert victim.caller.call("GET", "/api/v1/streams/orders")["desired"] == "running"
    assert victim.caller.call("GET", "/api/v1/schemas/order/versions")["items"][-1]["version"] == 1
    assert victim.caller.post_event("orders", b'{"event":"order","n":2}').status == 200
    _wait(victim.caller, "orders", 2)


def test_unknown_tenant_platform_and_url_are_answered_alike(victim: Neighbour, stranger: Caller) -> None:
    tenant = {"X-Tenant-Id": str(victim.admin.tenant)}
    asked: tuple[tuple[str, dict[str, str]], ...] = (
        ("/api/v1/webhooks/orders", {"X-Tenant-Id": "never-made"}),
        ("/api/v1/webhooks/never-made", tenant),
        ("/in/" + "x" * 43, {}),
        ("/api/v1/webhooks/orders", {**tenant, "Authorization": f"Bearer {stranger.key}"}),
    )
    for door in (stranger.server.ingest, stranger.server.api):
        told = set()
        for path, headers in asked:
            # no body: whether one is here already when the answer is made decides if the connection is kept
            reply = request(door, "POST", path, b"", {"Content-Type": "application/json", **headers})
            kept = {name: value for name, value in reply.headers.items() if name not in {"date", "x-request-id"}}
            told.add((reply.status, reply.body, tuple(sorted(kept.items()))))
        assert [status for status, *_ in told] == [404]
