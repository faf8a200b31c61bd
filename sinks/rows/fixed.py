"""Rows of our own tables, whose columns never change: quarantine and ledger.

Lives here: their columns with docs, and records into rows. A record that does not decode becomes a row that says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from schemas.errors import Poison
from schemas.reasons import Outcome, Reason
from schemas.wire import ledger, quarantine
from schemas.wire.position import Position
from sinks.rows.system import TIME, Column, Record

UNREADABLE = "unreadable"
_TEXT, _INT, _LONG = pa.string(), pa.int32(), pa.int64()
_RECORD = (
    Column("_topic", _TEXT, "Kafka topic id of the record"),
    Column("_partition", _INT, "partition of the record"),
    Column("_offset", _LONG, "offset of the record"),
)

QUARANTINE = (
    Column("kind", _TEXT, "failed, resolved (it became clean later), or unreadable (a record of another program)"),
    Column("event_id", _TEXT, "id of the event"),
    Column("tenant_id", _TEXT, "tenant that owns the source"),
    Column("platform", _TEXT, "vendor or generic name"),
    Column("source", _TEXT, "name of the registered source"),
    Column("source_id", _TEXT, "id of the registered source"),
    Column("source_kind", _TEXT, "webhook.{label or platform}"),
    Column("event_type", _TEXT, "type of the event; null if it could not be told"),
    Column("vendor_event_id", _TEXT, "the vendor's own id; null if it gives none"),
    Column("delivery_id", _TEXT, "id of the HTTP request"),
    Column("received_at", TIME, "when the delivery reached the ingress"),
    Column("decided_at", TIME, "when the stage decided"),
    Column("position_topic", _TEXT, "where the item stands in its raw topic: topic id"),
    Column("position_partition", _INT, "where the item stands in its raw topic: partition"),
    Column("position_offset", _LONG, "where the item stands in its raw topic: offset"),
    Column("position_item", _INT, "where the item stands in its raw topic: number in the delivery"),
    Column("reason", _TEXT, "one of the closed list of reasons"),
    Column("pointer", _TEXT, "JSON pointer to what failed; empty: the whole item"),
    Column("message", _TEXT, "what failed, for people"),
    Column("schema", _TEXT, "subject@version that it was checked against"),
    Column("content_type", _TEXT, "content type of the request"),
    Column("auth_coverage", _TEXT, "what the signature covered: full, partial or none"),
    Column("payload", pa.binary(), "the item as sent, byte for byte"),
    Column("payload_text", _TEXT, "the same as text; null if it is not UTF-8"),
    Column("by_topic", _TEXT, "for resolved: position of the copy that became clean: topic id"),
    Column("by_partition", _INT, "for resolved: partition of that copy"),
    Column("by_offset", _LONG, "for resolved: offset of that copy"),
    Column("by_item", _INT, "for resolved: number of that copy in its delivery"),
    *_RECORD,
)
_OTHERS = pa.list_(
    pa.struct(
        [
            ("offset", _LONG), ("item", _INT), ("reason", _TEXT), ("event_id", _TEXT),
            ("of_partition", _INT), ("of_offset", _LONG), ("of_item", _INT),
        ]
    )
)  # fmt: skip
LEDGER = (
    Column("topic", _TEXT, "raw topic"),
    Column("topic_id", _TEXT, "Kafka topic id of the raw topic"),
    Column("partition", _INT, "raw partition"),
    Column("first_offset", _LONG, "first raw offset of the range that was decided"),
    Column("next_offset", _LONG, "next raw offset after the range"),
    Column("worker_group", _TEXT, "worker group that decided"),
    Column("decided_at", TIME, "when it was decided"),
    Column("source_id", _TEXT, "id of the registered source; null for lost"),
    Column("event_type", _TEXT, "type of the events; null for lost"),
    Column("minute", TIME, "minute of event time; null for lost"),
    Column("outcome", _TEXT, "clean, duplicate, quarantined, dropped, shed, empty, control or lost"),
    Column("n", _LONG, "items with this outcome; for lost: offsets"),
    Column("items", _OTHERS, "the items themselves, unless clean; `of_*`: the first copy of a duplicate"),
    *_RECORD,
)


@dataclass(frozen=True, slots=True)
class Fixed:
    """One of our own tables: its columns and how a record becomes rows; `time` is the column to partition by."""

    columns: tuple[Column, ...]
    time: str
    read: Any

    def rows(self, records: Sequence[Record]) -> pa.Table:
        """Return the rows of a batch, in order; total."""
        made = [row for record in records for row in self.read(record)]
        arrays = [pa.array([row.get(column.name) for row in made], column.type) for column in self.columns]
        return pa.table(arrays, names=[column.name for column in self.columns])


def _quarantine(record: Record) -> list[dict[str, Any]]:
    where = {"_topic": record.topic_id, "_partition": record.partition, "_offset": record.offset}
    try:
        item = quarantine.decode(record.value)
    except Poison as error:
        return [
            {
                **where, "kind": UNREADABLE, "reason": str(Reason.BAD_RECORD), "message": str(error), "received_at": 0,
                "decided_at": 0, "payload": record.value, "payload_text": _text(record.value),
            }
        ]  # fmt: skip
    return [
        {
            **where,
            **{column.name: getattr(item, column.name, None) for column in QUARANTINE[:22]},
            "received_at": item.received_at_us,
            "decided_at": item.decided_at_us,
            **_position("position", item.position),
            "payload": item.payload,
            "payload_text": _text(item.payload),
            **(_position("by", item.by) if item.by is not None else {}),
        }
    ]


def _ledger(record: Record) -> list[dict[str, Any]]:
    where = {"_topic": record.topic_id, "_partition": record.partition, "_offset": record.offset}
    try:
        entry = ledger.decode(record.value)
    except Poison:
        return [{**where, "outcome": UNREADABLE, "decided_at": 0, "n": 0}]
    base = {
        **where,
        "topic": entry.topic, "topic_id": entry.topic_id, "partition": entry.partition, "first_offset": entry.first,
        "next_offset": entry.next_offset, "worker_group": entry.group, "decided_at": entry.decided_at_us,
    }  # fmt: skip
    others: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for other in entry.others:
        of = other.of
        item = {"offset": other.offset, "item": other.item, "reason": other.reason, "event_id": other.event_id}
        if of is not None:
            item |= {"of_partition": of.partition, "of_offset": of.offset, "of_item": of.item}
        others.setdefault((other.source_id, other.outcome), []).append(item)
    rows = [
        {
            **base,
            "source_id": count.source_id,
            "event_type": count.event_type,
            "minute": count.minute * 60_000_000,
            "outcome": count.outcome,
            "n": count.n,
            # the record names items by source and outcome, not by event type: they stand at the first such count
            "items": others.pop((count.source_id, count.outcome), None),
        }
        for count in entry.counts
    ]
    rows += [
        {**base, "source_id": source, "outcome": outcome, "n": 0, "items": items}
        for (source, outcome), items in others.items()
    ]
    rows += [
        {**base, "outcome": str(Outcome.LOST), "first_offset": a, "next_offset": b, "n": b - a} for a, b in entry.lost
    ]
    return rows


def _position(prefix: str, position: Position) -> dict[str, Any]:
    return {
        f"{prefix}_topic": position.topic_id,
        f"{prefix}_partition": position.partition,
        f"{prefix}_offset": position.offset,
        f"{prefix}_item": position.item,
    }


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


QUARANTINE_TABLE = Fixed(QUARANTINE, "received_at", _quarantine)
LEDGER_TABLE = Fixed(LEDGER, "decided_at", _ledger)
