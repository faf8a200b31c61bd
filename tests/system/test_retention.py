"""`retentionDays` from HTTP to removal: old rows leave the table, young ones stay, everything that counts them says so.

An ingress stamps what it receives with the present, so old events are copies of a stored record with an older receive
time, as a backfill leaves them. Upkeep looks at a table after 16 commits: the test goes on posting until it has.
"""

import json
import os
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from pyiceberg.table import Table

from tests.system import lake
from tests.system.client import Caller, Server, eventually
from tests.system.commands import audit, hookberg

pytestmark = pytest.mark.system

DAYS, OLD = 2, 3
RECEIVED = datetime.now(UTC) - timedelta(days=5)
COLUMNS = ("table", "clean", "rows", "notSelected", "discarded", "replaced", "expired", "pending", "skipped")


@pytest.fixture(scope="module")
def shop(server: Server) -> Caller:
    caller = server.new_tenant("days")
    source = {"platform": "orders", "auth": {"type": "none"}, "dedupe": {"path": "/id"}}
    caller.call("POST", "/api/v1/sources", source, expect=201)
    made = caller.new_stream("orders", "orders", "orders", retentionDays=DAYS, freshnessSeconds=0.2)
    assert made["retentionDays"] == DAYS
    caller.wait_state("orders", "running")
    return caller


def post(caller: Caller, n: int) -> str:
    """Send an order; return the delivery's id."""
    answer = caller.post_event("orders", json.dumps({"id": f"young-{n}"}).encode())
    assert answer.status == 200
    return str(answer.json()["deliveryId"])


def stored_long_ago(caller: Caller, delivery: str) -> list[str]:
    """Copy a stored record under ids of its own, received five days ago; return the ids of these deliveries."""
    topic, where = f"{caller.tenant}.webhook.orders", {"bootstrap.servers": caller.server.bootstrap}
    consumer = Consumer({**where, "group.id": "x", "auto.offset.reset": "earliest"})
    try:
        partitions = consumer.list_topics(topic, 20).topics[topic].partitions
        consumer.assign([TopicPartition(topic, at, 0) for at in partitions])

        def found() -> Any:
            records = (one for one in consumer.consume(100, 0.2) if one.error() is None)
            return next((one for one in records if headers_of(one)["hb-delivery-id"] == delivery.encode()), None)

        record = eventually("the record is in the raw topic", found, 20.0)
    finally:
        consumer.close()
    producer, ids = Producer(where), []
    for n in range(OLD):
        ids.append(f"{delivery[:-1]}{(int(delivery[-1], 16) + n + 1) % 16:x}")
        changed = {
            "hb-delivery-id": ids[-1].encode(), "hb-received-at": str(int(RECEIVED.timestamp() * 1e6)).encode(),
        }  # fmt: skip
        kept = [(name, changed.get(name, value)) for name, value in record.headers()]
        body = json.dumps({"id": f"old-{n}"}).encode()
        producer.produce(topic, body, key=record.key(), partition=record.partition(), headers=kept)
    assert producer.flush(20) == 0
    return ids


def headers_of(record: Any) -> Mapping[str, bytes]:
    return dict(record.headers())


def orders(caller: Caller) -> Table:
    assert caller.tenant is not None
    table = lake.table(caller.server.data_dir, caller.tenant, "orders")
    assert table is not None
    return table


def old_rows(caller: Caller) -> int:
    """Count the rows of old events by SQL."""
    assert caller.tenant is not None
    ((n,),) = lake.duckdb_rows(
        caller.server.data_dir, caller.tenant, "orders", "count(*) FILTER (payload.id LIKE 'old-%')"
    )
    return int(n)


def test_old_rows_leave_the_table_and_every_sum_holds(shop: Caller) -> None:
    young = post(shop, 0)
    old = stored_long_ago(shop, young)
    posted = [0]

    def removed() -> bool:
        posted[0] += 1
        post(shop, posted[0])
        upkeep = shop.call("GET", "/api/v1/streams/orders/status")["upkeep"]
        return upkeep is not None and upkeep["removedRows"] == OLD

    eventually("upkeep has removed the old rows", removed, 90.0)
    assert old_rows(shop) == 0
    gone = [one for one in orders(shop).snapshots() if one.summary and one.summary.operation.value == "delete"]
    before = orders(shop).scan(snapshot_id=gone[-1].parent_snapshot_id).to_arrow()
    assert any(row["id"].startswith("old-") for row in before["payload"].to_pylist()), "they were rows"

    def all_there() -> bool:
        return lake.count(shop.server.data_dir, str(shop.tenant), "orders") == posted[0] + 1

    eventually("young rows are all there", all_there)
    code, said = audit(shop.server.data_dir, "--tenant", str(shop.tenant))
    assert code == 0, said
    assert "every sum holds" in said
    cells = next(line for line in said.splitlines() if line.startswith("│ orders "))
    told = dict(zip(COLUMNS, (cell.strip() for cell in cells.split("│")[2:]), strict=False))
    total = posted[0] + 1
    assert (told["clean"], told["rows"], told["expired"]) == (str(total + OLD), str(total), str(OLD)), said
    the_way(shop, young, old[0])


def the_way(shop: Caller, young: str, old: str) -> None:
    """A delivery's way says of its row that it was committed, and that retention has removed it since."""
    found = shop.call("GET", f"/api/v1/deliveries/{old}")
    (table,) = found["items"][0]["tables"]
    midnight = (datetime.now(UTC) - timedelta(days=DAYS)).strftime("%Y-%m-%dT00:00:00.000Z")
    assert (found["state"], table["state"], table["expiredBefore"]) == ("committed", "expired", midnight), found
    assert table["snapshotId"] in {str(one.snapshot_id) for one in orders(shop).snapshots()}
    assert found["incomplete"] is False
    (kept,) = shop.call("GET", f"/api/v1/deliveries/{young}")["items"][0]["tables"]
    assert (kept["state"], kept["expiredBefore"]) == ("committed", None)


def test_orphans_are_told_and_deleted_when_asked_under_a_running_writer(shop: Caller) -> None:
    post(shop, 10_000)
    eventually("there is a file", lambda: list(orders(shop).scan().plan_files()))
    location = Path(urlsplit(orders(shop).location()).path)
    live = [Path(urlsplit(task.file.file_path).path) for task in orders(shop).scan().plan_files()]
    lost, fresh = location / "data" / "lost.parquet", location / "data" / "on-its-way.parquet"
    for path in (lost, fresh):
        path.write_bytes(b"of a killed process")
    days_ago = time.time() - 4 * 86_400
    for path in (lost, *live):
        os.utime(path, (days_ago, days_ago))
    words = ("table", "orders", "--orphans", "--data-dir", str(shop.server.data_dir), "--tenant", str(shop.tenant))
    code, said = hookberg(*words)
    assert code == 0, said
    assert re.search(r"lost\.parquet\n1 orphans, 19 bytes; 0 deleted", said), said
    assert lost.exists()
    code, said = hookberg(*words, "--delete")
    assert code == 0, said
    assert "1 orphans, 19 bytes; 1 deleted" in said
    assert not lost.exists()
    assert fresh.exists()
    assert all(path.exists() for path in live)
