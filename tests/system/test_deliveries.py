"""A receipt followed from outside: POST through the real door until the snapshot that pyiceberg confirms."""

import json
import subprocess
from typing import Any

import pytest

from tests.system import lake
from tests.system.client import Caller, Server, eventually
from tests.system.commands import HOOKBERG, TIMEOUT_S, TOP

pytestmark = pytest.mark.system

SCHEMA = {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "integer"}}}
UNKNOWN = "019d0bd2-7a80-7cc3-98c4-dc0c0c07398f"


@pytest.fixture(scope="module")
def shop(server: Server) -> Caller:
    caller = server.new_tenant("way")
    caller.call("POST", "/api/v1/schemas", {"subject": "order", "compatibility": "none"}, expect=201)
    caller.call("POST", "/api/v1/schemas/order/versions", {"schema": SCHEMA}, expect=201)
    source = {"platform": "orders", "auth": {"type": "none"}, "dedupe": {"path": "/id"}, "pins": {"*": "order@1"}}
    caller.call("POST", "/api/v1/sources", source, expect=201)
    caller.new_stream("all", "orders", "orders")
    caller.new_stream("paid", "orders", "paid", eventTypes=["pai*"])
    return caller


def post(caller: Caller, body: Any) -> tuple[str, str]:
    """Send a delivery; return its id and receipt."""
    answer = caller.post_event("orders", json.dumps(body).encode()).json()
    return answer["deliveryId"], answer["receipt"]


def committed(caller: Caller, receipt: str) -> dict[str, Any]:
    """Follow a receipt until everything of it is in tables; on the way it is pending or decided, never missing."""
    before = ["pending", "decided", "committed"]

    def probe() -> dict[str, Any] | None:
        found: dict[str, Any] = caller.call("GET", receipt)
        assert found["state"] in before, found
        del before[: before.index(found["state"])]
        return found if found["state"] == "committed" else None

    return eventually("the delivery is committed", probe)


def test_a_receipt_is_followed_from_post_to_the_snapshot_that_holds_the_row(shop: Caller) -> None:
    delivery, receipt = post(shop, {"id": "w-1", "type": "open", "amount": 7})
    found = committed(shop, receipt)
    assert found["receipt"] == receipt
    assert found["incomplete"] is False
    (item,) = found["items"]
    orders, paid = item["tables"]
    assert (item["outcome"], orders["state"], paid["state"]) == ("clean", "committed", "notSelected")
    assert shop.tenant is not None
    table = lake.table(shop.server.data_dir, shop.tenant, "orders")
    assert table is not None
    snapshot = table.metadata.snapshot_by_id(int(orders["snapshotId"]))
    assert snapshot is not None
    assert orders["committedAt"].startswith(_iso(snapshot.timestamp_ms))
    there = table.scan(snapshot_id=snapshot.snapshot_id, selected_fields=("delivery_id",)).to_arrow().to_pylist()
    assert {"delivery_id": delivery} in there
    if snapshot.parent_snapshot_id is not None:
        earlier = table.scan(snapshot_id=snapshot.parent_snapshot_id, selected_fields=("delivery_id",)).to_arrow()
        assert {"delivery_id": delivery} not in earlier.to_pylist()
    assert shop.call("GET", f"/api/v1/deliveries/{delivery}")["items"] == found["items"]


