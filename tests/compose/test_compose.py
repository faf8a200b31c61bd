"""The image and docker-compose.yml on a real engine: a signed webhook becomes a row, secrets stay secret.

Lives here: what a stranger sees of the stack: HTTP, logs, the engine's own words. Not here: how it is started
(stack.py).
"""

import json
import secrets
import uuid
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.compose.conftest import Steps
from tests.compose.engine import CommandError, Engine, output
from tests.compose.images import ROOT, base_images
from tests.compose.stack import Stack
from tests.compose.standins import STAND_INS
from tests.system.client import Reply, eventually, request
from tests.system.github import Delivery

pytestmark = pytest.mark.timeout(2400)
PROCESSES = {"api", "ingress", "streams", "sinks", "notify"}
SERVICES = PROCESSES | {"kafka", "postgres", "s3", "migrate"}
REQUIRED = ("HOOKBERG_VAULT_KEY", "HOOKBERG_ADMIN_KEY", "POSTGRES_PASSWORD", "S3_SECRET_KEY")
READY_S = 120.0
ROW_S = 90.0
WEBHOOK_SECRET = f"it-is-{secrets.token_hex(16)}"
BODY = json.dumps(
    {
        "action": "opened",
        "issue": {"number": 17, "title": "Totals are rounded twice", "labels": [{"name": "bug"}, {"name": "ledger"}]},
        "repository": {"id": 4711, "full_name": "acme/ledger", "private": True},
        "sender": {"login": "grace", "id": 99},
    }
).encode()


def test_there_is_a_stand_in_for_every_base_image() -> None:
    assert set(base_images()) == set(STAND_INS)


@pytest.mark.parametrize("missing", REQUIRED)
def test_refuses_to_start_without_a_secret(container_engine: Engine, tmp_path: Path, missing: str) -> None:
    environ = {**container_engine.environ, **{name: "given" for name in REQUIRED if name != missing}}
    environ.pop(missing, None)
    nothing = tmp_path / "nothing"
    nothing.touch()
    command = [*container_engine.compose, "--env-file", str(nothing), "-f", str(ROOT / "docker-compose.yml"), "config"]
    with pytest.raises(CommandError, match=rf": set {missing} as deploy/images/README\.md shows"):
        output(command, environ, 60.0)


def test_the_image_holds_no_build_tools_and_runs_as_nobody_special(container_engine: Engine, image: str) -> None:
    script = (
        'id -u; python -c \'import importlib.util as u; print([n for n in ("pip", "hatchling") if u.find_spec(n)])\''
    )
    shell = ("run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c")
    assert container_engine.run(*shell, script).splitlines() == ["10001", "[]"]
    with pytest.raises(CommandError):
        container_engine.run(*shell, "touch /opt/hookberg/lib/anything")
    (described,) = json.loads(container_engine.run("image", "inspect", image))
    assert [name for name in described["Config"]["Env"] if name.startswith("PIP_")] == []
    assert described["Config"]["Entrypoint"] == ["hookberg"]


def test_a_signed_webhook_becomes_a_row(compose_stack: Stack, steps: Steps) -> None:
    with compose_stack.explaining():
        with steps("ready"):
            _await_ready(compose_stack)
        stream = _register(compose_stack)
        delivery = Delivery("issues", BODY, str(uuid.uuid4()))
        refused = _post(compose_stack, delivery, "not-the-secret")
        assert (refused.status, refused.reason) == (401, "signature_mismatch")
        with steps("webhook to row"):
            assert _post(compose_stack, delivery, WEBHOOK_SECRET).status == 200
            rows = eventually("the row", partial(_rows, compose_stack, stream), ROW_S)
    assert [row["vendor_event_id"] for row in rows] == [delivery.delivery_id]
    assert rows[0]["event_type"] == "issues.opened"
    assert rows[0]["payload"]["issue"]["labels"] == [{"name": "bug"}, {"name": "ledger"}]


