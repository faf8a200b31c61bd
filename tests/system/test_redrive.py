"""Quarantine and back: what drifted becomes rows exactly once when its pin is mended, and a flood is told and over.

Black box: HTTP and the command line in, tables by pyiceberg out. GitHub's published examples drift by themselves: 52 of
329 do not meet GitHub's own schemas. The first corpus is our own and small.
"""

import json
import subprocess
import uuid
from collections import Counter
from typing import Any

import pytest

from tests.system import github, lake
from tests.system.client import Caller, Server, eventually
from tests.system.commands import HOOKBERG, TIMEOUT_S, TOP, audit
from tests.system.github import Delivery

pytestmark = pytest.mark.system

SECRET = "it is a secret to everybody"
STRICT = {
    "type": "object", "required": ["issue"],
    "properties": {"issue": {"type": "object", "properties": {"number": {"type": "integer"}}}},
}  # fmt: skip


def own() -> tuple[list[Delivery], dict[str, str], dict[str, Any]]:
    """Return deliveries that drifted, pins, and the schemas that they do not meet: small, and our own."""
    bodies: list[dict[str, Any]] = [{"action": "opened", "issue": {"number": f"{n}"}} for n in range(5)]
    drifted = [
        Delivery("issues", json.dumps(body).encode(), str(uuid.uuid4())) for body in [*bodies, {"action": "opened"}]
    ]
    return drifted, {"issues.*": "issues"}, {"issues": STRICT}


def octokit() -> tuple[list[Delivery], dict[str, str], dict[str, Any]]:
    """Return the published examples that do not meet their published schemas."""
    judge, every = github.Judge(), github.examples()
    pins = github.pins(each.event_type for each in every)
    drifted = []
    for each in every:
        definition = pins.get(each.event_type) or pins.get(f"{each.event}.*")
        if definition is not None and judge.faults(definition, each.body):
            drifted.append(each)
    assert len(drifted) == 52
    drifted = [each for each in drifted if each.event != "ping"]  # one is a ping: control, never a row
    needed = {
        glob: name for glob, name in pins.items()
        if glob in {each.event_type for each in drifted} | {f"{each.event}.*" for each in drifted}
    }  # fmt: skip
    named = {glob: github.subject(name) for glob, name in needed.items()}
    return drifted, named, {github.subject(name): github.bundle(name) for name in needed.values()}


def register(caller: Caller, pins: dict[str, str], schemas: dict[str, Any], **more: Any) -> None:
    """Make the subjects, version 1 strict and version 2 open, and a source that pins version 1."""
    for subject, schema in schemas.items():
        caller.call("POST", "/api/v1/schemas", {"subject": subject, "compatibility": "none"}, expect=201)
        for version in (schema, {"type": "object"}):
            caller.call("POST", f"/api/v1/schemas/{subject}/versions", {"schema": version}, expect=201)
    auth = {"type": "github", "secrets": [SECRET]}
    source = {"platform": "github", "name": "hub", "auth": auth, "pins": pinned(pins, 1), **more}
    caller.call("POST", "/api/v1/sources", source, expect=201)


def pinned(pins: dict[str, str], version: int) -> dict[str, str]:
    return {glob: f"{subject}@{version}" for glob, subject in pins.items()}


def repin(caller: Caller, pins: dict[str, str]) -> None:
    merge = {"Content-Type": "application/merge-patch+json"}
    assert caller.send("PATCH", "/api/v1/sources/hub", {"pins": pins}, merge).status == 200


def post(caller: Caller, *deliveries: Delivery) -> None:
    unsigned = Caller(caller.server, None, caller.tenant)
    for each in deliveries:
        assert unsigned.post_event("github", each.body, each.headers(SECRET)).status == 200


def count(caller: Caller, table: str) -> int:
    assert caller.tenant is not None
    return lake.count(caller.server.data_dir, caller.tenant, table)


