"""The quick start of the README, verbatim, on a server where nobody has registered anything."""

from typing import Any

import pytest

from tests.system import lake, slack
from tests.system.client import Caller, Server, eventually

pytestmark = pytest.mark.system

STREAM = {
    "name": "slack-events",
    "topics": ["{tenantId}.webhook.slack"],
    "targetTable": "slack_events",
    "valueFormat": "JSON",
}


@pytest.fixture(params=["with X-Tenant-Id", "without X-Tenant-Id"])
def caller(request: pytest.FixtureRequest, server: Server) -> Caller:
    """Return the admin key acting for a fresh tenant by header, or for the default tenant without one."""
    return server.new_tenant("quick") if request.param == "with X-Tenant-Id" else server.admin()


def test_challenge_stream_start_event_row(caller: Caller) -> None:
    server, namespace = caller.server, caller.tenant or "default"
    for door in (server.api, server.ingest):
        reply = caller.post_event("slack", slack.challenge("3eZbrw1aB"), door=door)
        assert (reply.status, reply.body) == (200, b"3eZbrw1aB")
        assert reply.headers["content-type"].startswith("text/plain")

    made = caller.call("POST", "/api/v1/streams", STREAM, expect=201)
    assert made["desired"] == "stopped"
    assert made["topics"] == [f"{namespace}.webhook.slack"]
    assert caller.call("POST", f"/api/v1/streams/{made['id']}/start")["desired"] == "running"

    event_id, body = slack.message("hello, lake")
    reply = caller.post_event("slack", body, door=server.api)
    assert reply.status == 200
    assert reply.json()["accepted"] is True

    row = eventually("the event is a row", lambda: _row(caller, namespace, event_id))
    assert row["event_type"] == "message"
    assert row["delivery_id"] == reply.json()["deliveryId"]
    assert row["source_identifier"] == "T0123456789"
    assert row["payload"]["event"]["text"] == "hello, lake"
    assert caller.call("GET", f"/api/v1/streams/{made['id']}")["state"] == "running"
    newest = caller.call("GET", "/api/v1/streams/slack-events/rows?limit=1")["items"]
    assert [each["vendor_event_id"] for each in newest] == [event_id]
    caller.call("DELETE", f"/api/v1/streams/{made['id']}", expect=204)


def test_a_stream_waits_for_a_topic_that_does_not_exist_yet(server: Server) -> None:
    caller = server.new_tenant("wait")
    made = caller.call("POST", "/api/v1/streams", STREAM, expect=201)
    caller.call("POST", f"/api/v1/streams/{made['id']}/start")
    caller.wait_state(made["id"], "waiting")
    event_id, body = slack.message("first of its kind")
    assert caller.post_event("slack", body).status == 200
    assert caller.tenant is not None
    namespace = caller.tenant
    eventually("the event is a row", lambda: _row(caller, namespace, event_id))
    caller.wait_state(made["id"], "running")


def test_start_and_stop_are_idempotent(server: Server) -> None:
    caller = server.new_tenant("twice")
    made = caller.call("POST", "/api/v1/streams", STREAM, expect=201)
    for verb, desired in (("start", "running"), ("start", "running"), ("stop", "stopped"), ("stop", "stopped")):
        assert caller.call("POST", f"/api/v1/streams/{made['id']}/{verb}")["desired"] == desired
    caller.wait_state(made["id"], "stopped")


def _row(caller: Caller, namespace: str, event_id: str) -> dict[str, Any] | None:
    found = lake.rows(caller.server.data_dir, namespace, "slack_events")
    mine = [row for row in found if row["vendor_event_id"] == event_id]
    assert len(mine) <= 1, mine
    return mine[0] if mine else None
