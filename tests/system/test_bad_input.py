"""Bad input through every door: a clear error with a stable reason, and the next good event still becomes a row."""

import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from tests.system import lake
from tests.system.client import Caller, Reply, Server, eventually, request
from tests.system.github import Delivery

pytestmark = pytest.mark.system

SECRET = "bad-input-secret"
LIMIT = 20_000_000
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"action": {"type": "string"}, "number": {"type": "integer"}},
    "required": ["action", "number"],
}


@dataclass(frozen=True)
class Site:
    """A tenant with a signed GitHub source, a stream over it and a table."""

    caller: Caller
    sender: Caller

    @property
    def tenant(self) -> str:
        assert self.caller.tenant is not None
        return self.caller.tenant

    def post(self, body: bytes, *, secret: str = SECRET, door: str | None = None) -> tuple[str, Reply]:
        """Post a body as GitHub's `issues` event; return its delivery id and the answer."""
        delivery = Delivery("issues", body, str(uuid.uuid4()))
        return delivery.delivery_id, self.sender.post_event("github", body, delivery.headers(secret), door=door)

    def expect_a_good_event_to_land(self) -> None:
        """Post one good event and wait for its row."""
        identity, reply = self.post(b'{"action":"opened","number":1}')
        assert reply.status == 200, reply
        eventually("the good event is a row", lambda: identity in self.column("github_events", "vendor_event_id"))

    def column(self, table: str, name: str) -> set[Any]:
        return {row[name] for row in lake.rows(self.caller.server.data_dir, self.tenant, table, name)}


@pytest.fixture(scope="module")
def site(server: Server) -> Site:
    caller = server.new_tenant("bad")
    caller.call("POST", "/api/v1/schemas", {"subject": "issues", "compatibility": "none"}, expect=201)
    caller.call("POST", "/api/v1/schemas/issues/versions", {"schema": SCHEMA}, expect=201)
    auth = {"type": "github", "secrets": [SECRET]}
    source = {"platform": "github", "name": "github-main", "auth": auth, "pins": {"issues.*": "issues@1"}}
    caller.call("POST", "/api/v1/sources", source, expect=201)
    caller.new_stream("github-events", "github", "github_events")
    return Site(caller, Caller(server, None, caller.tenant))


@pytest.fixture(params=["ingress", "api"])
def door(request: pytest.FixtureRequest, server: Server) -> str:
    """Return the URL of each door of the data plane."""
    return server.ingest if request.param == "ingress" else server.api


def test_refuses_a_wrong_signature(site: Site, door: str) -> None:
    _, reply = site.post(b'{"action":"opened","number":7}', secret="another", door=door)
    assert (reply.status, reply.reason) == (401, "signature_mismatch")
    site.expect_a_good_event_to_land()


def test_refuses_a_missing_and_a_malformed_signature(site: Site, door: str) -> None:
    body = b'{"action":"opened","number":8}'
    headers = Delivery("issues", body, str(uuid.uuid4())).headers(SECRET)
    del headers["X-Hub-Signature-256"]
    reply = site.sender.post_event("github", body, headers, door=door)
    assert (reply.status, reply.reason) == (401, "signature_missing")
    reply = site.sender.post_event("github", body, {**headers, "X-Hub-Signature-256": "sha256=xyz"}, door=door)
    assert (reply.status, reply.reason) in ((401, "signature_malformed"), (401, "signature_mismatch"))
    site.expect_a_good_event_to_land()


def test_refuses_a_body_that_was_changed_after_signing(site: Site, door: str) -> None:
    headers = Delivery("issues", b'{"action":"opened","number":9}', str(uuid.uuid4())).headers(SECRET)
    reply = site.sender.post_event("github", b'{"action":"opened","number":90}', headers, door=door)
    assert (reply.status, reply.reason) == (401, "signature_mismatch")


def test_takes_and_quarantines_what_is_not_json(site: Site, door: str) -> None:
    identity, reply = site.post(b'{"action":"opened","number":', door=door)
    assert (reply.status, reply.json()["accepted"]) == (200, True)
    row = _quarantined(site, identity)
    assert row["reason"] == "not_parseable"
    assert row["payload"] in (b'{"action":"opened","number":', '{"action":"opened","number":')
    site.expect_a_good_event_to_land()


def test_quarantines_a_schema_violation_with_its_pointer(site: Site, door: str) -> None:
    identity, reply = site.post(b'{"action":"opened","number":"one"}', door=door)
    assert reply.status == 200
    row = _quarantined(site, identity)
    assert (row["reason"], row["pointer"], row["schema"]) == ("schema_violation", "/number", "issues@1")
    assert row["message"]
    site.expect_a_good_event_to_land()
    assert identity not in site.column("github_events", "vendor_event_id")


def test_answers_the_same_404_for_an_unknown_tenant_and_an_unknown_platform(site: Site, door: str) -> None:
    body = b'{"action":"opened","number":10}'
    headers = Delivery("issues", body, str(uuid.uuid4())).headers(SECRET)
    nobody = Caller(site.caller.server, None, "nobody-" + uuid.uuid4().hex[:8])
    tenant = nobody.post_event("github", body, headers, door=door)
    platform = site.sender.post_event("gitlab", body, headers, door=door)
    assert (tenant.status, tenant.reason) == (platform.status, platform.reason) == (404, "not_found")
    site.expect_a_good_event_to_land()


