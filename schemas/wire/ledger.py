"""The ledger record (topic `{tenant}.ledger`, Avro): what became of every item of one offset range (rule 14)."""

from dataclasses import dataclass

from schemas.wire.avro import Codec, microseconds

CODEC = Codec("ledger.v1")


@dataclass(frozen=True, slots=True)
class Count:
    """How many items of one source, event type and minute of event time had one outcome."""

    source_id: str
    event_type: str
    minute: int
    outcome: str
    n: int


@dataclass(frozen=True, slots=True)
class First:
    """Where the first copy of a duplicate stands; its topic is the record's own."""

    partition: int
    offset: int
    item: int


@dataclass(frozen=True, slots=True)
class Other:
    """One item whose outcome is not clean."""

    offset: int
    item: int
    source_id: str
    outcome: str
    reason: str | None
    event_id: str | None
    of: First | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """One (topic, partition) of one transaction: offsets `first`..`next_offset`-1; `lost` are (from, to) ranges."""

    topic: str
    topic_id: str
    partition: int
    first: int
    next_offset: int
    group: str
    decided_at_us: int
    items: int
    counts: tuple[Count, ...]
    others: tuple[Other, ...]
    lost: tuple[tuple[int, int], ...] = ()


def encode(record: Ledger) -> bytes:
    """Return the record's value."""
    return CODEC.encode(
        {
            "topic": record.topic,
            "topicId": record.topic_id,
            "partition": record.partition,
            "from": record.first,
            "to": record.next_offset,
            "group": record.group,
            "decidedAt": record.decided_at_us,
            "items": record.items,
            "counts": [
                {"sourceId": c.source_id, "eventType": c.event_type, "minute": c.minute, "outcome": c.outcome, "n": c.n}
                for c in record.counts
            ],
            "others": [
                {
                    "offset": o.offset,
                    "item": o.item,
                    "sourceId": o.source_id,
                    "outcome": o.outcome,
                    "reason": o.reason,
                    "eventId": o.event_id,
                    "of": None
                    if o.of is None
                    else {"partition": o.of.partition, "offset": o.of.offset, "item": o.of.item},
                }
                for o in record.others
            ],
            "lost": [{"from": start, "to": end} for start, end in record.lost],
        }
    )


def decode(value: bytes) -> Ledger:
    """Read a record; raises `Poison(bad_record)`."""
    datum = CODEC.decode(value)
    return Ledger(
        topic=datum["topic"],
        topic_id=datum["topicId"],
        partition=datum["partition"],
        first=datum["from"],
        next_offset=datum["to"],
        group=datum["group"],
        decided_at_us=microseconds(datum["decidedAt"]),
        items=datum["items"],
        counts=tuple(Count(c["sourceId"], c["eventType"], c["minute"], c["outcome"], c["n"]) for c in datum["counts"]),
        others=tuple(
            Other(
                o["offset"],
                o["item"],
                o["sourceId"],
                o["outcome"],
                o["reason"],
                o["eventId"],
                None if o["of"] is None else First(o["of"]["partition"], o["of"]["offset"], o["of"]["item"]),
            )
            for o in datum["others"]
        ),
        lost=tuple((span["from"], span["to"]) for span in datum["lost"]),
    )
