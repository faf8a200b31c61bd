"""What happened, as read from topics and tables, and every rule of the data path that it must hold.

Lives here: the checks, per position (design rules 1, 6, 7, 9, 14 to 17; the orphan check closes the hole that sums
leave open). Not here: how a history is read (gather.py), who sent what (traffic.py).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Partition = tuple[str, int]
"""(topic id, partition) of a raw topic."""


class Position(NamedTuple):
    """Where an item stands: topic id (a topic made anew has another), partition, offset, item."""

    topic: str
    partition: int
    offset: int
    item: int


class Place(NamedTuple):
    """Where a clean event stands in its own topic."""

    topic: str
    partition: int
    offset: int


NOWHERE = Place("", 0, 0)


@dataclass(frozen=True, slots=True)
class Decided:
    """A clean event or a failed quarantine record: position, id, what it carries, by which schema, where it stands."""

    position: Position
    event_id: str
    value: Any
    schema: str | None = None
    event_type: str = ""
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table."""

    position: Position
    event_id: str


@dataclass(frozen=True, slots=True)
class Table:
    """A stream's table: clean topic ids with the resolved start of each partition, what it selects, its rows."""

    name: str
    starts: dict[tuple[str, int], int]
    rows: list[Row]
    selects: Callable[[str], bool] = lambda _event_type: True


@dataclass(frozen=True, slots=True)
class Resolved:
    """A `resolved` record: the quarantined copy and the clean one that settled it."""

    position: Position
    event_id: str
    by: Position


