"""Every rule of the data path that a history must hold, per position.

Design rules 1, 6, 7, 9, 14 to 18; the orphan check closes the hole that sums leave open. Not here: what a history is
(history.py).
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from tests.faults.history import Decided, History, Partition, Position, content

_PLACES = re.compile(r"(\d+) places break a sum")
_MISSING = re.compile(r"(\d+) deliveries were answered 2xx, (\S+) holds (\d+) of them")


def faults(history: History) -> list[str]:
    """Return every broken rule with the first places where it is broken; empty = all hold."""
    checks = (
        _acknowledged, _one_outcome, _content, _quarantine_agrees, _ranges, _sums, _no_id_twice, _resolutions, _rows,
        _orphans, _definitions, _must, _reader, _paused, _pairs, _settled,
    )  # fmt: skip
    return [f"{check.__name__.lstrip('_')}: {found}" for check in checks for found in _first(check(history))]


def excused_by_cuts(said: str, cut: Mapping[str, int]) -> bool:
    """Tell whether all that an audit found is what cuts took: deliveries answered 2xx that have left their topic.

    Nobody but the counters of the edge knows of what was cut before the stage had seen it; `cut`: records by topic.
    """
    places, found = _PLACES.search(said), set(_MISSING.findall(said))
    most = all(int(accepted) - int(stored) <= cut.get(topic, 0) for accepted, topic, stored in found)
    return places is not None and int(places[1]) == len(found) and most


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
            named = history.redriven.get(position[:3])
            there = (
                ", and no such item was stored" if named is None else f", which the redrive of {named} does not name"
            )
            there = "" if position in history.items else there
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
    """`resolved` belongs to a `failed` and names a clean copy, once for each cause (rules 15 and 16)."""
    clean = {(each.position, each.event_id) for each in history.clean}
    rows = {each.position for each in history.quarantined}
    found = Counter((each.position, each.event_id, each.by) for each in history.resolved)
    expected = _causes(history)
    for key in expected.keys() | found.keys():
        row, event_id, by = key
        if found[key] and row not in rows:
            yield f"{row} is resolved by {by} and never failed"
        elif found[key] and (by, event_id) not in clean:
            yield f"{row} is resolved by {by}, which is not clean under {event_id}"
        elif expected[key] != found[key] and not _used_twice(history, by):
            yield f"{key}: {found[key]} resolved records instead of {expected[key]}"


def _causes(history: History) -> Counter[tuple[Position, str, Position]]:
    """Count why rows are resolved: (row, id, clean copy).

    A quarantined id became clean; an item of a redrive became clean, or repeats what is clean, under another id than
    its row has.
    """
    clean = {each.event_id: each.position for each in history.clean}
    failed = {each.event_id: each.position for each in history.quarantined}
    causes = Counter((failed[event_id], event_id, clean[event_id]) for event_id in failed.keys() & clean.keys())
    decided = [(each.position, each.event_id, each.position) for each in history.clean]
    for position, other in _others(history):
        of, by = other["of"], clean.get(other["eventId"])
        if other["outcome"] == "duplicate" and of and by and by[1:] == (of["partition"], of["offset"], of["item"]):
            decided.append((position, other["eventId"], by))
    for position, event_id, by in decided:
        redriven = history.redriven.get(position[:3])
        if redriven is not None and redriven.named(position.item) not in (None, event_id):
            causes[redriven.row(position.item), event_id, by] += 1
    return causes


def _used_twice(history: History, position: Position) -> bool:
    cut = history.cuts.get(position[:2])
    return cut is not None and position.offset >= cut.first


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
    """Every acknowledged event ends where its content and the definitions allow; no content is clean twice."""
    clean, quarantined = (Counter(_content_of(history, each.position, each.value) for each in decided)
                          for decided in (history.clean, history.quarantined))  # fmt: skip
    dropped = {
        _content_of(history, position, history.items.get(position))
        for position, other in _others(history)
        if other["outcome"].startswith("dropped")
    }
    for key, contents in history.must.items():
        told = {each: (clean[*key, each], quarantined[*key, each]) for each in contents}
        for each, kind in contents.items():
            gone = key in history.excused or (kind == "unpinned" and (*key, each) in dropped)
            gone = gone or ((*key, each) in history.wrapped and not history.settled)
            if why := _not_allowed(*told[each], kind, len(contents), gone=gone):
                yield f"{key} is {kind}, {told[each]} times clean and quarantined: {why}"
        plain = any(kind == "valid" and (*key, each) not in history.wrapped for each, kind in contents.items())
        if plain and key not in history.excused and not any(n for n, _ in told.values()):
            yield f"{key} is valid and no content of it is clean"


def _not_allowed(clean: int, quarantined: int, kind: str, contents: int, *, gone: bool) -> str | None:
    """Tell what is wrong with the number of copies of one content; `gone`: it need not be anywhere.

    Only beside another content of its id may a valid one be in quarantine, and one be there under two ids.
    """
    if clean > 1:
        return "the same content is clean twice"
    if kind == "invalid" and clean:
        return "no definition lets it be clean"
    if kind == "valid" and contents == 1 and quarantined:
        return "every definition lets it be clean"
    if quarantined > 1 + (contents > 1):
        return "the same content is quarantined twice"
    return "it is nowhere" if clean + quarantined == 0 and not gone else None


def _content_of(history: History, position: Position, value: Any) -> tuple[str, str, str] | None:
    named = history.vendor_id(position, value)
    return None if named is None else (*named, content(value))


def _reader(history: History) -> Iterator[str]:
    """A read_committed reader that lived through it all saw what the topics hold."""
    yield from history.reader


def _paused(history: History) -> Iterator[str]:
    """Nothing of a paused topic is decided, whatever ended meanwhile."""
    for held in history.held:
        if held.began != held.ended:
            yield f"{held.partition} was decided from {held.began} to {held.ended} while it was paused"


def _pairs(history: History) -> Iterator[str]:
    """Our own tables hold their topics, runs are those of the clean events, minutes add up to the ledger (rule 14)."""
    for name, (due, there) in history.pairs.items():
        for key in (due - there).keys() | (there - due).keys():
            yield f"{name}: {key} is {there[key]} times there instead of {due[key]} times"


def _settled(history: History) -> Iterator[str]:
    """When all was mended and redriven, only what no definition takes is open still (rule 16)."""
    if not history.settled:
        return
    resolved = {each.position for each in history.resolved}
    for each in history.quarantined:
        there = each.position[:2] not in history.gone and history.items.get(each.position) == each.value
        if there and each.position not in resolved and history.mends(each.position, each.value):
            yield f"{each.position} is open still: {str(each.value)[:80]}"
