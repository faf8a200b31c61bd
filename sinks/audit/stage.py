"""The stage's sum, per position: every raw item has exactly one outcome over clean topic, quarantine topic and ledger.

Lives here: the checks of one raw (topic id, partition). What retention has removed is left out: `floor` says from where
on clean events, `quarantine_floor` from where on quarantined ones can be looked for. Pure. Rules 1, 6, 7, 9, 14 to 16.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from schemas.reasons import Outcome
from schemas.wire.position import Position
from sinks.audit.ledger import ELSEWHERE, NOWHERE, Said
from sinks.audit.marks import Marks, differences, pack, unpack
from sinks.audit.ranges import Ranges, inside, outside, walk
from sinks.audit.report import StageRow

_NOBODY = frozenset({0})


@dataclass(frozen=True, slots=True)
class Raw:
    """What the raw log holds: offsets `low`..`end`-1 but the `missing` spans; items that redrives name, by offset."""

    low: int
    end: int
    missing: tuple[tuple[int, int], ...] = ()
    redrives: Mapping[int, frozenset[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outputs:
    """Clean events and failed quarantine records (sorted), positions that `resolved` records say became clean."""

    clean: Marks
    failed: Marks
    resolved_by: Sequence[int] = ()
    floor: int = 0
    quarantine_floor: int = 0


def check(said: Said, raw: Raw | None, out: Outputs, older: Sequence[Outputs], *, whole: bool, since: int) -> StageRow:
    """Return what holds for one raw partition.

    `raw` None: the topic was deleted or made anew, so its records are gone. `older`: outputs of other topics of the
    same name, where first copies may stand. `whole`: the ledger has its first record. `since`: first offset asked for.
    """
    row = StageRow(said.topic, said.topic_id, said.partition, findings=said.findings)
    ranges = walk(said, whole=whole, findings=row.findings)
    row.first, row.end = max(ranges.first, out.floor, since), ranges.end
    row.lost = ranges.lost
    if not whole and not said.firsts:
        row.notes.append("nothing of it in the ledger that is read")
        row.pending = 0 if raw is None else raw.end - raw.low
        return row
    if row.first > 0:
        row.notes.append(f"from offset {row.first} on")
    if ranges.reused:
        spans = ", ".join(f"{start}-{end - 1}" for start, end in ranges.reused)
        row.notes.append(f"the log was truncated: offsets {spans} were used twice, only their sums are compared")
    if raw is not None:
        row.pending = max(0, raw.end - max(row.end, raw.low))
    _positions(row, said, raw, out, ranges)
    _counts(row, said, out, ranges)
    _quarantine(row, said, out, ranges)
    _orphans(row, said, out, older)
    if raw is not None:
        _against_log(row, raw, ranges)
    return row


def _at(row: StageRow, key: int) -> Position:
    return Position(row.topic_id, row.partition, *unpack(key))


def _outcomes(said: Said, clean: Marks) -> Marks:
    """Return every outcome of the partition as sorted marks; the second number is the outcome's entry, -1 = clean."""
    every = Marks()
    every.keys.extend(clean.keys)
    every.ids.extend(-1 for _ in clean.keys)
    every.keys.extend(said.keys)
    every.ids.extend(range(len(said.keys)))
    return every.sort()


def _groups(every: Marks, first: int) -> Iterator[tuple[int, list[int]]]:
    """Yield (offset, its items in order) from offset `first` on."""
    offset, items = -1, list[int]()
    for key in every.keys:
        at, item = unpack(key)
        if at < first:
            continue
        if at != offset:
            if items:
                yield offset, items
            offset, items = at, []
        items.append(item)
    if items:
        yield offset, items


def _positions(row: StageRow, said: Said, raw: Raw | None, out: Outputs, ranges: Ranges) -> None:
    """Every offset that was decided has outcomes, its items are 0..n-1 or those a redrive names, each once."""
    every = _outcomes(said, out.clean)
    expected = row.first
    for offset, items in _groups(every, row.first):
        if offset >= row.end:
            if (raw is None or offset >= raw.end) and not inside(offset, ranges.reused):
                row.findings.add("is clean, and no such record is in the raw topic", _at(row, pack(offset, items[0])))
            continue
        _without_outcome(row, expected, offset, ranges)
        expected = offset + 1
        if inside(offset, ranges.gone):
            row.findings.add("has an outcome and was written off as lost", _at(row, pack(offset, items[0])))
        elif not inside(offset, ranges.reused):
            _items(row, raw, offset, items)
    _without_outcome(row, expected, row.end, ranges)
    for key, entry in zip(every.keys, every.ids, strict=True):
        if pack(row.first, 0) <= key < pack(row.end, 0):
            name = Outcome.CLEAN if entry < 0 else said.outcome(entry)
            row.outcomes[name.value] = row.outcomes.get(name.value, 0) + 1


def _without_outcome(row: StageRow, start: int, end: int, ranges: Ranges) -> None:
    if end <= start:
        return
    for low, high in outside(start, end, ranges.gone):
        more = f" (and so on to offset {high - 1})" if high - low > 1 else ""
        row.findings.add(f"has no outcome{more}", _at(row, pack(low, 0)))


