"""Reads a History from the topics and tables of one tenant of a running server."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tests.faults.history import Decided, History, Position, Row
from tests.faults.topics import Everything, Read, avro, read_all
from tests.faults.traffic import GITHUB, ORDERS, Ledger
from tests.system import lake

PLATFORMS = (GITHUB, ORDERS)
TABLES = {GITHUB: "issues", ORDERS: "orders"}


def undecided(bootstrap: str, tenant: str) -> int:
    """Return how many raw records the ledger does not cover yet."""
    raw = [f"{tenant}.webhook.{platform}" for platform in PLATFORMS]
    found = read_all(bootstrap, [*raw, f"{tenant}.ledger"])
    covered: dict[tuple[str, int], int] = {}
    for record in _ledger(found, tenant):
        key = (record["topic"], record["partition"])
        covered[key] = max(covered.get(key, 0), record["to"])
    return sum(end - covered.get(key, 0) for key, end in found.ends.items() if key[0] in raw)


def gather(bootstrap: str, data_dir: Path, tenant: str, sent: Ledger) -> History:
    """Read everything; the server must be drained and still running."""
    kinds = ("webhook", "event", "quarantine")
    topics = [f"{tenant}.{kind}.{platform}" for kind in kinds for platform in PLATFORMS]
    found = read_all(bootstrap, [*topics, f"{tenant}.ledger"])
    ledger = _ledger(found, tenant)
    names = {record["topicId"]: record["topic"] for record in ledger}
    assert len(names) == len(set(names.values())), f"a topic has two ids: {names}"
    items: dict[Position, Any] = {}
    stored: Counter[str] = Counter()
    for platform in PLATFORMS:
        for record in found.of(f"{tenant}.webhook.{platform}"):
            stored[record.headers["hb-delivery-id"].decode()] += 1
            items |= _items(record)
    return History(
        items=items,
        stored=stored,
        ends={key: end for key, end in found.ends.items() if ".webhook." in key[0]},
        clean=[each for platform in PLATFORMS for each in _clean(found, tenant, platform, names)],
        quarantined=[each for platform in PLATFORMS for each in _quarantined(found, tenant, platform, names)],
        ledger=ledger,
        rows=[row for platform in PLATFORMS for row in _rows(data_dir, tenant, platform, names)],
        acked=sent.delivery_ids,
        must={(f"{tenant}.webhook.{platform}", event): valid for (platform, event), valid in sent.acked.items()},
        vendor_ids=_vendor_ids(found, tenant),
    )


def _ledger(found: Everything, tenant: str) -> list[dict[str, Any]]:
    return [avro("ledger.v1", record.value) for record in found.of(f"{tenant}.ledger")]


def _items(record: Read) -> dict[Position, Any]:
    try:
        value = json.loads(record.value)
    except ValueError:
        value = record.value
    listed = value if isinstance(value, list) else [value]
    return {Position(record.topic, record.partition, record.offset, n): item for n, item in enumerate(listed)}


def _position(names: dict[str, str], wire: dict[str, Any]) -> Position:
    return Position(names[wire["topicId"]], wire["partition"], wire["offset"], wire["item"])


def _clean(found: Everything, tenant: str, platform: str, names: dict[str, str]) -> list[Decided]:
    events = [json.loads(record.value) for record in found.of(f"{tenant}.event.{platform}")]
    return [Decided(_position(names, event["position"]), event["eventId"], event["payload"]) for event in events]


def _quarantined(found: Everything, tenant: str, platform: str, names: dict[str, str]) -> list[Decided]:
    out = []
    for record in found.of(f"{tenant}.quarantine.{platform}"):
        datum = avro("quarantine.v1", record.value)
        assert datum["kind"] == "failed", "the contract never changed, so nothing can be resolved"
        out.append(Decided(_position(names, datum["position"]), datum["eventId"], _json(datum["payload"])))
    return out


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _rows(data_dir: Path, tenant: str, platform: str, names: dict[str, str]) -> list[Row]:
    columns = ("event_id", "_topic", "_partition", "_offset", "_item")
    return [
        Row(Position(names[row["_topic"]], row["_partition"], row["_offset"], row["_item"]), row["event_id"])
        for row in lake.rows(data_dir, tenant, TABLES[platform], *columns)
    ]


def _vendor_ids(found: Everything, tenant: str) -> dict[Position, str]:
    """Map each position to the vendor's id of its event: GitHub's header, an order's member."""
    out: dict[Position, str] = {}
    for record in found.of(f"{tenant}.webhook.{GITHUB}"):
        headers = {name.lower(): value for name, value in json.loads(record.headers["hb-headers"])}
        out[Position(record.topic, record.partition, record.offset, 0)] = headers["x-github-delivery"]
    for record in found.of(f"{tenant}.webhook.{ORDERS}"):
        for position, item in _items(record).items():
            if isinstance(item, dict):
                out[position] = item["id"]
    return out
