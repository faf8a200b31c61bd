"""The end of a tenant, black box: refused everywhere at once, drained, forgotten, and nobody else notices (rule 25)."""

import json
import subprocess
import time
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from tests.system import lake
from tests.system.client import Caller, Server, eventually, request
from tests.system.commands import HOOKBERG, TIMEOUT_S, TOP

pytestmark = pytest.mark.system

EVENTS = 40


def furnish(caller: Caller, **more: Any) -> str:
    """Make a source with a secret URL, a stream and a key of the tenant's own; return the URL's path."""
    source = {"platform": "orders", "name": "shop", "auth": {"type": "url"}, **more}
    made = caller.call("POST", "/api/v1/sources", source, expect=201)
    caller.new_stream("orders", "orders", "orders")
    return str(made["ingestUrl"]).partition("/in/")[2]


def post(caller: Caller, token: str, *numbers: int) -> list[int]:
    bodies = [json.dumps({"id": str(number), "n": number}).encode() for number in numbers]
    return [
        request(caller.server.ingest, "POST", f"/in/{token}", body, {"Content-Type": "application/json"}).status
        for body in bodies
    ]


def hookberg(server: Server, *arguments: str, typed: str) -> tuple[int, str]:
    """Run the command as a person would; return exit code and what it told."""
    command = [*HOOKBERG, *arguments, "--data-dir", str(server.data_dir)]
    done = subprocess.run(
        command, cwd=TOP, input=f"{typed}\n", capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    return done.returncode, done.stderr


def job(server: Server, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = server.admin().call("GET", f"/api/v1/jobs/{job_id}")
    return found


def ended(server: Server, job_id: str) -> dict[str, Any]:
    def over() -> dict[str, Any] | None:
        found = job(server, job_id)
        return None if found["state"] in {"queued", "running"} else found

    return eventually("the deletion is over", over, 120)


def topics_of(server: Server, tenant: str) -> list[str]:
    listed = AdminClient({"bootstrap.servers": server.bootstrap}).list_topics(timeout=20).topics
    return sorted(name for name in listed if name.startswith(f"{tenant}."))


def test_a_tenant_is_drained_forgotten_and_its_tables_stay(server: Server) -> None:
    caller, other = server.new_tenant("goes"), server.new_tenant("stays")
    tenant = str(caller.tenant)
    token, theirs = furnish(caller, paused=True), furnish(other)
    assert set(post(caller, token, *range(EVENTS))) == {200}
    key = caller.call("POST", "/api/v1/keys", {"tenantId": tenant, "permissions": ["sources:read"]}, expect=201)
    owned = Caller(server, key["key"])
    assert owned.send("GET", "/api/v1/sources").status == 200
    assert len(topics_of(server, tenant)) == 5

    began = server.admin().call("DELETE", f"/api/v1/tenants/{tenant}", expect=202)
    deadline, late = time.monotonic() + 1.0, 0
    while time.monotonic() < deadline and post(caller, token, EVENTS + late) == [200]:
        late += 1
    assert post(caller, token, *range(-9, 0)) == [404] * 9, "within a second, on every worker"
    assert caller.post_event("orders", b"{}").status == 404
    assert owned.send("GET", "/api/v1/sources").status == 401
    assert caller.send("GET", "/api/v1/sources").status == 404
    assert server.admin().call("DELETE", f"/api/v1/tenants/{tenant}", expect=202)["id"] == began["id"]
    again = server.admin().send("POST", "/api/v1/tenants", {"id": tenant})
    assert (again.status, again.reason) == (409, "tenant_retired")
    server.tenants.remove(tenant)  # there is nothing left to audit

    done = ended(server, began["id"])
    assert (done["state"], done["result"]["step"], done["result"]["waitingFor"]) == ("succeeded", "done", []), done
    assert (done["result"]["topicsDeleted"], done["result"]["tables"]) == (5, "kept")
    rows = lake.rows(server.data_dir, tenant, "orders", "event_id")
    assert len({row["event_id"] for row in rows}) == len(rows) == EVENTS + late, "what waited behind a pause too"
    assert topics_of(server, tenant) == []
    again = server.admin().send("POST", "/api/v1/tenants", {"id": tenant})
    assert (again.status, again.reason) == (409, "tenant_retired")
    trail = server.admin().call("GET", "/api/v1/audit?limit=100")["items"]
    assert {"source", "stream", "key", "tenant"} <= {row["entityType"] for row in trail if row["tenantId"] == tenant}
    assert post(other, theirs, 1) == [200]
    eventually("another tenant's event is a row", lambda: lake.count(server.data_dir, str(other.tenant), "orders") == 1)


def test_by_the_command_line_with_its_tables_and_by_force(server: Server) -> None:
    caller = server.new_tenant("forced")
    tenant = str(caller.tenant)
    token = furnish(caller)
    assert post(caller, token, 1) == [200]
    eventually("a row", lambda: lake.count(server.data_dir, tenant, "orders") == 1)
    code, told = hookberg(server, "tenant", "delete", tenant, typed="another")
    assert (code, "its tables stay" in told) == (1, True), "it asks, and another name is no answer"
    assert caller.send("GET", "/api/v1/sources").status == 200
    code, told = hookberg(server, "tenant", "delete", tenant, "--force", "--drop-tables", typed=tenant)
    server.tenants.remove(tenant)
    assert code == 0, told
    assert f"tenant {tenant} is gone: 5 topics deleted, tables 3 dropped, 0 not ours" in told
    assert topics_of(server, tenant) == []
    with lake.catalog(server.data_dir) as catalog:
        assert not catalog.namespace_exists(tenant)
