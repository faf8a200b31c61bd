"""Reads a History from the topics and tables of one tenant.

Lives here: reading what is there in the end, and keeping what a fault is about to destroy (`Archive`). Not here: the
rules (history.py).
"""

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults.history import (
    Cut,
    Decided,
    Held,
    History,
    Partition,
    Place,
    Position,
    Redriven,
    Resolved,
    Table,
    content,
)
from tests.faults.pairs import Assigned, pairs
from tests.faults.tables import Lake
from tests.faults.topics import Everything, Read, avro, ids, read_all
from tests.faults.traffic import PLATFORMS, UNKNOWN_TYPE, Ledger, meets, mendable
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
    held: list[Held] = field(default_factory=list)


def raw_topic(tenant: str, platform: str) -> str:
    """Name a raw topic."""
    return f"{tenant}.webhook.{platform}"


def undecided(bootstrap: str, tenant: str) -> int:
    """Return how many raw records of the present topics the ledger does not cover yet."""
    return sum(abs(end - at) for at, end in decided(bootstrap, tenant, PLATFORMS).values())


def decided(bootstrap: str, tenant: str, platforms: Iterable[str]) -> dict[Partition, tuple[int, int]]:
    """Return of each partition of the present raw topics how far the ledger covers it, and its end."""
    raw = [raw_topic(tenant, platform) for platform in platforms]
    found = read_all(bootstrap, [*raw, f"{tenant}.ledger"])
    known = ids(bootstrap, raw)
    covered: dict[Partition, int] = {}
    for record in _ledger(found, tenant):
        covered[record["topicId"], record["partition"]] = record["to"]
    ends = {(known[topic][0], n): end for (topic, n), end in found.ends.items() if topic in known}
    return {key: (covered.get(key, 0), end) for key, end in ends.items()}


def gather(
    bootstrap: str, lake: Lake, tenant: str, sent: Ledger, archive: Archive, streams: Iterable[Streamed],
    witnessed: dict[Key, int] | None = None, *, settled: bool = False, assigned: Sequence[Assigned] = (),
    minutes: dict[str, dict[str, int]] | None = None,
) -> History:  # fmt: skip
    """Read everything; all must be drained, Kafka and the catalog must run.

    `minutes`: outcomes by source id as the API tells them, None where they cannot be compared.
    """
    kinds = ("webhook", "event", "quarantine")
    topics = [f"{tenant}.{kind}.{platform}" for kind in kinds for platform in PLATFORMS]
    topics += sorted({f"{tenant}.run.{one.target}" for one in assigned})
    found = read_all(bootstrap, [*topics, f"{tenant}.ledger"])
    known = {name: topic_id for name, (topic_id, _) in ids(bootstrap, topics).items()}
    platforms = {known[raw_topic(tenant, platform)]: platform for platform in PLATFORMS} | archive.platforms
    raw: dict[Partition, list[Read]] = dict(archive.gone)
    for platform in PLATFORMS:
        for record in found.of(raw_topic(tenant, platform)):
            raw.setdefault((known[record.topic], record.partition), []).append(record)
    quarantine = [
        avro("quarantine.v1", record.value)
        for platform in PLATFORMS
        for record in found.of(f"{tenant}.quarantine.{platform}")
    ]
    ledger = _ledger(found, tenant)
    quarantined = [_failed(datum) for datum in quarantine if datum["kind"] == "failed"]
    split = Split(quarantined, ledger)
    items = {at: item for key, records in raw.items() for record in records for at, item in split.items(key, record)}
    cut_items = {
        at: item for key, cut in archive.cut.items() for record in cut for at, item in split.items(key, record)
    }
    every = [(key, record) for part in (raw, archive.cut) for key, records in part.items() for record in records]
    excused = {
        (platforms[key[0]], str(item["id"]))
        for key, records in (*archive.gone.items(), *archive.cut.items())
        for record in records
        for item in _listed(record)
        if isinstance(item, dict)
    }
    ends = {(known[topic], n): end for (topic, n), end in found.ends.items() if ".webhook." in topic}
    return History(
        items=items,
        stored=Counter(one.headers["hb-delivery-id"].decode() for _, one in every if REDRIVE not in one.headers),
        ends=ends | archive.gone_ends,
        clean=[
            _clean(record, known[record.topic])
            for platform in PLATFORMS
            for record in found.of(f"{tenant}.event.{platform}")
        ],
        quarantined=quarantined,
        resolved=[_resolved(datum) for datum in quarantine if datum["kind"] == "resolved"],
        ledger=ledger,
        tables=[_table(lake, tenant, stream) for stream in streams],
        acked=sent.delivery_ids,
        gone=set(archive.gone_ends),
        cuts=archive.cuts,
        cut_items=cut_items,
        must=dict(sent.acked),
        wrapped=sent.wrapped,
        excused=excused,
        platforms=platforms,
        judge=meets,
        reader=[] if witnessed is None else _differences(found, witnessed),
        redriven={(*key, one.offset): _redriven(one) for key, one in every if REDRIVE in one.headers},
        held=archive.held,
        pairs=pairs(found, lake, tenant, quarantine, ledger, list(assigned), minutes),
        settled=settled,
        mendable=mendable,
    )


def _ledger(found: Everything, tenant: str) -> list[dict[str, Any]]:
    return [avro("ledger.v1", record.value) for record in found.of(f"{tenant}.ledger")]


class Split:
    """Says which items a raw record has, as the stage has seen it.

    A delivery whose content type nobody knew is one item when it was decided so: its row, or that of which it is a
    duplicate, holds all of it. By the settings of another moment it is as many as stand in it. Where the row is an
    orphan (a delivery that is a duplicate of itself), the ledger alone tells: it lists one item.
    """

    def __init__(self, quarantined: Iterable[Decided], ledger: Iterable[dict[str, Any]]) -> None:
        self._whole = {(each.position, content(each.value)) for each in quarantined if isinstance(each.value, list)}
        others = [(record, other) for record in ledger for other in record["others"]]
        at = [
            Position(record["topicId"], record["partition"], other["offset"], other["item"]) for record, other in others
        ]
        items = Counter(position[:3] for position in at)
        self._of = {
            position: Position(position.topic, other["of"]["partition"], other["of"]["offset"], other["of"]["item"])
            for position, (_, other) in zip(at, others, strict=True)
            if other["outcome"] == "duplicate" and other["item"] == 0 and other["of"]
        }
        self._orphans = {own for own, of in self._of.items() if own == of and items[own[:3]] == 1}

    def items(self, key: Partition, record: Read) -> list[tuple[Position, Any]]:
        """Return the items of a raw record; of a redrive those that it names (rule 16)."""
        listed = _listed(record)
        if UNKNOWN_TYPE.encode() in record.headers["hb-headers"]:
            own = Position(*key, record.offset, 0)
            row = self._of.get(own, own)
            if {(own, content(listed)), (row, content(listed))} & self._whole or row in self._orphans:
                return [(own, listed)]
        named = _redriven(record).items if REDRIVE in record.headers else ()
        return [(Position(*key, record.offset, n), listed[n]) for n in named or range(len(listed))]


def _listed(record: Read) -> list[Any]:
    try:
        value = json.loads(record.value)
    except ValueError:
        return [record.value]
    return value if isinstance(value, list) else [value]


def _redriven(record: Read) -> Redriven:
    wire = json.loads(record.headers[REDRIVE])
    at = (wire["topicId"], wire["partition"], wire["offset"])
    return Redriven(*at, tuple(wire["items"]), tuple(wire.get("eventIds") or ()))


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
