"""`hookberg audit` from outside: exit 0 after honest traffic, exit 1 with the position after something was broken."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.system import lake
from tests.system.client import Caller, Server, eventually
from tests.system.commands import audit

pytestmark = pytest.mark.system

SCHEMA = {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "integer"}}}
CLEAN = 20


def traffic(server: Server, prefix: str = "audit") -> Caller:
    """Send valid, invalid, repeated and batched orders to a tenant of its own and wait for their rows."""
    caller = server.new_tenant(prefix)
    caller.call("POST", "/api/v1/schemas", {"subject": "order", "compatibility": "none"}, expect=201)
    caller.call("POST", "/api/v1/schemas/order/versions", {"schema": SCHEMA}, expect=201)
    source = {"platform": "orders", "auth": {"type": "none"}, "dedupe": {"path": "/id"}, "pins": {"*": "order@1"}}
    caller.call("POST", "/api/v1/sources", source, expect=201)
    caller.new_stream("all", "orders", "orders")
    caller.new_stream("paid", "orders", "paid", eventTypes=["pai*"])
    caller.new_stream("none", "orders", "nothing", eventTypes=["never"])
    for n in range(10):
        kind = "paid" if n % 2 else "open"
        post(caller, [order(2 * n, kind), order(2 * n + 1, kind)])
    post(caller, [order(0, "open"), order(0, "open"), order(3, "paid")])  # duplicates
    post(caller, order(100, "open", amount="much"))  # quarantined
    post(caller, order(100, "open", amount="much"))  # and its duplicate
    post(caller, order(4, "open", amount=999))  # another content under a known id
    post(caller, [])
    assert caller.post_event("orders", b'{"id":').status == 200
    wait_rows(caller, "orders", CLEAN)
    wait_rows(caller, "paid", CLEAN // 2)
    wait_rows(caller, "hookberg_quarantine", 3)
    late(caller)
    return caller


def late(caller: Caller) -> None:
    """Start a stream at `latest` and send two orders more."""
    made = caller.new_stream("late", "orders", "late", startFrom="latest")
    caller.wait_state(made["id"], "running")
    post(caller, [order(200, "paid"), order(201, "open")])
    wait_rows(caller, "late", 2)
    wait_rows(caller, "orders", CLEAN + 2)
    wait_rows(caller, "paid", CLEAN // 2 + 1)


def order(n: int, kind: str, *, amount: Any = 7) -> dict[str, Any]:
    return {"id": f"o-{n}", "type": kind, "amount": amount}


def post(caller: Caller, value: Any) -> None:
    assert caller.post_event("orders", json.dumps(value).encode()).status == 200


def wait_rows(caller: Caller, table: str, rows: int) -> None:
    data_dir, tenant = caller.server.data_dir, tenant_of(caller)
    eventually(f"{rows} rows in {table}", lambda: lake.count(data_dir, tenant, table) >= rows)


def tenant_of(caller: Caller) -> str:
    assert caller.tenant is not None
    return caller.tenant


def run(caller: Caller, *options: str) -> tuple[int, str]:
    return audit(caller.server.data_dir, "--tenant", tenant_of(caller), *options)


def position(caller: Caller, table: str = "orders") -> tuple[str, str]:
    """Return the event id and the printed position of one row."""
    columns = ("event_id", "_topic", "_partition", "_offset", "_item")
    row = lake.rows(caller.server.data_dir, tenant_of(caller), table, *columns)[0]
    return row["event_id"], f"{row['_topic']}/{row['_partition']}/{row['_offset']}/{row['_item']}"


@pytest.fixture(scope="module")
def honest(server: Server) -> Caller:
    return traffic(server)


@pytest.fixture(scope="module")
def broken(server: Server) -> Caller:
    """Return a tenant to break things in."""
    caller = traffic(server, "broken")
    server.broken.add(tenant_of(caller))
    return caller


def test_every_sum_holds_after_honest_traffic(honest: Caller) -> None:
    code, said = run(honest)
    assert code == 0, said
    assert "every sum holds" in said
    assert "BROKEN" not in said
    cells = {line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:11]] for line in said.splitlines()
             if line.count("│") > 9}  # fmt: skip
    # table, clean, rows, not selected, discarded, replaced, expired, pending, skipped
    assert cells["all"][1:] == [str(CLEAN + 2), str(CLEAN + 2), "0", "0", "0", "0", "0", "0"]
    assert cells["paid"][1:] == [str(CLEAN + 2), str(CLEAN // 2 + 1), *cells["paid"][3:]]
    assert int(cells["paid"][3]) + int(cells["paid"][7]) == CLEAN // 2 + 1
    assert int(cells["none"][3]) + int(cells["none"][7]) == CLEAN + 2
    assert cells["late"][1:] == ["2", "2", "0", "0", "0", "0", "0", "0"]


def test_one_source_and_a_time_can_be_asked_for(honest: Caller) -> None:
    code, said = run(honest, "--source", "orders")
    assert code == 0, said
    assert f"{tenant_of(honest)}.webhook.orders" in said
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    code, said = run(honest, "--since", hour_ago)
    assert code == 0, said
    assert "not compared" in said


@pytest.mark.parametrize("option", [("--tenant", "nobody"), ("--source", "nothing"), ("--since", "yesterday")])
def test_a_question_about_nothing_is_refused(honest: Caller, option: tuple[str, str]) -> None:
    code, said = audit(honest.server.data_dir, *option)
    assert code == 2, said


def test_what_retention_removed_is_left_out_and_said(server: Server) -> None:
    caller = traffic(server, "expired")
    tenant, partition = tenant_of(caller), int(position(caller)[1].split("/")[1])
    admin = AdminClient({"bootstrap.servers": caller.server.bootstrap})

    def expire(kind: str, offset: int, at: int = partition) -> None:
        where = TopicPartition(f"{tenant}.{kind}", at, offset)
        admin.delete_records([where])[where].result(20)

    expire("event.orders", 9)
    expire("quarantine.orders", 1)
    code, said = run(caller)
    assert code == 0, said
    assert "from offset" in said
    assert "rows of" in said
    expire("webhook.orders", 12)
    code, said = run(caller)
    assert code == 0, said
    assert "retention has removed records" in said
    for at in range(len(admin.list_topics(f"{tenant}.ledger").topics[f"{tenant}.ledger"].partitions)):
        expire("ledger", -1, at)  # all of it
    code, said = run(caller)
    assert code == 0, said
    assert "nothing of it in the ledger" in said


def test_a_row_deleted_from_a_table_is_named(broken: Caller) -> None:
    event_id, at = position(broken)
    with lake.catalog(broken.server.data_dir) as catalog:
        catalog.load_table((tenant_of(broken), "orders")).delete(f"event_id == '{event_id}'")
    code, said = run(broken)
    assert code == 1, said
    assert f"{at}: is 1 times clean and 0 rows of {tenant_of(broken)}.orders" in said
    assert "a sum; the first: " in said


def test_a_clean_event_that_no_transaction_wrote_is_named(broken: Caller) -> None:
    event_id, at = position(broken, "paid")
    topic, partition = f"{tenant_of(broken)}.event.orders", int(at.split("/")[1])
    value = first_value(broken.server.bootstrap, topic, partition, event_id)
    producer = Producer({"bootstrap.servers": broken.server.bootstrap})
    producer.produce(topic, value, partition=partition)
    assert producer.flush(20) == 0
    code, said = run(broken)
    assert code == 1, said
    assert f"{at}: has 2 outcomes" in said
    first = said.split("a sum; the first: ")[1].splitlines()[0]
    assert first.startswith(at.rpartition("/")[0].rpartition("/")[0]), said


def first_value(servers: str, topic: str, partition: int, event_id: str) -> bytes:
    """Return the clean record of an event."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "x", "auto.offset.reset": "earliest"})
    try:
        consumer.assign([TopicPartition(topic, partition, 0)])

        def found() -> bytes | None:
            for message in consumer.consume(500, 0.5):
                value = message.value()
                if message.error() is None and value is not None and json.loads(value)["eventId"] == event_id:
                    return bytes(value)
            return None

        return eventually("the event is in the topic", found, 20.0)
    finally:
        consumer.close()