def hookberg(caller: Caller, *arguments: str) -> tuple[int, str, str]:
    """Run the command as a person would; return exit code and what it printed."""
    done = subprocess.run(
        [*HOOKBERG, *arguments, "--data-dir", str(caller.server.data_dir), "--tenant", str(caller.tenant)],
        cwd=TOP, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def redrive(caller: Caller, *arguments: str) -> dict[str, Any]:
    """Redrive by the command line; return the job's result, or the count when nothing matches."""
    code, said, told = hookberg(caller, "quarantine", "redrive", "--yes", "--json", *arguments)
    assert code == 0, said + told
    answer: dict[str, Any] = json.loads(said)
    result: dict[str, Any] = answer.get("result") or answer
    return result


def open_rows(caller: Caller, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = caller.call("GET", f"/api/v1/quarantine?limit=200{query}")["items"]
    return found


def await_open(caller: Caller, rows: int) -> None:
    eventually(f"{rows} rows are open in quarantine", lambda: len(open_rows(caller)) == rows)


@pytest.mark.parametrize("corpus", [own, octokit], ids=["own", "octokit"])
def test_what_drifted_is_a_row_exactly_once_when_its_pin_is_mended(server: Server, corpus: Any) -> None:
    drifted, pins, schemas = corpus()
    caller, other = server.new_tenant("redrive"), server.new_tenant("bystander")
    for each in (caller, other):
        register(each, pins, schemas)
        each.new_stream("hub", "github", "hub")
        post(each, *drifted, *drifted)
    for each in (caller, other):
        await_open(each, len(drifted))
    code, said, told = hookberg(caller, "quarantine", "redrive", "--dry-run")
    assert (code, said) == (0, "")
    assert f"{len(drifted)} rows in quarantine match" in told
    repin(caller, pinned(pins, 2))
    done = redrive(caller)
    assert (done["matching"], done["redriven"], done["left"]) == (len(drifted), len(drifted), [])
    first = caller.call("POST", "/api/v1/quarantine/redrive", {}, expect=202)  # beside what the first one wrote
    eventually("every one is a row", lambda: count(caller, "hub") >= len(drifted))
    await_open(caller, 0)
    eventually("the second job is over", lambda: _job(caller, first["id"])["state"] == "succeeded")
    assert redrive(caller) == {"matching": 0, "byReason": {}}
    post(caller, *drifted[:2])
    rows = lake.rows(server.data_dir, str(caller.tenant), "hub", "vendor_event_id", "event_id", "schema")
    assert Counter(row["vendor_event_id"] for row in rows) == Counter(each.delivery_id for each in drifted)
    assert all(row["schema"].endswith("@2") for row in rows)
    code, said = audit(server.data_dir, "--tenant", str(caller.tenant))
    assert code == 0, said
    assert "every sum holds" in said
    assert count(other, "hub") == 0, "a redrive touches nobody else"
    assert len(open_rows(other)) == len(drifted)


def _job(caller: Caller, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = caller.call("GET", f"/api/v1/jobs/{job_id}")
    return found


def test_another_content_under_a_known_id_becomes_a_row_as_distinct_only(server: Server) -> None:
    caller = server.new_tenant("distinct")
    register(caller, {}, {})
    caller.new_stream("hub", "github", "hub")
    number = str(uuid.uuid4())
    post(caller, *(Delivery("issues", json.dumps({"action": "opened", "n": n}).encode(), number) for n in (1, 2)))
    eventually("the second is in quarantine", lambda: [row["reason"] for row in open_rows(caller)] == ["id_conflict"])
    assert redrive(caller)["matching"] == 0
    refused = caller.send("POST", "/api/v1/quarantine/redrive", {"reason": "id_conflict"})
    assert (refused.status, refused.reason) == (422, "invalid_definition")
    assert redrive(caller, "--as", "distinct")["redriven"] == 1
    eventually("both are rows", lambda: count(caller, "hub") == 2)
    await_open(caller, 0)
    rows = lake.rows(server.data_dir, str(caller.tenant), "hub", "vendor_event_id", "event_id")
    assert sorted(row["vendor_event_id"].partition("#")[0] for row in rows) == [number, number]
    assert len({row["event_id"] for row in rows}) == 2


def test_a_flood_is_told_the_source_is_degraded_and_the_others_go_on(server: Server) -> None:
    caller = server.new_tenant("flood")
    drifted, pins, schemas = own()
    register(caller, pins, schemas, flood={"streak": 4})
    other = {"platform": "orders", "auth": {"type": "none"}, "flood": {"streak": 4}}
    caller.call("POST", "/api/v1/sources", other, expect=201)
    caller.new_stream("orders", "orders", "orders")
    post(caller, *drifted)

    def alerts(status: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = caller.call("GET", f"/api/v1/alerts?status={status}")["items"]
        return found

    (alert,) = eventually("the flood is told", lambda: alerts("open") or None)
    hub = caller.call("GET", "/api/v1/sources/hub")
    assert (alert["kind"], alert["entityId"], hub["stats"]["degraded"]) == ("quarantine", hub["id"], True)
    assert alert["details"]["inARow"] >= 4
    assert caller.call("GET", "/api/v1/sources/orders")["stats"]["degraded"] is False
    assert caller.post_event("orders", b'{"id":"1"}').status == 200
    eventually("another source's event is a row", lambda: count(caller, "orders") == 1)
    good = json.dumps({"action": "opened", "issue": {"number": 7}}).encode()
    post(caller, *(Delivery("issues", good, str(uuid.uuid4())) for _ in range(6)))
    (closed,) = eventually("it is over", lambda: alerts("closed") or None)
    assert (closed["id"], alerts("open")) == (alert["id"], [])
    assert caller.call("GET", "/api/v1/sources/hub")["stats"]["degraded"] is False
