"""What the ledger says of one raw record: the record that covers its offset, or how far the stage has come.

Lives here: the search in the ledger topic. A ledger record covers a range of one raw partition and is written by the
transaction that decided it (rule 14), so it is never older than the raw record, but for clocks that differ.
"""

from contextlib import closing
from dataclasses import dataclass

from schemas.errors import Poison
from schemas.wire import ledger
from schemas.wire.ledger import Ledger
from schemas.wire.position import Position
from sinks.read.deliveries.budget import Budget
from sinks.read.deliveries.log import Log, Place

CLOCKS_MS = 2_000
"""Clocks of hosts differ by so much at first thought..."""
MOST_CLOCKS_MS = 60_000
"""... and by so much before a record is called missing; readiness wants 30 s."""
_HEAD_BYTES = 512


@dataclass(frozen=True, slots=True)
class Told:
    """`record` covers the offset. None: not decided while `complete`, else not known.

    `reached`: the highest next offset of the partition that was seen.
    """

    record: Ledger | None
    complete: bool
    reached: int | None = None


def find(log: Log, topic: str, partitions: int, at: Position, since_ms: int, budget: Budget) -> Told:
    """Return what the ledger `topic` says of the raw record `at`, decided at `since_ms` or later (ms)."""
    places = [(topic, number) for number in range(partitions)]
    ends = log.ends(places)
    reached: int | None = None
    upper = ends
    for clocks_ms in (CLOCKS_MS, MOST_CLOCKS_MS):
        starts = log.since(places, since_ms - clocks_ms)
        told = _scan(log, {place: (starts[place], upper[place]) for place in places}, at, budget)
        reached = max((one for one in (reached, told.reached) if one is not None), default=None)
        if told.record is not None or not told.complete:
            return Told(told.record, told.complete, reached)
        upper = starts
    if reached is not None and reached > at.offset:
        budget.cut("the ledger does not hold the decision: retention removed it, or clocks differ by over a minute")
        return Told(None, complete=False, reached=reached)
    if any(low > 0 and low >= upper[place] for place, low in log.lows(places).items()):
        budget.cut("retention has removed the ledger records of that time")
        return Told(None, complete=False, reached=reached)
    return Told(None, complete=True, reached=reached)


def _scan(log: Log, spans: dict[Place, tuple[int, int]], at: Position, budget: Budget) -> Told:
    reached: int | None = None
    with closing(log.read(spans, budget)) as reading:
        for message in reading:
            record = read(message.value() or b"", at.topic_id)
            if record is None or record.partition != at.partition:
                continue
            reached = max(reached or 0, record.next_offset)
            if record.first <= at.offset < record.next_offset:
                return Told(record, complete=True, reached=reached)
    if budget.spent:
        budget.ran_out("the ledger topic")
        return Told(None, complete=False, reached=reached)
    return Told(None, complete=True, reached=reached)


def read(value: bytes, topic_id: str | None = None) -> Ledger | None:
    """Read a ledger record; None for one of another raw topic than `topic_id`, and for what is none."""
    if topic_id is not None and topic_id.encode() not in value[:_HEAD_BYTES]:
        return None
    try:
        record = ledger.decode(value)
    except Poison:
        return None
    return record if topic_id in (None, record.topic_id) else None
