"""Outbound webhooks, from outside: a receiver that fails, the log, the command line, a resend, figures."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.client import Caller, Server, eventually
from tests.system.commands import hookberg
from tests.system.receiver import Receiver, receiving

pytestmark = pytest.mark.system
WAIT_S = 30.0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Yield a receiver that fails until it is told otherwise."""
    with receiving() as server:
        server.otherwise, server.says = (503, {}), b"gone by"
        yield server


def command(server: Server, caller: Caller, *words: str) -> tuple[int, str]:
    return hookberg("webhook", *words, "--tenant", str(caller.tenant), "--data-dir", str(server.data_dir))


def test_a_delivery_that_failed_is_seen_resent_and_delivered(server: Server, receiver: Receiver) -> None:
    caller = server.new_tenant("told")
    wanted = {
        "name": "changes",
        "batchSize": 1,
        "eventFilters": [{"eventType": "entityCreated", "entities": ["role"]}],
        "webhookConfig": {"endpoint": receiver.url("in")},
    }
    path = f"/api/v1/webhooks/{caller.call('POST', '/api/v1/webhooks', wanted, expect=201)['id']}"

    code, said = command(server, caller, "test", "changes")
    assert (code, "503 Service Unavailable" in said, "do: " in said) == (1, True, True), said
    caller.call("POST", "/api/v1/roles", {"role": "webhook.shop.*", "target": "agent"}, expect=201)

    def failed() -> Any:
        items = caller.call("GET", f"{path}/deliveries?failed=true&kind=event")["items"]
        return items[0] if items and items[0]["attempts"] else None

    one = eventually("the first attempt failed", failed, WAIT_S)
    assert (one["state"], one["lastStatusCode"], one["nextAttempt"] is not None) == ("pending", 503, True)
    code, said = command(server, caller, "delivery", "changes", one["id"])
    assert (code, "entityCreated role" in said, "answered: gone by" in said) == (0, True, True), said
    shown = caller.call("GET", f"{path}/deliveries/{one['id']}")
    assert [event["entityType"] for event in shown["eventList"]] == ["role"]
    assert shown["attemptList"][0]["response"]["body"] == "gone by"
    assert not [name for name in shown["attemptList"][0]["request"]["headers"] if "signature" in name.lower()]

    receiver.otherwise = (200, {})
    assert caller.call("POST", f"{path}/deliveries/{one['id']}/resend", expect=202) == {"matching": 1, "resending": 1}

    def delivered() -> bool:
        return bool(caller.call("GET", f"{path}/deliveries/{one['id']}")["state"] == "delivered")

    eventually("the resent delivery arrived", delivered, WAIT_S)
    bodies = [json.loads(each.body) for each in receiver.at("in") if each.headers["webhook-id"] == one["id"]]
    assert len(bodies) == 2
    assert len({body["eventId"] for body in bodies}) == 1
    told = caller.call("GET", f"{path}/statistics")
    assert told["hour"]["attempts"] == {"2xx": 1, "3xx": 0, "4xx": 0, "5xx": 2, "none": 0}
    assert (told["pending"], told["hour"]["deliveries"]["delivered"]) == (0, 1)
    again(server, caller, receiver, path)


def again(server: Server, caller: Caller, receiver: Receiver, path: str) -> None:
    """All that failed are sent again: the first test; the commands show it."""
    code, said = command(server, caller, "resend", "changes", "--failed-since", "1h")
    assert (code, "1 will be sent again" in said) == (0, True), said

    def both() -> bool:
        return bool(caller.call("GET", f"{path}/statistics")["log"]["deliveries"]["delivered"] == 2)

    eventually("the failed test arrived", both, WAIT_S)
    tested = caller.call("POST", f"{path}/test?wait=10")
    assert tested["attempt"]["statusCode"] == 200
    kinds = [line["kind"] for line in caller.call("GET", f"{path}/deliveries")["items"]]
    assert sorted(kinds) == ["event", "test", "test"]
    code, said = command(server, caller, "stats", "changes")
    assert (code, "0 pending" in said, "last failure" in said) == (0, True, True), said
    assert len(set(receiver.ids("in"))) == 3
