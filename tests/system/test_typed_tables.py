"""Tables typed by a pinned schema, from outside: REST makes them, SQL types come out, contract and audit hold."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.system import lake
from tests.system.client import Caller, Server, eventually
from tests.system.commands import audit, hookberg

pytestmark = pytest.mark.system

SCHEMA = {
    "type": "object",
    "required": ["id", "paidAt"],
    "properties": {
        "id": {"type": "string", "description": "the shop's own number"},
        "type": {"const": "paid"},
        "paidAt": {"type": "string", "format": "date-time"},
        "amount": {"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 99999.99},
    },
}
TIME = "2026-03-18T10:00:00Z"
GOOD = [{"id": f"p-{n}", "type": "paid", "paidAt": TIME, "amount": n + 0.35} for n in range(4)]
NEW = {"id": "p-new", "type": "paid", "paidAt": "2026-03-18T12:00:00+02:00", "coupon": "X"}


@pytest.fixture(scope="module")
def shop(server: Server) -> Caller:
    caller = server.new_tenant("typed")
    caller.call("POST", "/api/v1/schemas", {"subject": "paid"}, expect=201)
    caller.call("POST", "/api/v1/schemas/paid/versions", {"schema": SCHEMA}, expect=201)
    source = {"platform": "orders", "auth": {"type": "none"}, "dedupe": {"path": "/id"}, "pins": {"*": "paid@1"}}
    caller.call("POST", "/api/v1/sources", source, expect=201)
    strict = {"columns": "discardRow", "dataTypes": "freeze"}
    for name, more in (("strict", {"contract": strict}), ("wide", {"layout": "flat"}), ("text", {"layout": "raw"})):
        caller.new_stream(name, "orders", name, **more)
    caller.new_stream("late", "orders", "", columnNames="stitch", primaryKey=["type"], sequenceField="amount")
    for event in (*GOOD[:2], NEW, *GOOD[2:]):
        assert caller.post_event("orders", json.dumps(event).encode()).status == 200
    for name in ("wide", "text"):
        eventually(f"rows in {name}", lambda table=name: len(rows(caller, table)) == len(GOOD) + 1)  # type: ignore[misc]
    return caller


def rows(caller: Caller, table: str, *columns: str) -> list[dict[str, Any]]:
    assert caller.tenant is not None
    data_dir = caller.server.data_dir
    if lake.count(data_dir, caller.tenant, table) == 0:
        return []
    found: list[dict[str, Any]] = lake.rows(data_dir, caller.tenant, table, *columns)
    return found


def test_columns_have_the_types_and_docs_of_the_schema(shop: Caller) -> None:
    found = {one["name"]: one for one in shop.call("GET", "/api/v1/streams/wide/columns")["items"]}
    assert (found["paidAt"]["type"], found["amount"]["type"]) == ("timestamptz", "decimal(7, 2)")
    assert found["id"]["doc"] == "payload /id [paid@1#/properties/id]: the shop's own number"
    assert (found["id"]["pointer"], found["id"]["schema"]) == ("/id", "paid@1#/properties/id")
    assert (found["id"]["fillRate"], found["coupon"]["fillRate"], found["id"]["distinct"]) == (1.0, 0.2, len(GOOD) + 1)
    row = next(one for one in rows(shop, "wide", "id", "paidAt", "amount", "_hb_raw") if one["id"] == "p-3")
    assert (row["paidAt"], row["amount"], row["_hb_raw"]) == (
        datetime(2026, 3, 18, 10, tzinfo=UTC),
        Decimal("3.35"),
        None,
    )


def test_a_layout_of_text_keeps_the_payload_as_sent(shop: Caller) -> None:
    assert sorted(row["payload"] for row in rows(shop, "text", "payload")) == sorted(map(json.dumps, (*GOOD, NEW)))


def test_a_stitch_table_and_its_latest_view_are_read_by_sql(shop: Caller) -> None:
    data_dir, space = shop.server.data_dir, f"{shop.tenant}__late"
    numbers = "count(*), count(DISTINCT _sdc_sequence)"

    def landed() -> bool:
        there = lake.count(data_dir, space, "data") > 0
        return there and lake.duckdb_rows(data_dir, space, "data", numbers) == [(len(GOOD) + 1, len(GOOD) + 1)]

    eventually("the rows are numbered", landed)
    code, said = hookberg("query", f'SELECT id FROM "{space}".data_latest', "--csv", "--data-dir", str(data_dir))
    assert (code, said.split()) == (0, ["id", "p-3"]), said
    told = shop.call("GET", "/api/v1/streams/late/table")
    assert told["latest"]["view"] == f"{space}.data_latest"


def test_what_a_contract_discards_is_counted_and_the_audit_holds(shop: Caller) -> None:
    def settled() -> bool:
        status = shop.call("GET", "/api/v1/streams/strict/status")
        return bool((status["rows"], status["discarded"], status["drift"]) == (len(GOOD), 1, ["/coupon"]))

    eventually("the strict table is settled", settled)
    assert shop.tenant is not None
    code, said = audit(shop.server.data_dir, "--tenant", shop.tenant)
    assert code == 0, said
    line = next(line for line in said.splitlines() if "strict" in line and line.count("│") > 9)
    # clean, rows, not selected, discarded
    assert [cell.strip() for cell in line.split("│")][3:7] == [str(len(GOOD) + 1), str(len(GOOD)), "0", "1"]
