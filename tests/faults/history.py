"""What happened, as read from topics and tables, and every rule of the data path that it must hold.

Lives here: the checks, per position (design rules 1, 6, 7, 9, 14; the orphan check closes the hole that sums leave
open). Not here: how a history is read (gather.py).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Position(NamedTuple):
    """Where an item stands; by topic name, since a run recreates no topic."""

    topic: str
    partition: int
    offset: int
    item: int


@dataclass(frozen=True, slots=True)
class Decided:
    """A clean event or a failed quarantine record: position, id, what it carries."""

    position: Position
    event_id: str
    value: Any


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table of one raw topic."""

    position: Position
    event_id: str


@dataclass(frozen=True, slots=True)
class History:
    """Everything that can be known of a run from outside.

    items: each item of each raw record, as JSON value (bytes where it does not parse); stored: delivery ids in the raw
    topics; ends: end offset by raw (topic, partition); acked: delivery ids answered with a 2xx; must: for each
    (topic, vendor's id) that was acknowledged, whether it is valid; vendor_ids: the vendor's id at each position.
    """

    items: dict[Position, Any]
    stored: Counter[str]
    ends: dict[tuple[str, int], int]
    clean: list[Decided]
    quarantined: list[Decided]
    ledger: list[dict[str, Any]]
    rows: list[Row]
    acked: set[str]
    must: dict[tuple[str, str], bool] = field(default_factory=dict)
    vendor_ids: dict[Position, str] = field(default_factory=dict)


def faults(history: History) -> list[str]:
    """Return every broken rule with the first places where it is broken; empty = all hold."""
    checks = (_acknowledged, _one_outcome, _quarantine_agrees, _ranges, _sums, _no_id_twice, _rows, _orphans, _must)
    return [f"{check.__name__.lstrip('_')}: {found}" for check in checks for found in _first(check(history))]


def _first(found: Iterator[str], most: int = 5) -> list[str]:
    shown = list(found)
    more = [f"... and {len(shown) - most} more"] if len(shown) > most else []
    return shown[:most] + more


def _others(history: History) -> Iterator[tuple[Position, dict[str, Any]]]:
    for record in history.ledger:
        for other in record["others"]:
            yield Position(record["topic"], record["partition"], other["offset"], other["item"]), other


def _acknowledged(history: History) -> Iterator[str]:
    """Every delivery answered 2xx is one raw record (rule 1); none is there twice."""
    for delivery in sorted(history.acked - history.stored.keys()):
        yield f"{delivery} was answered 2xx and is not in the raw topic"
    for delivery, times in history.stored.items():
        if times > 1:
            yield f"{delivery} is {times} times in the raw topic"


def _one_outcome(history: History) -> Iterator[str]:
    """Every item has exactly one outcome over clean topic and ledger, nothing else has one (rule 6)."""
    found = Counter(each.position for each in history.clean)
    found.update(position for position, _ in _others(history))
    for position in history.items.keys() | found.keys():
        if found[position] != 1 or position not in history.items:
            there = "" if position in history.items else ", and no such item was stored"
            yield f"{position} has {found[position]} outcomes{there}"


def _quarantine_agrees(history: History) -> Iterator[str]:
    """The quarantine topic holds exactly what the ledger calls quarantined."""
    topic = Counter(each.position for each in history.quarantined)
    ledger = Counter(position for position, other in _others(history) if other["outcome"] == "quarantined")
    for position in topic.keys() | ledger.keys():
        if topic[position] != ledger[position]:
            yield f"{position}: {topic[position]} in the topic, {ledger[position]} in the ledger"


def _ranges(history: History) -> Iterator[str]:
    """Ledger ranges cover each raw partition from 0 to its end without gap or overlap, and nothing is lost."""
    by_partition: dict[tuple[str, int], list[tuple[int, int]]] = {key: [] for key in history.ends}
    for record in history.ledger:
        by_partition.setdefault((record["topic"], record["partition"]), []).append((record["from"], record["to"]))
        if record["lost"]:
            yield f"{record['topic']}/{record['partition']} lost {record['lost']}"
    for key, ranges in by_partition.items():
        expected = 0
        for start, end in sorted(ranges):
            if start != expected:
                yield f"{key}: a range begins at {start}, not at {expected}"
            expected = end
        if expected != history.ends.get(key):
            yield f"{key}: ranges end at {expected}, the log at {history.ends.get(key)}"


def _sums(history: History) -> Iterator[str]:
    """Each ledger record's counts add up to its items, and to what it lists (rule 14)."""
    clean = Counter((each.position.topic, each.position.partition, each.position.offset) for each in history.clean)
    for record in history.ledger:
        counts: Counter[str] = Counter()
        for count in record["counts"]:
            counts[count["outcome"]] += count["n"]
        listed = Counter(other["outcome"] for other in record["others"])
        offsets = range(record["from"], record["to"])
        listed["clean"] += sum(clean[record["topic"], record["partition"], offset] for offset in offsets)
        if +counts != +listed or sum(counts.values()) != record["items"]:
            where = f"{record['topic']}/{record['partition']} {record['from']}-{record['to']}"
            yield f"{where}: counts {dict(counts)}, found {dict(+listed)}, items {record['items']}"


def _no_id_twice(history: History) -> Iterator[str]:
    """No event id is clean twice."""
    for event_id, times in Counter(each.event_id for each in history.clean).items():
        if times > 1:
            yield f"{event_id} is {times} times in the clean topic"


def _rows(history: History) -> Iterator[str]:
    """Every clean event is exactly one row, and nothing else is one (rule 17)."""
    clean = Counter((each.position, each.event_id) for each in history.clean)
    rows = Counter((row.position, row.event_id) for row in history.rows)
    for key in clean.keys() | rows.keys():
        if clean[key] != rows[key]:
            yield f"{key}: {clean[key]} times clean, {rows[key]} rows"


def _orphans(history: History) -> Iterator[str]:
    """Every duplicate's id is clean or quarantined elsewhere, with the same content; its first copy is named."""
    firsts: dict[tuple[str, str], list[Decided]] = {}
    for each in [*history.clean, *history.quarantined]:
        firsts.setdefault((each.position.topic, each.event_id), []).append(each)
    for position, other in _others(history):
        if other["outcome"] != "duplicate":
            continue
        found = firsts.get((position.topic, other["eventId"]), [])
        if not any(first.value == history.items.get(position) for first in found):
            yield f"{position} is a duplicate of {other['eventId']}, which is nowhere with this content"
        of = other["of"]
        named = of and Position(position.topic, of["partition"], of["offset"], of["item"])
        if named is not None and named not in {first.position for first in found}:
            yield f"{position} names {named} as its first copy, which is not one of that id"


def _must(history: History) -> Iterator[str]:
    """Every acknowledged event ends where its content says: valid = one clean event, invalid = quarantined only."""

    def ids(decided: list[Decided]) -> Counter[tuple[str, str | None]]:
        return Counter((each.position.topic, history.vendor_ids.get(each.position)) for each in decided)

    clean, quarantined = ids(history.clean), ids(history.quarantined)
    for key, valid in history.must.items():
        if (clean[key], quarantined[key]) != ((1, 0) if valid else (0, 1)):
            kind = "valid" if valid else "invalid"
            yield f"{key} is {kind}: {clean[key]} times clean, {quarantined[key]} times quarantined"
