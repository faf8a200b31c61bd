"""A table's sum: clean events from its start = rows + not selected, discarded, replaced, expired, pending, skipped.

Lives here: the clean topic as columns, what of it a table must hold, and the comparison, each position exactly once.
Pure. Rules 17 to 19. Which rows a contract has discarded is known by number alone, per clean partition: as many events
must be missing. An upsert table says how many events have no row any more, or never had one: superseded, deleted,
tombstones; as many must be missing over all its topics. So must what retention has removed (aged.py).
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.wire.position import Position
from sinks.audit.aged import NO_DAY, Aged
from sinks.audit.marks import Marks, differences, pack, unpack
from sinks.audit.report import TableRow

Place = tuple[str, int]
"""(raw topic id, partition)."""
NEVER = 1 << 48
"""An offset past every one: nothing of it is kept."""


@dataclass(slots=True)
class Clean:
    """One clean partition in its own order: the record's offset, its event type's number, its item's mark, its day."""

    partition: int
    low: int = 0
    at: "array[int]" = field(default_factory=lambda: array("q"))
    kind: "array[int]" = field(default_factory=lambda: array("i"))
    place: "array[int]" = field(default_factory=lambda: array("i"))
    day: "array[int]" = field(default_factory=lambda: array("i"))
    marks: Marks = field(default_factory=Marks)
    _of_kind: "dict[int, array[int]] | None" = None

    def of_kind(self, number: int | None) -> "array[int]":
        """Return the places of one event type's events in these columns, ascending."""
        if self._of_kind is None:
            self._of_kind = {}
            for n, kind in enumerate(self.kind):
                self._of_kind.setdefault(kind, array("q")).append(n)
        return self._of_kind.get(-1 if number is None else number, array("q"))


@dataclass(slots=True)
class CleanTopic:
    """A clean topic: its id, partitions, and the lists behind their numbers."""

    name: str
    topic_id: str
    partitions: list[Clean] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    _numbers: dict[str | Place, int] = field(default_factory=dict)
    _where: dict[int, set[int]] = field(default_factory=dict)

    def add(self, clean: Clean, at: int, kind: str, place: Place, key: int, mark: int, day: int = NO_DAY) -> None:
        """Add one clean event; `day`: when it was received, in days since the epoch."""
        clean.at.append(at)
        clean.day.append(day)
        clean.kind.append(self._number(kind, self.kinds))
        number = self._number(place, self.places)
        clean.place.append(number)
        self._where.setdefault(number, set()).add(clean.partition)
        clean.marks.add(key, mark)

    def kind_number(self, kind: str) -> int | None:
        """Return the number of an event type; None: no event has it."""
        return self._numbers.get(kind)

    def of(self, topic_id: str, partition: int) -> Marks:
        """Return the events of one raw (topic id, partition), whichever clean partition they stand in, sorted."""
        found = Marks()
        number = self._numbers.get((topic_id, partition))
        for at in () if number is None else self._where[number]:
            clean = self.partitions[at]
            for n, place in enumerate(clean.place):
                if place == number:
                    found.add(clean.marks.keys[n], clean.marks.ids[n])
        return found.sort()

    def floor(self, topic_id: str, partition: int) -> int:
        """Return the first raw offset whose clean events are all kept: 0 unless retention has removed some."""
        clean = next((one for one in self.partitions if one.partition == partition), None)
        if clean is None or clean.low == 0:
            return 0
        number = self._numbers.get((topic_id, partition))
        if number is None or number not in clean.place:
            return NEVER
        if clean.place[0] != number:
            return 0  # the topic was made anew since, so all of it is kept
        return unpack(clean.marks.keys[0])[0] + 1  # the rest of that delivery may be gone

    def _number(self, value: Any, values: list[Any]) -> int:  # noqa: ANN401 texts or places
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = len(values)
            values.append(value)
        return number