def _iso(ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")


def test_a_duplicates_receipt_names_the_first_delivery(shop: Caller) -> None:
    body = {"id": "w-2", "type": "paid", "amount": 7}
    first, first_receipt = post(shop, body)
    committed(shop, first_receipt)
    again, receipt = post(shop, body)

    def decided() -> dict[str, Any] | None:
        found: dict[str, Any] = shop.call("GET", receipt)
        return found if found["state"] != "pending" else None

    (item,) = eventually("the copy is decided", decided)["items"]
    assert item["outcome"] == "duplicate"
    assert item["duplicateOf"]["deliveryId"] == first
    listed = shop.call("GET", "/api/v1/deliveries?outcome=duplicate")["items"]
    assert again in [line["deliveryId"] for line in listed]
    copies = shop.call("GET", "/api/v1/deliveries?source=orders&vendorEventId=w-2")["items"]
    assert [line["deliveryId"] for line in copies] == [again, first]


def test_a_quarantined_items_receipt_says_why(shop: Caller) -> None:
    _, receipt = post(
        shop, [{"id": "w-3", "type": "open", "amount": "much"}, {"id": "w-4", "type": "open", "amount": 1}]
    )
    found = committed(shop, receipt)
    bad, good = found["items"]
    assert (bad["outcome"], bad["reason"], bad["pointer"]) == ("quarantined", "schema_violation", "/amount")
    assert bad["resolved"] is None
    assert good["outcome"] == "clean"
    assert bad["tables"][0]["table"] == f"{shop.tenant}.hookberg_quarantine"


def test_a_redriven_item_tells_by_which_copy_it_became_clean_and_where_that_landed(shop: Caller) -> None:
    delivery, receipt = post(
        shop, [{"id": "w-7", "type": "open", "amount": "much"}, {"id": "w-8", "type": "paid", "amount": 1}]
    )
    committed(shop, receipt)
    shop.call("POST", "/api/v1/schemas/order/versions", {"schema": {"type": "object"}}, expect=201)
    merge = {"Content-Type": "application/merge-patch+json"}
    pins = {"pins": {"*": "order@2"}}
    assert shop.send("PATCH", "/api/v1/sources/orders", pins, merge).status == 200
    shop.call("POST", "/api/v1/quarantine/redrive", {"source": "orders"}, expect=202)

    def resolved() -> dict[str, Any] | None:
        found: dict[str, Any] = shop.call("GET", receipt)["items"][0]["resolved"]
        return found if found is not None and found["tables"][0]["state"] == "committed" else None

    told = eventually("the redriven item is in its table", resolved)
    assert told["deliveryId"] == delivery
    orders, paid = told["tables"]
    assert (orders["table"], paid["state"]) == (f"{shop.tenant}.orders", "notSelected")
    table = lake.table(shop.server.data_dir, str(shop.tenant), "orders")
    assert table is not None
    rows = (
        table.scan(snapshot_id=int(orders["snapshotId"]), selected_fields=("vendor_event_id",)).to_arrow().to_pylist()
    )
    assert {"vendor_event_id": "w-7"} in rows
    found = shop.call("GET", f"/api/v1/deliveries/{delivery}")
    assert found["accepted"]["redriveOf"] is None, "the id means the request, not its redrive"
    redrives = [line for line in shop.call("GET", "/api/v1/deliveries")["items"] if line["redrive"]]
    assert delivery in [line["deliveryId"] for line in redrives]
    again = shop.call("GET", redrives[0]["receipt"])
    assert again["accepted"]["redriveOf"]["items"] == [0]


def test_tenants_never_see_each_others_deliveries(shop: Caller, server: Server) -> None:
    delivery, receipt = post(shop, {"id": "w-5", "type": "open", "amount": 7})
    stranger = server.new_tenant("stranger")
    stranger.call("POST", "/api/v1/sources", {"platform": "orders", "auth": {"type": "none"}}, expect=201)
    asked = (receipt, f"/api/v1/deliveries/{delivery}", f"/api/v1/deliveries/{UNKNOWN}", f"{receipt}0")
    told = set()
    for path in asked:
        reply = stranger.send("GET", path)
        problem = reply.json()
        told.add((reply.status, problem["reason"], problem["detail"], problem["title"]))
    assert len(told) == 1, told
    assert stranger.call("GET", "/api/v1/deliveries")["items"] == []
    assert stranger.call("GET", "/api/v1/deliveries?vendorEventId=w-5")["items"] == []


def test_the_command_prints_the_way_and_the_answer(shop: Caller) -> None:
    delivery, receipt = post(shop, {"id": "w-6", "type": "paid", "amount": 7})
    committed(shop, receipt)
    code, said = hookberg(shop, receipt)
    assert code == 0, said
    for part in (delivery, "committed", "item 0  clean  paid  w-6", f"{shop.tenant}.paid (stream paid)", "in snapshot"):
        assert part in said, said
    assert "\x1b" not in said
    code, said = hookberg(shop, delivery, "--json")
    assert (code, json.loads(said)["state"]) == (0, "committed")
    code, said = hookberg(shop)
    assert (code, delivery in said) == (0, True), said
    code, said = hookberg(shop, UNKNOWN)
    assert (code, "not_found" in said) == (1, True), said


def hookberg(caller: Caller, *options: str) -> tuple[int, str]:
    """Run `hookberg delivery` as a person would; return the exit code and everything printed."""
    done = subprocess.run(
        [*HOOKBERG, "delivery", *options, "--data-dir", str(caller.server.data_dir), "--tenant", str(caller.tenant)],
        cwd=TOP, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr
