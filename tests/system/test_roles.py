"""Roles, from outside: an assignment by the command, events over HTTP, their runs to any Kafka consumer."""

import json
import subprocess
import uuid
from typing import Any

import pytest
from confluent_kafka import Consumer

from tests.system.client import Caller, Server, eventually
from tests.system.commands import HOOKBERG, TIMEOUT_S, TOP

pytestmark = pytest.mark.system


def hookberg(server: Server, tenant: str, *arguments: str) -> str:
    command = [*HOOKBERG, *arguments, "--tenant", tenant, "--data-dir", str(server.data_dir)]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_events_of_an_assigned_role_make_one_run_each_and_no_other_tenants(server: Server) -> None:
    caller, other = server.new_tenant("roles"), server.new_tenant("others")
    for each in (caller, other):
        each.call("POST", "/api/v1/sources", {"platform": "shop", "auth": {"type": "none"}}, expect=201)
    tenant, topic = str(caller.tenant), f"{caller.tenant}.run.agent"
    assert topic in hookberg(server, tenant, "role", "assign", "webhook.shop.order_*", "agent")
    met = caller.call("GET", "/api/v1/sources/shop/roles?eventType=order.paid")
    assert (met["role"], len(met["assignments"])) == ("webhook.shop.order_paid", 1)
    config = {"bootstrap.servers": server.bootstrap, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest",
              "isolation.level": "read_committed", "enable.auto.commit": False}  # fmt: skip
    consumer, runs = Consumer(config), list[dict[str, Any]]()
    consumer.subscribe([topic])

    def read(wait_s: float) -> None:
        runs.extend(json.loads(one.value() or b"") for one in consumer.consume(100, wait_s) if not one.error())

    def in_effect() -> bool:
        post(caller, uuid.uuid4().hex, "order.probe")
        read(0.3)
        return bool(runs)

    eventually("the assignment is in effect", in_effect)
    for number in range(10):
        for each in (caller, caller, other):
            post(each, str(number), ("order.paid", "invoice")[number % 2])

    def enough() -> bool:
        read(0.3)
        return len([run for run in runs if run["role"] == met["role"]]) >= 5

    eventually("five runs", enough)
    caller.call("DELETE", f"/api/v1/roles/{met['assignments'][0]['id']}", expect=204)
    read(1.0)
    consumer.close()
    paid = [run for run in runs if run["role"] == met["role"]]
    assert sorted(run["event"]["vendorEventId"] for run in paid) == ["0", "2", "4", "6", "8"]
    assert {(run["tenantId"], run["target"]) for run in runs} == {(tenant, "agent")}
    assert len({run["runId"] for run in runs}) == len(runs)


def post(caller: Caller, event_id: str, event_type: str) -> None:
    body = json.dumps({"type": event_type, "n": 1.50}).encode()
    assert caller.post_event("shop", body, {"X-Webhook-Id": event_id}).status == 200