def test_refuses_a_platform_that_is_no_name(site: Site, door: str) -> None:
    body = b'{"action":"opened","number":11}'
    for path, caller in (("Git%20Hub", site.sender), ("Git%20Hub", site.caller), ("GitHub", site.caller)):
        reply = caller.post_event(path, body, door=door)
        assert (reply.status, reply.reason) in ((404, "not_found"), (422, "invalid_name")), (path, reply)
    site.expect_a_good_event_to_land()


def test_refuses_a_source_whose_platform_is_no_name(site: Site) -> None:
    source = {"platform": "Git Hub", "auth": {"type": "none"}}
    reply = site.caller.send("POST", "/api/v1/sources", source)
    assert (reply.status, reply.reason) == (422, "invalid_name")
    assert "Git Hub" in reply.body.decode()


def test_refuses_a_body_over_the_limit_before_reading_it(site: Site, door: str) -> None:
    """Announce more than GitHub's own cap and send nothing: the answer comes from Content-Length."""
    headers = site.sender.headers({"Content-Length": str(LIMIT + 1), "X-GitHub-Event": "push"})
    reply = request(door, "POST", "/api/v1/webhooks/github", b"", headers)
    assert (reply.status, reply.reason) == (413, "body_too_large")
    site.expect_a_good_event_to_land()


def test_refuses_an_unknown_field_in_a_stream_definition(site: Site) -> None:
    definition = _stream("odd", "odd") | {"targetTabel": "typo"}
    reply = site.caller.send("POST", "/api/v1/streams", definition)
    assert (reply.status, reply.reason) == (422, "invalid_definition")
    assert "/targetTabel" in reply.body.decode()


@pytest.mark.parametrize("table", ['github"events', "github'events", "Events", "hookberg_ledger", "_x.t", "a.b.c", ""])
def test_refuses_a_table_name_that_is_none(site: Site, table: str) -> None:
    reply = site.caller.send("POST", "/api/v1/streams", _stream("odd", table))
    assert reply.status == 422
    assert reply.reason in ("invalid_name", "invalid_definition")
    assert json.loads(reply.body)["detail"]


def test_refuses_a_table_that_another_stream_owns(site: Site) -> None:
    reply = site.caller.send("POST", "/api/v1/streams", _stream("second", "github_events"))
    assert (reply.status, reply.reason) == (409, "table_taken")
    site.expect_a_good_event_to_land()


def test_refuses_a_stream_name_that_is_taken(site: Site) -> None:
    reply = site.caller.send("POST", "/api/v1/streams", _stream("github-events", "another_table"))
    assert (reply.status, reply.reason) == (409, "name_taken")


def test_refuses_a_format_that_is_not_json(site: Site) -> None:
    reply = site.caller.send("POST", "/api/v1/streams", _stream("avro", "avro") | {"valueFormat": "AVRO"})
    assert (reply.status, reply.reason) == (422, "unsupported")


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff\xfe"])
def test_refuses_a_definition_that_is_no_json_object(site: Site, body: bytes) -> None:
    reply = request(site.caller.server.api, "POST", "/api/v1/streams", body, site.caller.headers())
    assert (reply.status, reply.reason) in ((400, "not_json"), (422, "invalid_definition")), reply


def test_refuses_calls_without_a_key_and_with_an_unknown_one(site: Site) -> None:
    for key in (None, "hbk_" + "x" * 43):
        reply = Caller(site.caller.server, key, site.tenant).send("GET", "/api/v1/streams")
        assert (reply.status, reply.reason) == (401, "unauthenticated")


def test_the_generic_form_takes_json_objects_only(site: Site, door: str) -> None:
    path = f"/api/v1/webhooks/generic/{site.tenant}"
    for body in (b"[1]", b"no json"):
        reply = request(door, "POST", path, body, site.caller.headers())
        assert (reply.status, reply.reason) == (400, "body_not_object")
    reply = request(door, "POST", path, b'{"event":"made"}', site.caller.headers())
    assert (reply.status, reply.json()["accepted"]) == (202, True)


def test_a_secret_never_comes_back(site: Site) -> None:
    for path in ("/api/v1/sources", "/api/v1/sources/github-main", "/api/v1/audit?limit=200"):
        reply = site.caller.send("GET", path)
        assert reply.status == 200
        assert SECRET.encode() not in reply.body
        assert hmac.new(SECRET.encode(), b"", hashlib.sha256).hexdigest().encode() not in reply.body


def _stream(name: str, table: str) -> dict[str, Any]:
    topics = ["{tenantId}.webhook.github"]
    return {"name": name, "topics": topics, "targetTable": table, "valueFormat": "JSON"}


def _quarantined(site: Site, identity: str) -> dict[str, Any]:
    def probe() -> dict[str, Any] | None:
        found = lake.rows(site.caller.server.data_dir, site.tenant, "hookberg_quarantine")
        mine = [row for row in found if row["vendor_event_id"] == identity]
        assert len(mine) <= 1
        return mine[0] if mine else None

    return eventually("the event is in the quarantine table", probe)
