"""What was read of one delivery, before it is shown: items, copies, tables.

Lives here: value types, and which items a raw record has (spec section 5, rule 14). Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from schemas.reasons import Outcome
from schemas.wire.ledger import First, Ledger
from schemas.wire.position import Position
from schemas.wire.quarantine import Quarantine
from sinks.read.deliveries.commits import Taken
from sinks.read.deliveries.records import Clean, Stored

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a delivery and its outcome."""

    number: int
    outcome: str
    event_id: str | None = None
    reason: str | None = None
    of: First | None = None
    clean: Clean | None = None


@dataclass(frozen=True, slots=True)
class FirstCopy:
    """The delivery in which the first copy of a duplicate came; None where its raw record cannot be read."""

    delivery_id: str | None = None
    received_at_us: int | None = None


@dataclass(frozen=True, slots=True)
class InTable:
    """What one table did with one item; `snapshot_id` also of a snapshot that has expired, where a row tells it."""

    table: str
    stream: str | None
    stream_id: str | None
    desired: str
    taken: Taken
    snapshot_id: int | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """A quarantined item that became clean later: where, and when the stage decided so."""

    by: Position
    at_us: int
    delivery_id: str
    tables: tuple[InTable, ...] = ()


@dataclass(slots=True)
class Facts:
    """What was read of one delivery. `tables`: by item; `failed`, `resolved`: of quarantined ones, by item.

    `paused`: its topic is not processed now.
    """

    delivery_id: str
    stored: Stored | None = None
    position: Position | None = None
    record: Ledger | None = None
    decided: bool | None = None
    cleans: Sequence[Clean] = ()
    failed: Mapping[int, Quarantine] = field(default_factory=dict)
    resolved: Mapping[int, Resolution] = field(default_factory=dict)
    firsts: Mapping[tuple[int, int], FirstCopy] = field(default_factory=dict)
    tables: Mapping[int, Sequence[InTable]] = field(default_factory=dict)
    source: Mapping[str, str | None] | None = None
    behind: int | None = None
    paused: bool = False
    now_ms: int = 0
    why: Sequence[str] = ()


def items(offset: int, record: Ledger | None, cleans: Sequence[Clean]) -> list[Item]:
    """Return the items of the raw record at `offset`, in order: each exactly once."""
    made: dict[int, Item] = {}
    if record is not None:
        for other in record.others:
            if other.offset == offset:
                made[other.item] = Item(other.item, other.outcome, other.event_id, other.reason, other.of)
        if not made and not cleans and any(low <= offset < high for low, high in record.lost):
            made[0] = Item(0, Outcome.LOST.value)
    for clean in cleans:
        number = clean.position.item
        made[number] = Item(number, Outcome.CLEAN.value, clean.event_id, clean=clean)
    return [made[number] for number in sorted(made)]


def instant(us: int | None) -> str | None:
    """Return a time in µs as RFC 3339 in UTC; None for none, and for what is no time of years 1 to 9999."""
    if us is None:
        return None
    try:
        moment = _EPOCH + timedelta(microseconds=us)
    except OverflowError:
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