@dataclass(frozen=True, slots=True)
class Table:
    """One table at one snapshot: next offset and start by clean (topic id, partition), rows by raw place (sorted).

    `start` of a partition None: it is not known, the first row is taken for it. `skipped`: clean offsets passed over by
    acceptLoss. `discarded`: how many events the contract took no row of, by clean place. `definition_changed`: other
    event types may have been selected earlier. `only`: a split stream's table holds this type alone; `later`: a type's
    events from these offsets on are in another table of the stream (sinks/split), and counted there. `aged`: of a table
    that retention has shortened.
    """

    tenant: str
    stream: str
    name: str
    offsets: Mapping[Place, int]
    start: Callable[[str, int], int | None]
    selects: Callable[[str], bool]
    rows: Mapping[Place, Marks]
    skipped: Mapping[Place, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    definition_changed: bool = False
    discarded: Mapping[Place, int] = field(default_factory=dict)
    only: str | None = None
    later: Mapping[str, Mapping[Place, int]] = field(default_factory=dict)
    replaced: int | None = None
    aged: Aged | None = None


@dataclass(slots=True)
class Missing:
    """Events without a row: how many, and the first. `whole`: every event that may be missing was looked at."""

    count: int = 0
    first: Position | None = None
    whole: bool = True

    def add(self, at: Position, times: int) -> None:
        """Note one."""
        self.count += times
        self.first = at if self.first is None else min(self.first, at)


def check(
    row: TableRow, table: Table, topic: CleanTopic, floors: Mapping[Place, int], absent: Missing | None = None
) -> None:
    """Compare the table with one of its topics and add what is found to `row`.

    `floors`: first raw offset looked at, by raw place (rows below it have no clean event to be compared with).
    `absent` gathers what is missing in an upsert table, for `settle`; it says of all topics together why.
    """
    expected: dict[Place, Marks] = {place: Marks() for place in topic.places}
    selected = [table.selects(kind) for kind in topic.kinds]
    for clean in topic.partitions:
        _expect(row, table, topic, clean, selected, expected, floors)
    missing = {part: Missing() for topic_id, part in table.discarded if topic_id == topic.topic_id and absent is None}
    if any(floors.get(place, 0) for place in topic.places):
        for one in (absent, table.aged):
            if one is not None:
                one.whole = False
    for place in sorted(expected):
        marks = expected[place].sort()
        have = table.rows.get(place, Marks())
        floor = pack(floors.get(place, 0), 0)
        row.rows += len(have) - bisect_left(have.keys, floor)
        older = bisect_left(have.keys, floor)
        if older:
            row.notes.append(f"{older} rows of {place[0]}/{place[1]} are older than what is looked at")
        _compare(row, table, place, marks, have, floor, absent or missing.get(place[1]))
    for partition, found in missing.items():
        whole = not any(floors.get(place, 0) for place in topic.places if place[1] == partition)
        whole = whole and table.aged is None  # some of what it has discarded may be too old to be missed
        _discarded(row, table, found, table.discarded[topic.topic_id, partition], whole=whole)


def _expect(
    row: TableRow,
    table: Table,
    topic: CleanTopic,
    clean: Clean,
    selected: list[bool],
    expected: dict[Place, Marks],
    floors: Mapping[Place, int],
) -> None:
    """Sort a clean partition's events into rows to be, not selected, pending and skipped."""
    own = (topic.topic_id, clean.partition)
    following = table.offsets.get(own, 0)
    start = table.start(*own)
    if start is None:
        start = _first_row(table, topic, clean)
        if table.aged is not None:
            table.aged.whole = False
        row.notes.append(f"start of partition {clean.partition} unknown: from its first row on")
    skipped = table.skipped.get(own, ())
    until = [table.later[kind].get(own, 0) if kind in table.later else NEVER for kind in topic.kinds]
    first = bisect_left(clean.at, start)
    for n in _mine(table, topic, clean, first):
        at, place = clean.at[n], topic.places[clean.place[n]]
        if at >= until[clean.kind[n]]:
            continue
        if unpack(clean.marks.keys[n])[0] < floors.get(place, 0):
            continue
        row.clean += 1
        if at >= following:
            row.pending += 1
        elif any(low <= at < high for low, high in skipped):
            row.skipped += 1
        elif selected[clean.kind[n]]:
            expected[place].add(clean.marks.keys[n], clean.marks.ids[n])
            if table.aged is not None:
                table.aged.meet(place, clean.marks.keys[n], clean.day[n])
        else:
            row.not_selected += 1


def _mine(table: Table, topic: CleanTopic, clean: Clean, first: int) -> Iterable[int]:
    """Return the places of events that a table is asked for, from `first` on."""
    if table.only is None:
        return range(first, len(clean.at))
    found = clean.of_kind(topic.kind_number(table.only))
    return found[bisect_left(found, first) :]


def _first_row(table: Table, topic: CleanTopic, clean: Clean) -> int:
    for n, place in enumerate(clean.place):
        rows = table.rows.get(topic.places[place])
        if rows is not None and rows.count_at(clean.marks.keys[n]):
            return clean.at[n]
    return table.offsets.get((topic.topic_id, clean.partition), 0)


def settle(row: TableRow, table: Table, absent: Missing) -> None:
    """Compare all that is missing in an upsert table with what it says of why."""
    gone = sum(table.discarded.values())
    said = gone + (table.replaced or 0)
    whole = absent.whole and not table.definition_changed
    if absent.count > said or (whole and absent.count < said):
        what = f"{absent.count} events are no rows of {table.name}, which says so of {said} (replaced or discarded)"
        row.findings.add(what, absent.first if absent.count > said else None)
    row.discarded += min(absent.count, gone)
    row.replaced += max(0, min(absent.count, said) - gone)


def _discarded(row: TableRow, table: Table, missing: Missing, said: int, *, whole: bool) -> None:
    """Compare events without a row with the number that the contract has discarded, or a part of them."""
    if missing.count > said or (whole and missing.count < said):
        what = f"{missing.count} events are no rows of {table.name}, its contract has discarded {said}; this"
        if missing.count:
            row.findings.add(f"{what} is the first", missing.first)
        else:
            row.findings.add(f"no event is missing in {table.name}, its contract has discarded {said}")
    row.discarded += min(missing.count, said)


def _compare(
    row: TableRow,
    table: Table,
    place: Place,
    wanted: Marks,
    have: Marks,
    floor: int,
    missing: Missing | None,
) -> None:
    """Compare rows with events; `missing` takes events without a row where the contract may have discarded them."""
    changed = 0
    for key, times, found in differences(wanted, have):
        if key < floor:
            continue
        at = Position(*place, *unpack(key))
        if table.definition_changed and (times == 0 or found == 0):
            changed += 1
        elif found == 0 and table.aged is not None and table.aged.holds(place, key):
            table.aged.add(at, times)
        elif missing is not None and found == 0:
            missing.add(at, times)
        elif found > times == 0:
            row.findings.add(f"is a row of {table.name} and no clean event that it should hold", at)
        else:
            row.findings.add(f"is {times} times clean and {found} rows of {table.name}", at)
    if changed:
        row.notes.append(f"{changed} events were selected or not by an earlier definition")


def rest(row: TableRow, table: Table, compared: Collection[Place], whole: Collection[Place]) -> None:
    """Look at rows of places that no clean event had; `whole`: places of which every clean event is kept."""
    for place in sorted(set(table.rows) - set(compared)):
        have = table.rows[place]
        if place in whole:
            row.rows += len(have)
            what = f"is a row of {table.name} and no clean event that it should hold"
            row.findings.add(what, Position(*place, *unpack(have.keys[0])))
        else:
            row.notes.append(f"{len(have)} rows of {place[0]}/{place[1]}, of which no clean event is kept")
