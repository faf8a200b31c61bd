"""A living contract, from outside: pin over REST, drift, quarantine, 409 with pointers, a dry run, the drift report."""

import json
import subprocess
import sys
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from tests.system.client import Caller, Server, eventually

pytestmark = pytest.mark.system

V1 = {
    "type": "object",
    "properties": {
        "event": {"type": "string"},
        "total": {"type": "integer"},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"price": {"type": "integer"}}}},
    },
    "required": ["event", "total"],
}
V2 = json.loads(json.dumps(V1).replace('"integer"', '"number"'))
GOOD, DRIFTED = 5, 4
SECRET = "4242-very-secret"


@dataclass(frozen=True)
class Drifted:
    """A tenant whose orders began to carry prices with cents."""

    caller: Caller
    source: str


@pytest.fixture(scope="module")
def drifted(server: Server) -> Drifted:
    caller = server.new_tenant("contracts")
    caller.call("POST", "/api/v1/schemas", {"subject": "order", "compatibility": "backward"}, expect=201)
    caller.call("POST", "/api/v1/schemas/order/versions", {"schema": V1}, expect=201)
    source = {
        "platform": "orders", "name": "orders-main", "auth": {"type": "none"},
        "pins": {"order.*": "order@1", "order.paid": "order@1"}, "unpinned": "quarantine",
    }  # fmt: skip
    made = caller.call("POST", "/api/v1/sources", source, expect=201)
    for number in range(GOOD):
        _post(caller, {"event": "order.paid", "total": number, "lines": [{"price": 1}], "note": SECRET})
    for number in range(DRIFTED):
        _post(caller, {"event": "order.paid", "total": 1, "lines": [{"price": 1}] * number + [{"price": 1.5}]})
    _post(caller, {"event": "order.sent", "total": SECRET})
    _post(caller, {"event": "invoice.sent", "total": 1})
    eventually("all that drifted is in quarantine", lambda: len(_quarantine(caller)) == DRIFTED + 2)
    return Drifted(caller, str(made["id"]))


def _post(caller: Caller, body: dict[str, Any]) -> None:
    event = json.dumps(body | {"id": str(uuid.uuid4())}).encode()
    assert caller.post_event("orders", event).status == 200


def _quarantine(caller: Caller) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = caller.call("GET", "/api/v1/quarantine?limit=100")["items"]
    return found


def _done(caller: Caller, job: dict[str, Any]) -> dict[str, Any]:
    def probe() -> dict[str, Any] | None:
        found: dict[str, Any] = caller.call("GET", f"/api/v1/jobs/{job['id']}")
        return found if found["state"] in {"succeeded", "failed"} else None

    over = eventually("the job is over", probe)
    assert over["state"] == "succeeded", over
    result: dict[str, Any] = over["result"]
    return result


def test_what_breaks_its_pinned_schema_is_in_quarantine_with_the_place(drifted: Drifted) -> None:
    found = {(item["reason"], item["eventType"], item["pointer"]) for item in _quarantine(drifted.caller)}
    assert found == {
        ("schema_violation", "order.sent", "/total"),
        ("unpinned", "invoice.sent", ""),
        *(("schema_violation", "order.paid", f"/lines/{number}/price") for number in range(DRIFTED)),
    }
    assert not any(SECRET in item["message"] for item in _quarantine(drifted.caller))


def test_the_drift_report_says_where_since_when_and_how_often(drifted: Drifted) -> None:
    report = drifted.caller.call("GET", "/api/v1/sources/orders-main/drift?days=1")
    assert (report["source"], report["events"], report["open"], report["complete"]) == (
        "orders-main", DRIFTED + 2, DRIFTED + 2, True,
    )  # fmt: skip
    most = report["places"][0]
    assert (most["eventType"], most["schema"], most["pointer"]) == ("order.paid", "order@1", "/lines/*/price")
    assert (most["count"], most["message"]) == (DRIFTED, 'a number is not of type "integer"')
    assert datetime.fromisoformat(most["firstAt"]) <= datetime.fromisoformat(most["lastAt"])
    sample = most["sample"]["deliveryId"]
    assert sample in {item["deliveryId"] for item in _quarantine(drifted.caller)}
    assert SECRET not in json.dumps(report)


def test_the_report_is_there_in_the_terminal(drifted: Drifted) -> None:
    server, tenant = drifted.caller.server, drifted.caller.tenant
    assert tenant is not None
    command = [sys.executable, "-m", "deploy.cli", "source", "drift", "orders-main", "--tenant", tenant]
    where = ["--url", server.api, "--key", server.admin_key]
    done = subprocess.run(
        command + where, capture_output=True, text=True, timeout=60, env={"COLUMNS": "240"}, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "/lines/*/price" in done.stdout
    assert f"{DRIFTED + 2} events failed" in done.stdout


def test_a_breaking_version_is_refused_with_its_pointers(drifted: Drifted) -> None:
    breaking = V2 | {"required": ["event", "total", "currency"]}
    reply = drifted.caller.send("POST", "/api/v1/schemas/order/versions", {"schema": breaking})
    assert (reply.status, reply.reason) == (409, "incompatible_schema")
    assert [(fault["pointer"], fault["detail"]) for fault in reply.json()["errors"]] == [
        ("/schema/required", "backward: required now: 'currency'")
    ]


def test_a_dry_run_says_what_a_candidate_would_change_and_touches_nothing(drifted: Drifted) -> None:
    before = len(_quarantine(drifted.caller))
    asked = {"schema": V2, "last": 100}
    result = _done(drifted.caller, drifted.caller.call("POST", "/api/v1/schemas/order/dry-run", asked, expect=202))
    assert {name: result[name] for name in ("newlyPassing", "newlyFailing", "stillPassing", "stillFailing")} == {
        "newlyPassing": DRIFTED, "newlyFailing": 0, "stillPassing": GOOD, "stillFailing": 1,
    }  # fmt: skip
    assert result["notJudged"] == {"otherType": 1}
    assert {sample["pointer"] for sample in result["samples"]} == {f"/lines/{at}/price" for at in range(DRIFTED)}
    stricter = V1 | {"required": ["event", "total", "currency"]}
    tried = _done(
        drifted.caller,
        drifted.caller.call("POST", "/api/v1/schemas/order/dry-run", {"schema": stricter, "last": 100}, expect=202),
    )
    assert (tried["newlyFailing"], tried["newlyPassing"]) == (GOOD, 0)
    assert {sample["message"] for sample in tried["samples"]} == {'"currency" is a required property'}
    assert SECRET not in json.dumps([result, tried])
    assert len(_quarantine(drifted.caller)) == before


def test_a_compatible_version_is_added_pinned_and_heals_what_comes(drifted: Drifted) -> None:
    made = drifted.caller.call("POST", "/api/v1/schemas/order/versions", {"schema": V2}, expect=201)
    assert made["pin"] == "order@2"
    again = drifted.caller.call("POST", "/api/v1/schemas/order/versions", {"schema": V2}, expect=200)
    assert again == made
    version = _done(
        drifted.caller,
        drifted.caller.call("POST", "/api/v1/schemas/order/dry-run", {"version": 2, "last": 100}, expect=202),
    )
    assert (version["candidate"], version["newlyPassing"]) == ("order@2", DRIFTED)


def test_another_tenant_sees_neither_drift_nor_dry_run(server: Server, drifted: Drifted) -> None:
    other = server.new_tenant("stranger")
    assert other.send("GET", f"/api/v1/sources/{drifted.source}/drift").reason == "not_found"
    assert other.send("POST", "/api/v1/schemas/order/dry-run", {"version": 1}).reason == "not_found"