@dataclass(frozen=True, slots=True)
class Cut:
    """A raw log that lost its tail: offsets `first`..`end`-1 went with their records, and are used again."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class History:
    """Everything that can be known of a run from outside.

    items: each item of each raw record, as JSON value (bytes where it does not parse), those of deleted topics too;
    stored: delivery ids that were ever in a raw topic, redrives left out; ends: end offset by raw partition, of a
    deleted topic when it was deleted (`gone`); cuts, cut_items: what a cut took; acked: delivery ids answered with a
    2xx; must: for each (platform, vendor's id) acknowledged what may become of it (traffic.py); excused: those that
    stood in a record which is gone; judge: whether a value meets a schema (None: it is no schema of ours); reader: what
    the reader that lived through it all saw differently.
    """

    items: dict[Position, Any]
    stored: Counter[str]
    ends: dict[Partition, int]
    clean: list[Decided]
    quarantined: list[Decided]
    ledger: list[dict[str, Any]]
    tables: list[Table]
    acked: set[str]
    resolved: list[Resolved] = field(default_factory=list)
    gone: set[Partition] = field(default_factory=set)
    cuts: dict[Partition, Cut] = field(default_factory=dict)
    cut_items: dict[Position, Any] = field(default_factory=dict)
    must: dict[tuple[str, str], str] = field(default_factory=dict)
    excused: set[tuple[str, str]] = field(default_factory=set)
    platforms: dict[str, str] = field(default_factory=dict)
    judge: Callable[[str, Any], bool | None] = lambda _schema, _value: None
    reader: list[str] = field(default_factory=list)

    def of(self, partition: Partition) -> list[dict[str, Any]]:
        """Return the ledger records of a raw partition, in the order in which they were committed."""
        return [record for record in self.ledger if (record["topicId"], record["partition"]) == partition]

    def jump(self, partition: Partition) -> int | None:
        """Return how far the stage had come when it was told of a cut: None when it had not come past it."""
        cut = self.cuts.get(partition)
        for record in self.of(partition):
            for span in record["lost"]:
                if cut is not None and span["from"] == cut.first and cut.first < span["to"] <= cut.end:
                    return int(span["to"])
        return None

    def vendor_id(self, position: Position, value: Any) -> tuple[str, str] | None:
        """Return (platform, vendor's id) of an item, None when it has none."""
        named = value.get("id") if isinstance(value, dict) else None
        return (self.platforms.get(position.topic, position.topic), str(named)) if named is not None else None


def faults(history: History) -> list[str]:
    """Return every broken rule with the first places where it is broken; empty = all hold."""
    checks = (
        _acknowledged, _one_outcome, _content, _quarantine_agrees, _ranges, _sums, _no_id_twice, _resolutions, _rows,
        _orphans, _definitions, _must, _reader,
    )  # fmt: skip
    return [f"{check.__name__.lstrip('_')}: {found}" for check in checks for found in _first(check(history))]


def missing_and_doubled(history: History) -> tuple[int, int]:
    """Return how many positions have no outcome that should have one, and how many have one too many."""
    expected, found = _expected(history), _outcomes(history)
    return sum((expected - found).values()), sum((found - expected).values())


def _first(found: Iterator[str], most: int = 5) -> list[str]:
    shown = list(found)
    more = [f"... and {len(shown) - most} more"] if len(shown) > most else []
    return shown[:most] + more


def _others(history: History) -> Iterator[tuple[Position, dict[str, Any]]]:
    for record in history.ledger:
        for other in record["others"]:
            yield Position(record["topicId"], record["partition"], other["offset"], other["item"]), other


def _outcomes(history: History) -> Counter[Position]:
    found = Counter(each.position for each in history.clean)
    found.update(position for position, _ in _others(history))
    return found


def _expected(history: History) -> Counter[Position]:
    """Count the outcomes that each position must have: one an item; of what a cut took, one where it was decided."""
    ends = {partition: max((r["to"] for r in history.of(partition)), default=0) for partition in history.gone}
    expected: Counter[Position] = Counter()
    for position in history.items:
        expected[position] += position.offset < ends.get(position[:2], position.offset + 1)
    jumps = {partition: history.jump(partition) for partition in history.cuts}
    for position in history.cut_items:
        expected[position] += position.offset < (jumps[position[:2]] or 0)
    return expected


def _acknowledged(history: History) -> Iterator[str]:
    """Every delivery answered 2xx is one raw record (rule 1); none is there twice."""
    for delivery in sorted(history.acked - history.stored.keys()):
        yield f"{delivery} was answered 2xx and is not in the raw topic"
    for delivery, times in history.stored.items():
        if times > 1:
            yield f"{delivery} is {times} times in the raw topic"


def _one_outcome(history: History) -> Iterator[str]:
    """Every item has exactly one outcome over clean topic and ledger, nothing else has one (rule 6)."""
    expected, found = _expected(history), _outcomes(history)
    for position in expected.keys() | found.keys():
        if found[position] != expected[position]:
            there = "" if position in history.items else ", and no such item was stored"
            yield f"{position} has {found[position]} outcomes instead of {expected[position]}{there}"


def _content(history: History) -> Iterator[str]:
    """A clean or quarantined record carries what stands at its position (or stood there, before a cut)."""
    for each in [*history.clean, *history.quarantined]:
        there = [items[each.position] for items in (history.items, history.cut_items) if each.position in items]
        if each.value not in there:
            yield f"{each.position} carries {str(each.value)[:80]!r}, there stands {str(there)[:160]}"


def _quarantine_agrees(history: History) -> Iterator[str]:
    """The quarantine topic holds exactly what the ledger calls quarantined."""
    topic = Counter(each.position for each in history.quarantined)
    ledger = Counter(position for position, other in _others(history) if other["outcome"] == "quarantined")
    for position in topic.keys() | ledger.keys():
        if topic[position] != ledger[position]:
            yield f"{position}: {topic[position]} in the topic, {ledger[position]} in the ledger"


def _ranges(history: History) -> Iterator[str]:
    """Ledger ranges cover each raw partition from 0 to its end without gap or overlap; lost is what a cut took only."""
    for key in history.ends.keys() | {(record["topicId"], record["partition"]) for record in history.ledger}:
        expected, jump, cut = 0, history.jump(key), history.cuts.get(key)
        for record in history.of(key):
            lost = [(span["from"], span["to"]) for span in record["lost"]]
            if jump is not None and cut is not None and lost == [(cut.first, jump)] and expected == jump:
                expected = cut.first
            elif lost:
                yield f"{key} lost {lost}"
            if record["from"] != expected:
                yield f"{key}: a range begins at {record['from']}, not at {expected}"
            expected = record["to"]
        end = history.ends.get(key)
        if expected != end and not (key in history.gone and end is not None and expected <= end):
            yield f"{key}: ranges end at {expected}, the log at {end}"


def _sums(history: History) -> Iterator[str]:
    """Each ledger record's counts add up to its items, to what it lists, and to what stood there (rule 14)."""
    clean = Counter(each.position[:3] for each in history.clean)
    now, before = Counter(p[:3] for p in history.items), Counter(p[:3] for p in history.cut_items)
    turned: set[Partition] = set()
    for record in history.ledger:
        key = (record["topicId"], record["partition"])
        cut, jump = history.cuts.get(key), history.jump(key)
        turned |= {key} if record["lost"] else set()
        counts: Counter[str] = Counter()
        for count in record["counts"]:
            counts[count["outcome"]] += count["n"]
        said_clean = counts.pop("clean", 0)
        listed = Counter(other["outcome"] for other in record["others"])
        where = f"{record['topic']}/{record['partition']} {record['from']}-{record['to']}"
        if +counts != listed or said_clean + counts.total() != record["items"]:
            yield f"{where}: counts {dict(counts)} and {said_clean} clean, lists {dict(listed)}, not {record['items']}"
        offsets = [(*key, offset) for offset in range(record["from"], record["to"])]
        old = jump is not None and cut is not None and key not in turned
        stood = sum(before[at] if old and cut and at[2] >= cut.first else now[at] for at in offsets)
        if record["items"] != stood:
            yield f"{where}: {record['items']} items, in the log stood {stood}"
        if cut is None and said_clean != sum(clean[at] for at in offsets):
            yield f"{where}: {said_clean} clean, {sum(clean[at] for at in offsets)} found"


def _no_id_twice(history: History) -> Iterator[str]:
    """No event id is clean twice, none is quarantined twice (no window ends during a run)."""
    for kind, decided in (("clean", history.clean), ("quarantine", history.quarantined)):
        for event_id, times in Counter(each.event_id for each in decided).items():
            if times > 1:
                yield f"{event_id} is {times} times in the {kind} topic"


def _resolutions(history: History) -> Iterator[str]:
    """`resolved` is written once for each quarantined id that became clean, and names both copies (rule 15)."""
    clean = {each.event_id: each.position for each in history.clean}
    failed = {each.event_id: each.position for each in history.quarantined}
    expected = Counter((failed[event_id], event_id, clean[event_id]) for event_id in failed.keys() & clean.keys())
    found = Counter((each.position, each.event_id, each.by) for each in history.resolved)
    for key in expected.keys() | found.keys():
        if expected[key] != found[key]:
            yield f"{key}: {found[key]} resolved records instead of {expected[key]}"


def _rows(history: History) -> Iterator[str]:
    """Every clean event from a stream's resolved start on is one row, and nothing else is one (rules 17, 18)."""
    for table in history.tables:
        clean = Counter(
            (each.position, each.event_id)
            for each in history.clean
            if each.place.offset >= table.starts.get(each.place[:2], 1 << 62) and table.selects(each.event_type)
        )
        rows = Counter((row.position, row.event_id) for row in table.rows)
        for key in clean.keys() | rows.keys():
            if clean[key] != rows[key]:
                yield f"{table.name} {key}: {clean[key]} times clean, {rows[key]} rows"


def _orphans(history: History) -> Iterator[str]:
    """Every duplicate's id is clean or quarantined elsewhere, with the same content; its first copy is named."""
    firsts: dict[tuple[str, str], list[Decided]] = {}
    for each in [*history.clean, *history.quarantined]:
        firsts.setdefault((history.platforms.get(each.position.topic, ""), each.event_id), []).append(each)
    for position, other in _others(history):
        if other["outcome"] != "duplicate":
            continue
        found = firsts.get((history.platforms.get(position.topic, ""), other["eventId"]), [])
        values = [items[position] for items in (history.items, history.cut_items) if position in items]
        if not any(first.value in values for first in found):
            yield f"{position} is a duplicate of {other['eventId']}, which is nowhere with this content"
        of = other["of"]
        named = of and (of["partition"], of["offset"], of["item"])
        if named is not None and named not in {first.position[1:] for first in found}:
            yield f"{position} names {named} as its first copy, which is not one of that id"


def _definitions(history: History) -> Iterator[str]:
    """A clean event meets the schema it names, a quarantined one breaks it: some definition in force said so."""
    for kind, decided, met in (("clean", history.clean, True), ("quarantined", history.quarantined, False)):
        for each in decided:
            if each.schema is not None and history.judge(each.schema, each.value) is not met:
                yield f"{each.position} is {kind} by {each.schema}: {str(each.value)[:80]}"


def _must(history: History) -> Iterator[str]:
    """Every acknowledged event ends where its content and the definitions allow, exactly once."""

    def ids(decided: list[Decided]) -> Counter[tuple[str, str] | None]:
        return Counter(history.vendor_id(each.position, each.value) for each in decided)

    clean, quarantined = ids(history.clean), ids(history.quarantined)
    dropped = {
        history.vendor_id(position, history.items.get(position))
        for position, other in _others(history)
        if other["outcome"].startswith("dropped")
    }
    for key, kind in history.must.items():
        found = (clean[key], quarantined[key])
        allowed = ALLOWED[kind]
        if found in allowed and (found != (0, 0) or key in dropped):
            continue
        if key in history.excused and found in {*allowed, (0, 0)}:
            continue
        yield f"{key} is {kind}: {found[0]} times clean, {found[1]} times quarantined"


ALLOWED: dict[str, frozenset[tuple[int, int]]] = {
    "valid": frozenset({(1, 0)}),
    "invalid": frozenset({(0, 1)}),
    "depends": frozenset({(1, 0), (0, 1), (1, 1)}),
    "unpinned": frozenset({(1, 0), (0, 1), (1, 1), (0, 0)}),
}
"""(clean, quarantined) copies that a kind of event may have; none at all only where the ledger says `dropped`."""


def _reader(history: History) -> Iterator[str]:
    """A read_committed reader that lived through it all saw what the topics hold."""
    yield from history.reader
