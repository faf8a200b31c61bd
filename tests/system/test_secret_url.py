"""A source's own secret URL: the way in for vendors that send no headers of ours, shown once, revocable."""

import json
import uuid
from functools import partial
from urllib.parse import urlsplit

import pytest

from tests.system import lake
from tests.system.client import Caller, Reply, Server, eventually, request
from tests.system.github import Delivery

pytestmark = pytest.mark.system

SECRET = "the secret of a secret url"


@pytest.fixture(scope="module")
def caller(server: Server) -> Caller:
    caller = server.new_tenant("url")
    caller.new_stream("github-events", "github", "github_events")
    return caller


def _post(door: str, path: str, secret: str = SECRET) -> tuple[str, Reply]:
    delivery = Delivery("issues", b'{"action":"opened","number":1}', str(uuid.uuid4()))
    return delivery.delivery_id, request(door, "POST", path, delivery.body, delivery.headers(secret))


def test_takes_signed_events_without_any_header_of_ours_until_revoked(caller: Caller) -> None:
    server = caller.server
    auth = {"type": "github", "secrets": [SECRET]}
    made = caller.call("POST", "/api/v1/sources", {"platform": "github", "auth": auth}, expect=201)
    path = urlsplit(made["ingestUrl"]).path
    assert path.startswith("/in/")
    assert path not in json.dumps(caller.call("GET", f"/api/v1/sources/{made['id']}"))

    sent = []
    for door in (server.ingest, server.api):
        identity, reply = _post(door, path)
        assert reply.status == 200, reply
        sent.append(identity)
        assert _post(door, path, "another")[1].reason == "signature_mismatch"
    assert caller.tenant is not None
    where = server.data_dir, caller.tenant, "github_events"

    def landed() -> bool:
        return set(sent) <= {row["vendor_event_id"] for row in lake.rows(*where, "vendor_event_id")}

    eventually("both events are rows", landed)

    second = caller.call("POST", f"/api/v1/sources/{made['id']}/urls", {}, expect=201)
    assert _post(server.ingest, urlsplit(second["ingestUrl"]).path)[1].status == 200
    assert caller.send("POST", f"/api/v1/sources/{made['id']}/urls", {}).reason == "in_use"
    caller.call("DELETE", f"/api/v1/sources/{made['id']}/urls/{second['id']}", expect=204)
    for door in (server.ingest, server.api):
        eventually("the URL is gone", partial(_refused, door, urlsplit(second["ingestUrl"]).path), 10.0)
        assert _post(door, path)[1].status == 200


def test_an_unknown_token_is_not_found(server: Server) -> None:
    for door in (server.ingest, server.api):
        _, reply = _post(door, "/in/" + "x" * 43)
        assert (reply.status, reply.reason) == (404, "not_found")


def test_the_token_is_in_no_log_and_no_table(caller: Caller) -> None:
    source = {"platform": "hooks", "name": "by-url", "auth": {"type": "url"}}
    made = caller.call("POST", "/api/v1/sources", source, expect=201)
    path = urlsplit(made["ingestUrl"]).path
    reply = request(caller.server.ingest, "POST", path, b'{"event":"made"}', {"Content-Type": "application/json"})
    assert reply.status == 200, reply
    token = path.removeprefix("/in/").encode()
    for log in sorted((caller.server.data_dir / "logs").glob("*")):
        assert token not in log.read_bytes(), log.name
    assert token not in caller.send("GET", "/api/v1/audit?limit=200").body


def _refused(door: str, path: str) -> bool:
    return _post(door, path)[1].status == 404
