"""A source of auth type `jwt` from outside: a signed token becomes a row, any other a refusal that says why."""

import json
import time
from urllib.parse import urlsplit

import pytest

from tests.contract.vendors.tokens import Issuer
from tests.system import lake
from tests.system.client import Server, eventually, request

pytestmark = pytest.mark.system

ISSUER = Issuer("outside", "ES256", platform="tokens")


def test_a_signed_token_becomes_a_row_and_any_other_a_refusal(server: Server) -> None:
    caller = server.new_tenant("tokens")
    auth = {name: value for name, value in ISSUER.auth(keys=[ISSUER.jwk()]).items() if name != "jwksUrl"}
    made = caller.call("POST", "/api/v1/sources", {"platform": "tokens", "auth": auth}, expect=201)
    path = urlsplit(made["ingestUrl"]).path
    stream = caller.new_stream("tokens", "tokens", "tokens")
    caller.wait_state(stream["id"], "running")
    now = int(time.time())

    def post(door: str, token: str, body: object) -> tuple[int, str | None]:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        reply = request(door, "POST", path, json.dumps(body).encode(), headers)
        return reply.status, None if reply.status == 200 else reply.reason

    for place, door in enumerate((server.ingest, server.api)):
        assert post(door, ISSUER.make(now), {"id": f"t-{place}", "type": "made"}) == (200, None)
        assert post(door, ISSUER.make(now, key="two"), {}) == (401, "token_key_unknown")
        assert post(door, ISSUER.make(now, key="two", head={"kid": "kid-one"}), {}) == (401, "token_mismatch")
        assert post(door, ISSUER.make(now, aud="another"), {}) == (401, "token_audience")
        assert post(door, ISSUER.make(now - 9_999), {}) == (401, "token_expired")
        assert post(door, "hbk_no-token", {}) == (401, "token_malformed")
    tenant = caller.tenant
    assert tenant is not None
    eventually("both rows", lambda: lake.count(server.data_dir, tenant, "tokens") == 2)
    ring = f"/api/v1/sources/{made['id']}/refusals"
    eventually("the refusals", lambda: len(caller.call("GET", ring)["items"]) == 10, 20.0)
    shown = caller.call("GET", ring)
    reasons = {"token_key_unknown", "token_mismatch", "token_audience", "token_expired", "token_malformed"}
    assert {item["reason"] for item in shown["items"]} == reasons
    assert "eyJ" not in json.dumps(shown)


def test_a_key_set_on_this_machine_is_not_called_unless_the_operator_says_so(server: Server) -> None:
    caller = server.new_tenant("inward")
    for url in ("https://127.0.0.1/keys", "https://[::ffff:10.0.0.1]/keys", "http://issuer.example.com/keys"):
        definition = {"platform": "tokens", "auth": ISSUER.auth(jwksUrl=url)}
        reply = caller.send("POST", "/api/v1/sources", definition)
        assert (reply.status, reply.reason) == (422, "invalid_definition")
        assert "/auth/jwksUrl" in reply.body.decode()
