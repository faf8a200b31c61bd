"""Outbound webhooks, from outside: what becomes of one whose receiver is away, redirects, asks to wait, is gone."""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.system.client import Caller, Server, eventually
from tests.system.receiver import Receiver, receiving

pytestmark = pytest.mark.system
WAIT_S = 30.0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


def make(caller: Caller, name: str, url: str, entity: str, **members: Any) -> str:
    filters = [{"eventType": "entityUpdated", "entities": [entity]}]
    value = {"name": name, "batchSize": 1, "eventFilters": filters, "webhookConfig": {"endpoint": url}, **members}
    made: str = caller.call("POST", "/api/v1/webhooks", value, expect=201)["id"]
    return made


def tell(caller: Caller, entity: str, number: int = 1) -> None:
    """Say that an entity changed."""
    event = {
        "eventType": "entityUpdated", "entityType": entity, "entityId": f"{entity}-{number}",
        "entityFullyQualifiedName": f"shop.{entity}", "entity": {"id": f"{entity}-{number}", "n": number},
    }  # fmt: skip
    caller.call("POST", "/api/v1/events", event, expect=202)


def twice(receiver: Receiver, path: str) -> bool:
    return len(receiver.ids(path)) == 2


def becomes(caller: Caller, hook: str, status: str) -> dict[str, Any]:
    """Wait until a webhook has a status; return it."""

    def found() -> dict[str, Any] | None:
        webhook: dict[str, Any] = caller.call("GET", f"/api/v1/webhooks/{hook}")
        return webhook if webhook["status"] == status else None

    return eventually(f"the webhook is {status}", found, WAIT_S)


def test_a_webhook_tells_how_its_receiver_fares_and_goes_on_when_it_is_back(server: Server, receiver: Receiver) -> None:
    caller = server.new_tenant("fares")
    away = Receiver()
    away.server_close()  # nothing listens there
    cases = {
        "down": (receiver.url("down"), (503, {}), "awaitingRetry", 503),
        "later": (receiver.url("later"), (429, {"Retry-After": "7200"}), "awaitingRetry", 429),
        "redirects": (receiver.url("redirects"), (302, {"Location": receiver.url("elsewhere")}), "failed", 302),
        "away": (away.url(""), (0, {}), "failed", None),
        "gone": (receiver.url("gone"), (410, {}), "disabled", 410),
    }
    hooks = {}
    for name, (url, answer, _, _) in cases.items():
        receiver.answers[name] = answer
        hooks[name] = make(caller, name, url, name)
    asked_ms = time.time() * 1000
    for name in cases:
        tell(caller, name)
    seen = {name: becomes(caller, hooks[name], status) for name, (_, _, status, _) in cases.items()}
    for name, (_, _, _, code) in cases.items():
        details = seen[name]["failureDetails"]
        assert (details["lastFailedStatusCode"], bool(details["lastFailedReason"])) == (code, True), name
        assert details["lastFailedAt"] >= asked_ms - 5_000, name
        waits_s = (details["nextAttempt"] - details["lastFailedAt"]) / 1000
        least, most = (7200, 7201) if name == "later" else (60, 67)
        assert least <= waits_s <= most, name
    assert receiver.ids("elsewhere") == []
    assert seen["gone"]["enabled"] is False

    receiver.answers.clear()
    patch = [{"op": "replace", "path": "/enabled", "value": True}]
    enabled = caller.send(
        "PATCH", f"/api/v1/webhooks/{hooks['gone']}", patch, {"Content-Type": "application/json-patch+json"}
    )
    assert enabled.status == 200, enabled.body
    back = ("down", "later", "redirects", "gone")
    for name in back:
        path = f"/api/v1/webhooks/{hooks[name]}/deliveries"
        (waiting,) = caller.call("GET", f"{path}?state=pending")["items"]
        caller.call("POST", f"{path}/{waiting['id']}/resend", expect=202)
    for name in back:
        eventually(f"{name} is sent again", partial(twice, receiver, name), WAIT_S)
        assert becomes(caller, hooks[name], "active")["failureDetails"] is None
        assert len(set(receiver.ids(name))) == 1