def _items(row: StageRow, raw: Raw | None, offset: int, items: list[int]) -> None:
    for before, item in pairwise(items):
        if before == item:
            row.findings.add(f"has {items.count(item)} outcomes", _at(row, pack(offset, item)))
            return
    if raw is None or offset < raw.low:
        return  # whether it is a redrive is not known any more
    named = raw.redrives.get(offset)
    if named is None:
        missing = next((n for n, item in enumerate(items) if n != item), None)
        if missing is not None:
            row.findings.add("has no outcome, later items of its delivery have", _at(row, pack(offset, missing)))
    elif frozenset(items) not in (named, _NOBODY):
        odd = min(named ^ frozenset(items))
        what = "was named by a redrive and has no outcome" if odd in named else "has an outcome no redrive asked for"
        row.findings.add(what, _at(row, pack(offset, odd)))


def _counts(row: StageRow, said: Said, out: Outputs, ranges: Ranges) -> None:
    """Compare clean items: those that each ledger record counts, those in the clean topic."""
    twice = list(ranges.reused)
    for first, following, clean in zip(said.firsts, said.nexts, said.cleans, strict=True):
        if first < row.first:
            continue
        if any(first < end and start < following for start, end in ranges.reused):
            twice.append((first, following))
            continue
        found = out.clean.count(first, following)
        if found != clean:
            row.findings.add(
                f"offsets {first} to {following - 1} have {clean} clean items in the ledger, {found} in the topic",
                _at(row, pack(first, 0)),
            )
    if twice and min(start for start, _ in twice) >= row.first:
        low, high = min(start for start, _ in twice), max(end for _, end in twice)
        covering = sum(
            clean for first, following, clean in zip(said.firsts, said.nexts, said.cleans, strict=True)
            if first >= low and following <= high
        )  # fmt: skip
        found = out.clean.count(low, high)
        if found != covering:
            row.findings.add(
                f"offsets {low} to {high - 1}, some used twice, have {covering} clean items in the ledger, "
                f"{found} in the topic",
                _at(row, pack(low, 0)),
            )


def _quarantine(row: StageRow, said: Said, out: Outputs, ranges: Ranges) -> None:
    """Compare quarantine topic and ledger; what a `resolved` record names must be clean."""
    ledger = Marks((key, mark) for key, mark, _ in said.others(Outcome.QUARANTINED)).sort()
    low, high = pack(max(row.first, out.quarantine_floor), 0), pack(row.end, 0)
    if out.quarantine_floor > row.first:
        row.notes.append(f"quarantined from offset {out.quarantine_floor} on")
    for key, listed, found in differences(ledger, out.failed):
        offset = unpack(key)[0]
        if not low <= key < high:
            if key >= high and found and offset >= row.end + row.pending and not inside(offset, ranges.reused):
                row.findings.add("is in the quarantine topic and not in the ledger", _at(row, key))
        elif not inside(offset, ranges.reused):
            row.findings.add(
                f"is {listed} times quarantined in the ledger, {found} times in the quarantine topic", _at(row, key)
            )
    for key in sorted(set(out.resolved_by)):
        if low <= key < high and not out.clean.count_at(key):
            row.findings.add("resolves a quarantined event and is not clean", _at(row, key))


def _orphans(row: StageRow, said: Said, out: Outputs, older: Sequence[Outputs]) -> None:
    """Every duplicate's first copy, while it is kept, is clean or quarantined under the same id."""
    places = (out, *older)
    oldest = max(row.first, *(max(place.floor, place.quarantine_floor) for place in places))
    left_out = 0
    for key, mark, of in said.others(Outcome.DUPLICATE):
        if unpack(key)[0] < row.first:
            continue
        if of == NOWHERE:
            row.findings.add("is a duplicate and names no first copy", _at(row, key))
        elif of == ELSEWHERE:
            row.findings.add("is a duplicate of an event in another partition", _at(row, key))
        elif any(place.clean.has(of, mark) or place.failed.has(of, mark) for place in places):
            continue
        elif unpack(of)[0] < oldest:
            left_out += 1
        else:
            offset, item = unpack(of)
            row.findings.add(
                f"is a duplicate, and its first copy at offset {offset}, item {item}, is neither clean nor quarantined "
                "under its id",
                _at(row, key),
            )
    if left_out:
        row.notes.append(f"{left_out} duplicates whose first copy is no longer kept")


def _against_log(row: StageRow, raw: Raw, ranges: Ranges) -> None:
    """Compare with the log: its holes were written off, and what was written off undecided is not in it."""
    if raw.end < row.end:
        row.notes.append(f"the raw log ends at {raw.end}: its tail is lost, and the stage has not seen it yet")
    for start, end in raw.missing:
        for low, high in outside(max(start, row.first), min(end, row.end), ranges.gone):
            if not inside(low, ranges.reused):
                row.findings.add(
                    f"offsets {low} to {high - 1} are not in the raw topic and were not written off",
                    _at(row, pack(low, 0)),
                )
    for start, end in ranges.gone:
        low, high = max(start, raw.low, row.first), min(end, raw.end, row.end)
        there = outside(low, high, raw.missing) if low < high else []
        if there:
            row.findings.add("was written off as lost and is in the raw topic", _at(row, pack(there[0][0], 0)))