def test_every_service_runs_and_is_published_on_the_loopback_address_only(compose_stack: Stack) -> None:
    eventually("all health checks pass", lambda: _healthy(compose_stack) == PROCESSES | {"kafka", "postgres"}, READY_S)
    found = compose_stack.containers()
    assert set(found) == SERVICES
    assert {name for name, entry in found.items() if entry["State"]["Running"]} == SERVICES - {"migrate"}
    assert found["migrate"]["State"]["ExitCode"] == 0
    assert {name: entry["RestartCount"] for name, entry in found.items() if entry.get("RestartCount")} == {}
    published = {
        name: {
            binding["HostIp"] for bindings in entry["NetworkSettings"]["Ports"].values() for binding in bindings or ()
        }
        for name, entry in found.items()
    }
    assert {name: hosts for name, hosts in published.items() if hosts} == {
        "api": {"127.0.0.1"},
        "ingress": {"127.0.0.1"},
    }


def test_no_log_holds_a_secret(compose_stack: Stack) -> None:
    hidden = {**compose_stack.secrets, "webhook secret": WEBHOOK_SECRET}
    logs = compose_stack.logs()
    assert set(logs) == SERVICES
    assert [(service, name) for service, text in logs.items() for name, value in hidden.items() if value in text] == []
    assert {name for name in PROCESSES if not logs[name].strip()} == set(), "a process that says nothing proves nothing"


def test_everything_stops_cleanly_and_comes_back_with_its_rows(compose_stack: Stack, steps: Steps) -> None:
    (stream,) = _call(compose_stack, "GET", "/api/v1/streams", None)["items"]
    (before,) = _rows(compose_stack, stream["id"]) or []
    with compose_stack.explaining():
        with steps("compose stop"):
            compose_stack.compose("stop", "-t", "30", timeout_s=120.0)
        ended = {name: entry["State"]["ExitCode"] for name, entry in compose_stack.containers().items()}
        assert {name: code for name, code in ended.items() if name in PROCESSES} == dict.fromkeys(PROCESSES, 0)
        with steps("compose up again"):
            compose_stack.up()
            _await_ready(compose_stack)
        delivery = Delivery("issues", BODY, str(uuid.uuid4()))
        assert _post(compose_stack, delivery, WEBHOOK_SECRET).status == 200
        both = {before["vendor_event_id"], delivery.delivery_id}
        eventually("both rows", lambda: both == _ids(_rows(compose_stack, stream["id"])), ROW_S)


def _await_ready(stack: Stack) -> None:
    for door in (stack.api, stack.ingest):
        eventually(f"{door}/readyz", partial(_is_ready, door), READY_S)


def _is_ready(door: str) -> bool:
    return request(door, "GET", "/readyz").status == 200


def _healthy(stack: Stack) -> set[str]:
    states = {name: entry["State"].get("Health") or {} for name, entry in stack.containers().items()}
    return {name for name, health in states.items() if health.get("Status") == "healthy"}


def _ids(rows: list[dict[str, Any]] | None) -> set[str]:
    return {row["vendor_event_id"] for row in rows or ()}


def _register(stack: Stack) -> str:
    """Make the GitHub source and a running stream of it; return the stream's id."""
    auth = {"type": "github", "secrets": [WEBHOOK_SECRET]}
    _call(stack, "POST", "/api/v1/sources", {"platform": "github", "name": "github-main", "auth": auth}, expect=201)
    stream = {
        "name": "github-events",
        "topics": ["{tenantId}.webhook.github"],
        "targetTable": "github_events",
        "valueFormat": "JSON",
    }
    made = _call(stack, "POST", "/api/v1/streams", stream, expect=201)
    _call(stack, "POST", f"/api/v1/streams/{made['id']}/start", None)
    return str(made["id"])


def _call(stack: Stack, method: str, path: str, value: object, *, expect: int = 200) -> Any:
    reply = _send(stack, method, path, value)
    assert reply.status == expect, f"{method} {path} -> {reply.status}, not {expect}: {reply.body[:2000]!r}"
    return reply.json()


def _send(stack: Stack, method: str, path: str, value: object = None) -> Reply:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {stack.secrets['HOOKBERG_ADMIN_KEY']}"}
    return request(stack.api, method, path, None if value is None else json.dumps(value).encode(), headers)


def _post(stack: Stack, delivery: Delivery, secret: str) -> Reply:
    return request(stack.ingest, "POST", "/api/v1/webhooks/github", delivery.body, delivery.headers(secret))


def _rows(stack: Stack, stream: str) -> list[dict[str, Any]] | None:
    """Return the newest rows; None while there is none, or not even a table."""
    reply = _send(stack, "GET", f"/api/v1/streams/{stream}/rows")
    assert reply.status in {200, 404}, reply
    return reply.json()["items"] or None if reply.status == 200 else None
