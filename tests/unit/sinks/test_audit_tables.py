"""The table's and the edge's sums, columns of positions, and which finding is the first."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from schemas.wire.position import Position
from sinks.audit import edge
from sinks.audit.aged import DAY_MS, NO_DAY, Aged, Days
from sinks.audit.edge import Counted
from sinks.audit.marks import MAX_ITEM, Marks, differences, of_id, pack, unpack
from sinks.audit.reading import CleanReading
from sinks.audit.report import EdgeRow, Report, StageRow, TableRow
from sinks.audit.tables import NEVER, Clean, CleanTopic, Missing, Place, Table, check, rest, settle
from tests.integration.sinks.world import wire_event

RAW, EVENTS = "RAWTOPICIDRAWTOPICID01", "CLEANTOPICIDCLEANTOPI1"
OWN, PLACE = (EVENTS, 0), (RAW, 0)


@dataclass
class Case:
    """Five clean events, one a record; the table stands before the fifth and selects `order` only."""

    events: list[tuple[int, str, str]] = field(
        default_factory=lambda: [(n, "ping" if n == 2 else "order", "abcde"[n]) for n in range(5)]
    )
    rows: list[tuple[int, str]] = field(default_factory=lambda: [(0, "a"), (1, "b"), (3, "d")])
    following: int = 4
    start: int | None = 0
    skipped: dict[Place, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    changed: bool = False
    discarded: dict[Place, int] = field(default_factory=dict)
    floors: dict[Place, int] = field(default_factory=dict)
    low: int = 0
    replaced: int | None = None
    days: tuple[int, ...] = (NO_DAY,) * 5
    aged: Aged | None = None

    def topic(self) -> CleanTopic:
        topic = CleanTopic("acme.event.shop", EVENTS, [Clean(0, self.low)])
        for at, kind, event_id in self.events:
            topic.add(topic.partitions[0], at, kind, PLACE, pack(at, 0), of_id(event_id), self.days[at])
        return topic

    def table(self) -> Table:
        marks = Marks((pack(at, 0), of_id(event_id)) for at, event_id in self.rows).sort()
        return Table(
            "acme", "orders", "acme.orders", {OWN: self.following}, lambda *_: self.start, lambda kind: kind == "order",
            {PLACE: marks}, self.skipped, definition_changed=self.changed, discarded=self.discarded,
            replaced=self.replaced, aged=self.aged,
        )  # fmt: skip

    def check(self) -> TableRow:
        row = TableRow("acme", "orders", "acme.orders")
        table, absent = self.table(), None if self.replaced is None else Missing()
        check(row, table, self.topic(), self.floors, absent)
        if absent is not None:
            settle(row, table, absent)
        if self.aged is not None:
            self.aged.settle(row, self.discarded, changed=self.changed)
        return row


@pytest.mark.parametrize(
    ("said", "rows", "wrong"),
    [
        (1, [(0, "a"), (3, "d")], ""),
        (1, [(0, "a"), (1, "b"), (3, "d")], "acme.orders"),
        (1, [(0, "a")], "first"),
        (1, [(0, "a"), (3, "d"), (3, "d")], "2 rows"),
        (0, [(0, "a"), (3, "d")], "0 rows"),
    ],
)
def test_as_many_events_are_no_rows_as_the_contract_has_discarded(
    said: int, rows: list[tuple[int, str]], wrong: str
) -> None:
    row = Case(rows=rows, discarded={OWN: said} if said else {}).check()
    assert (row.findings.count > 0) == bool(wrong)
    if wrong:
        assert wrong in row.findings.first[0].what
    else:
        assert row.clean == row.rows + row.not_selected + row.discarded + row.pending + row.skipped == 5


def test_of_what_was_discarded_before_the_first_event_looked_at_nothing_is_known() -> None:
    case = Case(rows=[(0, "a"), (3, "d")], discarded={OWN: 3}, floors={PLACE: 1})
    assert (case.check().discarded, case.check().findings.count) == (1, 0)
    assert Case(rows=[(0, "a")], discarded={OWN: 1}, floors={PLACE: 1}).check().findings.count == 1


def test_an_honest_table_holds() -> None:
    row = Case().check()
    assert row.findings.count == 0
    assert (row.clean, row.rows, row.not_selected, row.pending, row.skipped) == (5, 3, 1, 1, 0)
    assert row.clean == row.rows + row.not_selected + row.discarded + row.pending + row.skipped


def _missing(case: Case) -> None:
    case.rows.remove((1, "b"))


def _doubled(case: Case) -> None:
    case.rows.append((3, "d"))


def _not_selected(case: Case) -> None:
    case.rows.append((2, "c"))


def _ahead_of_itself(case: Case) -> None:
    case.rows.append((4, "e"))


def _another_id(case: Case) -> None:
    case.rows[0] = (0, "z")


def _before_its_start(case: Case) -> None:
    case.start = 1


@pytest.mark.parametrize(
    ("mutate", "at", "what"),
    [
        (_missing, 1, "is 1 times clean and 0 rows of acme.orders"),
        (_doubled, 3, "is 1 times clean and 2 rows of acme.orders"),
        (_not_selected, 2, "is a row of acme.orders and no clean event that it should hold"),
        (_ahead_of_itself, 4, "no clean event that it should hold"),
        (_another_id, 0, "acme.orders"),
        (_before_its_start, 0, "no clean event that it should hold"),
    ],
)
def test_a_broken_table_is_found_with_its_position(mutate: Callable[[Case], None], at: int, what: str) -> None:
    case = Case()
    mutate(case)
    found = case.check().findings.in_order()
    assert found[0].position == Position(RAW, 0, at, 0)
    assert what in found[0].what


def test_offsets_passed_over_by_accept_loss_are_skipped() -> None:
    case = Case(skipped={OWN: ((1, 2),)})
    _missing(case)
    row = case.check()
    assert (row.findings.count, row.skipped) == (0, 1)


def test_an_unknown_start_is_the_first_row() -> None:
    case = Case(start=None)
    case.rows.remove((0, "a"))
    row = case.check()
    assert (row.findings.count, row.clean) == (0, 4)
    assert row.notes == ["start of partition 0 unknown: from its first row on"]


def test_a_changed_definition_is_told_and_doubles_are_still_found() -> None:
    case = Case(changed=True)
    _missing(case)
    row = case.check()
    assert row.findings.count == 0
    assert "1 events were selected or not by an earlier definition" in row.notes
    _doubled(case)
    assert case.check().findings.count == 1


def test_rows_whose_clean_events_expired_are_left_out() -> None:
    case = Case(low=3, floors={PLACE: 3})
    del case.events[:3]
    row = case.check()
    assert row.findings.count == 0
    assert row.notes == [f"2 rows of {RAW}/0 are older than what is looked at"]


def test_rows_of_a_place_without_clean_events_are_found_while_all_are_kept() -> None:
    row, table = TableRow("acme", "orders", "acme.orders"), Case().table()
    rest(row, table, set(), {PLACE})
    assert row.findings.in_order()[0].position == Position(RAW, 0, 0, 0)
    row = TableRow("acme", "orders", "acme.orders")
    rest(row, table, set(), set())
    assert (row.findings.count, len(row.notes)) == (0, 1)


def test_the_floor_follows_the_first_kept_clean_event() -> None:
    assert Case().topic().floor(*PLACE) == 0
    cut = Case(low=3, events=[(3, "order", "d")]).topic()
    assert cut.floor(*PLACE) == 4
    assert cut.floor("ANOTHERTOPICANOTHERTO1", 0) == NEVER


@pytest.mark.parametrize(
    ("accepted", "stored", "lost", "left_out", "broken", "note"),
    [
        (5, 5, 0, None, False, ""),
        (5, 7, 0, None, False, "2 stored and not counted"),
        (5, 4, 0, None, True, ""),
        (5, 4, 1, None, False, "1 answered 2xx are in offsets written off as lost"),
        (5, 0, 0, "retention has removed records", False, "not compared: retention has removed records"),
    ],
)
def test_counted_2xx_are_never_more_than_records(
    accepted: int, stored: int, lost: int, left_out: str | None, broken: bool, note: str
) -> None:
    row = edge.check(Counted("s", "acme", "shop", "acme.webhook.shop", accepted), stored, lost, left_out)
    assert bool(row.findings.count) is broken
    assert any(note in told for told in row.notes) if note else not row.notes


def test_the_first_finding_is_one_with_a_position() -> None:
    report = Report([EdgeRow("acme", "shop", "t")], [StageRow("t", RAW, 0)], [TableRow("acme", "o", "t")])
    assert (report.broken, report.first()) == (0, None)
    report.edge[0].findings.add("more answered than stored")
    report.stage[0].findings.add("later", Position(RAW, 0, 9, 0))
    report.stage[0].findings.add("earlier", Position(RAW, 0, 3, 1))
    first = report.first()
    assert first is not None
    assert (report.broken, str(first)) == (3, f"{RAW}/0/3/1: earlier")


def test_marks_sort_and_differ_like_lists() -> None:
    rng = Random(1)
    one = [(rng.randrange(50), rng.randrange(-3, 3)) for _ in range(400)]
    other = [(rng.randrange(50), rng.randrange(-3, 3)) for _ in range(400)]
    left, right = Marks(one).sort(), Marks(other).sort()
    assert list(zip(left.keys, left.ids, strict=True)) == sorted(one)
    wanted = [
        (pair[0], one.count(pair), other.count(pair))
        for pair in sorted({*one, *other})
        if one.count(pair) != other.count(pair)
    ]
    assert list(differences(left, right)) == wanted
    assert all(left.has(*pair) for pair in one)
    assert not left.has(51, 0)


def test_packed_positions_sort_as_positions_do() -> None:
    pairs = [(0, 0), (0, MAX_ITEM), (1, 0), (1 << 45, 3)]
    assert [unpack(pack(*pair)) for pair in pairs] == pairs
    assert sorted(pack(*pair) for pair in pairs) == [pack(*pair) for pair in pairs]


@pytest.mark.parametrize(
    ("rows", "replaced", "discarded", "wrong"),
    [
        ([(1, "b"), (3, "d")], 1, {}, ""),
        ([(3, "d")], 1, {OWN: 1}, ""),
        ([(0, "a"), (1, "b"), (3, "d")], 0, {}, ""),
        ([(3, "d")], 1, {}, "2 events are no rows of acme.orders, which says so of 1"),
        ([(0, "a"), (1, "b"), (3, "d")], 1, {}, "0 events are no rows of acme.orders, which says so of 1"),
        ([(1, "b"), (1, "b"), (3, "d")], 1, {}, "2 rows"),
        ([(1, "b"), (2, "c"), (3, "d")], 1, {}, "no clean event that it should hold"),
    ],
)
def test_as_many_events_have_no_row_in_an_upsert_table_as_it_says(
    rows: list[tuple[int, str]], replaced: int, discarded: dict[Place, int], wrong: str
) -> None:
    row = Case(rows=rows, replaced=replaced, discarded=discarded).check()
    found = [finding.what for finding in row.findings.first]
    if wrong:
        assert any(wrong in what for what in found), found
    else:
        assert found == []
        assert (row.replaced, row.discarded) == (replaced, sum(discarded.values()))
        assert row.clean == row.rows + row.not_selected + row.discarded + row.replaced + row.pending + row.skipped == 5


def test_of_what_an_upsert_table_replaced_before_the_first_event_looked_at_nothing_is_known() -> None:
    kept = Case(rows=[(3, "d")], replaced=3, floors={PLACE: 1}).check()
    assert (kept.replaced, kept.findings.count) == (1, 0)
    assert Case(rows=[], replaced=1, floors={PLACE: 1}).check().findings.count == 1


@pytest.mark.parametrize(
    ("rows", "removed", "discarded", "wrong"),
    [
        ([(1, "b"), (3, "d")], 1, {}, ""),
        ([(3, "d")], 2, {}, ""),
        ([(0, "a"), (1, "b"), (3, "d")], 0, {}, ""),
        ([(3, "d")], 1, {OWN: 1}, ""),
        ([(3, "d")], 1, {}, "2 events from before retentionDays are no rows of acme.orders, which says so of 1"),
        ([(1, "b"), (3, "d")], 2, {}, "1 events from before retentionDays are no rows of acme.orders"),
        ([(0, "a"), (1, "b")], 1, {}, "is 1 times clean and 0 rows"),
        ([(1, "b")], 2, {}, "is 1 times clean and 0 rows"),
        ([(1, "b"), (1, "b"), (3, "d")], 1, {}, "2 rows"),
        ([(0, "a"), (1, "b")], 0, {OWN: 1}, ""),
        ([(0, "a")], 0, {OWN: 1}, "1 events from before"),
    ],
)
def test_events_from_before_the_cut_have_a_row_or_none_and_younger_ones_one(
    rows: list[tuple[int, str]], removed: int, discarded: dict[Place, int], wrong: str
) -> None:
    """The first two events are older than the table's retention; the contract may have discarded some."""
    aged = Aged(10 * DAY_MS, removed)
    row = Case(rows=rows, days=(8, 9, 9, 10, 11), aged=aged, discarded=discarded).check()
    found = [finding.what for finding in row.findings.first]
    if wrong:
        assert any(wrong in what for what in found), found
    else:
        assert found == []
        assert (row.expired, row.discarded) == (removed, sum(discarded.values()))
        assert row.clean == row.rows + row.not_selected + row.discarded + row.expired + row.pending + row.skipped == 5


def test_what_retention_took_before_the_first_event_looked_at_may_be_more() -> None:
    def of(**changes: Any) -> TableRow:
        return Case(days=(8, 9, 9, 10, 11), aged=Aged(10 * DAY_MS, 7), **changes).check()

    assert of(rows=[(3, "d")], floors={PLACE: 1}).findings.count == 0
    assert of(rows=[(3, "d")], changed=True).findings.count == 0
    assert of(rows=[(3, "d")]).findings.count == 1
    assert of(rows=[(1, "b")], floors={PLACE: 1}).findings.count == 1, "a younger row is missing"


def test_an_event_is_as_old_as_its_day_in_utc() -> None:
    days = Days()
    texts = ("1970-01-11T00:00:00.000Z", "1970-01-11T23:59:59Z", "1970-01-11T00:30:00+02:00", "", "soon", "soonZ")
    assert [days.of(text) for text in texts] == [10, 10, 9, NO_DAY, NO_DAY, NO_DAY]
    reading = CleanReading(CleanTopic("acme.event.shop", EVENTS))
    reading.cut([0])
    reading.take(0, 0, wire_event(0, b"{}", at_ms=10 * DAY_MS))
    assert list(reading.topic.partitions[0].day) == [10]
