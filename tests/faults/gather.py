"""Reads a History from the topics and tables of one tenant.

Lives here: reading what is there in the end, and keeping what a fault is about to destroy (`Archive`). Not here: the
rules (history.py).
"""

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.faults.history import Cut, Decided, History, Partition, Place, Position, Resolved, Table
from tests.faults.tables import Lake
from tests.faults.topics import Everything, Read, avro, ids, read_all
from tests.faults.traffic import PLATFORMS, Ledger, meets
from tests.faults.witness import Key

REDRIVE = "hb-redrive"


@dataclass(frozen=True, slots=True)
class Streamed:
    """A stream of the run: its table, its platform, what it selects."""

    table: str
    platform: str
    selects: Callable[[str], bool] = lambda _event_type: True


@dataclass
class Archive:
    """Raw records that are no longer in Kafka: of deleted topics, and of tails that were cut off."""

    gone: dict[Partition, list[Read]] = field(default_factory=dict)
    gone_ends: dict[Partition, int] = field(default_factory=dict)
    platforms: dict[str, str] = field(default_factory=dict)
    cuts: dict[Partition, Cut] = field(default_factory=dict)
    cut: dict[Partition, list[Read]] = field(default_factory=dict)


def raw_topic(tenant: str, platform: str) -> str:
    """Name a raw topic."""
    return f"{tenant}.webhook.{platform}"


def undecided(bootstrap: str, tenant: str) -> int:
    """Return how many raw records of the present topics the ledger does not cover yet."""
    raw = [raw_topic(tenant, platform) for platform in PLATFORMS]
    found = read_all(bootstrap, [*raw, f"{tenant}.ledger"])
    known = ids(bootstrap, raw)
    covered: dict[tuple[str, int], int] = {}
    for record in _ledger(found, tenant):
        covered[record["topicId"], record["partition"]] = record["to"]
    ends = {(known[topic][0], n): end for (topic, n), end in found.ends.items() if topic in known}
    return sum(abs(end - covered.get(key, 0)) for key, end in ends.items())


def gather(
    bootstrap: str, lake: Lake, tenant: str, sent: Ledger, archive: Archive, streams: Iterable[Streamed],
    witnessed: dict[Key, int] | None = None,
) -> History:  # fmt: skip
    """Read everything; all must be drained, Kafka and the catalog must run."""
    kinds = ("webhook", "event", "quarantine")
    topics = [f"{tenant}.{kind}.{platform}" for kind in kinds for platform in PLATFORMS]
    found = read_all(bootstrap, [*topics, f"{tenant}.ledger"])
    known = {name: topic_id for name, (topic_id, _) in ids(bootstrap, topics).items()}
    platforms = {known[raw_topic(tenant, platform)]: platform for platform in PLATFORMS} | archive.platforms
    raw: dict[Partition, list[Read]] = dict(archive.gone)
    for platform in PLATFORMS:
        for record in found.of(raw_topic(tenant, platform)):
            raw.setdefault((known[record.topic], record.partition), []).append(record)
    items = {at: item for key, records in raw.items() for record in records for at, item in _items(key, record)}
    cut_items = {at: item for key, cut in archive.cut.items() for record in cut for at, item in _items(key, record)}
    every = [record for records in (*raw.values(), *archive.cut.values()) for record in records]
    excused = {
        (platforms[key[0]], str(item["id"]))
        for key, records in (*archive.gone.items(), *archive.cut.items())
        for record in records
        for _, item in _items(key, record)
        if isinstance(item, dict)
    }
    ends = {(known[topic], n): end for (topic, n), end in found.ends.items() if ".webhook." in topic}
    quarantine = [
        avro("quarantine.v1", record.value)
        for platform in PLATFORMS
        for record in found.of(f"{tenant}.quarantine.{platform}")
    ]
    return History(
        items=items,
        stored=Counter(one.headers["hb-delivery-id"].decode() for one in every if REDRIVE not in one.headers),
        ends=ends | archive.gone_ends,
        clean=[
            _clean(record, known[record.topic])
            for platform in PLATFORMS
            for record in found.of(f"{tenant}.event.{platform}")
        ],
        quarantined=[_failed(datum) for datum in quarantine if datum["kind"] == "failed"],
        resolved=[_resolved(datum) for datum in quarantine if datum["kind"] == "resolved"],
        ledger=_ledger(found, tenant),
        tables=[_table(lake, tenant, stream) for stream in streams],
        acked=sent.delivery_ids,
        gone=set(archive.gone_ends),
        cuts=archive.cuts,
        cut_items=cut_items,
        must=dict(sent.acked),
        excused=excused,
        platforms=platforms,
        judge=meets,
        reader=[] if witnessed is None else _differences(found, witnessed),
    )


def _ledger(found: Everything, tenant: str) -> list[dict[str, Any]]:
    return [avro("ledger.v1", record.value) for record in found.of(f"{tenant}.ledger")]


def _items(key: Partition, record: Read) -> list[tuple[Position, Any]]:
    """Return the items of a raw record; of a redrive those that it names (rule 16)."""
    try:
        value = json.loads(record.value)
    except ValueError:
        value = record.value
    listed = value if isinstance(value, list) else [value]
    named = json.loads(record.headers[REDRIVE])["items"] if REDRIVE in record.headers else range(len(listed))
    return [(Position(*key, record.offset, n), listed[n]) for n in named]


def _position(wire: dict[str, Any]) -> Position:
    return Position(wire["topicId"], wire["partition"], wire["offset"], wire["item"])


def _clean(record: Read, topic_id: str) -> Decided:
    event = json.loads(record.value)
    place = Place(topic_id, record.partition, record.offset)
    return Decided(
        _position(event["position"]), event["eventId"], event["payload"], event.get("schema"), event["eventType"], place
    )


def _failed(datum: dict[str, Any]) -> Decided:
    return Decided(_position(datum["position"]), datum["eventId"], _json(datum["payload"]), datum["schema"])


def _resolved(datum: dict[str, Any]) -> Resolved:
    return Resolved(_position(datum["position"]), datum["eventId"], _position(datum["by"]))


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _table(lake: Lake, tenant: str, stream: Streamed) -> Table:
    starts, rows = lake.read(tenant, stream.table)
    return Table(stream.table, starts, rows, stream.selects)


def _differences(found: Everything, witnessed: dict[Key, int]) -> list[str]:
    """Compare what a reader saw with what is there: event, quarantine and ledger topics."""
    there = {
        (one.topic, one.partition, one.offset): zlib.crc32(one.value)
        for one in found.records
        if ".webhook." not in one.topic
    }
    wrong = sorted(key for key in there.keys() | witnessed.keys() if there.get(key) != witnessed.get(key))
    return [f"{key}: {'not seen' if key not in witnessed else 'not there now or another value'}" for key in wrong]
