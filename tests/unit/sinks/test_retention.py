"""Rows older than `retentionDays` go, by whole files; the table says how many, and from when on none is gone."""

from collections.abc import Callable
from typing import Any

import pytest
from pyiceberg.manifest import DataFile
from pyiceberg.table.snapshots import Operation

from schemas.definitions.cuts import Cut
from schemas.definitions.stream import StreamDefinition
from schemas.definitions.view import StreamView
from sinks.audit.reading import CleanReading
from sinks.audit.report import TableRow
from sinks.audit.tables import CleanTopic, check
from sinks.fleet import of_stream
from sinks.read.marks import open_tables
from sinks.table import kept, state
from sinks.table.kept import Retained
from sinks.table.partitions import Arrangement
from sinks.table.schema import name_in
from sinks.tail import retention_of
from sinks.upkeep import compact, retain
from sinks.upkeep.care import Care
from sinks.upkeep.keeper import Keeper
from sinks.upkeep.retain import DAY_MS, Ages, Retention
from tests.integration.sinks.world import wire_event
from tests.unit.sinks.ground import NAME, STREAM, TOPIC, Ground

NOW_MS = 1_700_000_000_000
"""Where the clock stands: 22:13 in the evening."""
TODAY_MS = NOW_MS // DAY_MS * DAY_MS
DAYS = 2
DEFINITION = StreamDefinition.model_validate(
    {"name": "orders", "topics": [TOPIC], "targetTable": "orders", "retentionDays": DAYS}
)
VIEW = StreamView(STREAM, "acme", "orders", 1, DEFINITION, "running", 1, accept_loss=False, frozen=False)


def put(ground: Ground, first: int, count: int, days_ago: int) -> None:
    """Write events that were received so many days ago."""
    for n in range(first, first + count):
        ground.log.put(wire_event(n, b'{"n":%d}' % n, at_ms=NOW_MS - days_ago * DAY_MS + n))


def written(ground: Ground, **changes: Any) -> Ground:
    """A table of four days: five rows of each, in a file of its own by default."""
    ground.log.make(TOPIC)
    for at, days_ago in enumerate((5, 3, 2, 0)):
        put(ground, at * 5, 5, days_ago)
    ground.run(**changes)
    return ground


def care(ground: Ground, days: int = DAYS, grace_s: float = 0) -> tuple[Keeper, Care]:
    keeper = Keeper(ground.catalog, ground.clock, lambda: 0.5, grace_s)
    schema = ground.table().schema()
    column = schema.find_field(name_in(schema, "received_at"))
    return keeper, keeper.open(NAME, STREAM, retention=Retention(days, column.name, column.field_id))


def looked(ground: Ground, days: int = DAYS) -> Care:
    keeper, one = care(ground, days)
    keeper.look(one)
    return one


def said(ground: Ground) -> Retained:
    return kept.retained(ground.table().metadata, STREAM)


def test_days_that_are_over_go_and_the_table_says_so(ground: Ground) -> None:
    before = written(ground).table()
    one = looked(ground)
    after = ground.table()
    assert (one.report.error, one.report.removed_rows, one.report.files) == (None, 10, 2)
    assert ground.numbers() == list(range(10, 20))
    assert said(ground) == Retained(TODAY_MS - DAYS * DAY_MS, 10)
    head = after.current_snapshot()
    assert head is not None
    assert head.summary is not None
    assert head.summary.operation is Operation.DELETE
    facts = head.summary.additional_properties
    assert (facts["total-records"], facts["deleted-records"], facts[state.UPKEEP]) == ("10", "10", "retention")
    assert state.offsets(after.metadata, STREAM) == state.offsets(before.metadata, STREAM)
    assert looked(ground).report.removed_rows == 10
    assert len(ground.table().snapshots()) == len(after.snapshots()), "there is nothing more to remove"


def test_the_last_row_before_midnight_goes_and_the_first_one_after_it_stays(ground: Ground) -> None:
    ground.log.make(TOPIC)
    cut = TODAY_MS - DAYS * DAY_MS
    for n, at_ms in enumerate((cut - 1, cut)):
        ground.log.put(wire_event(n, b'{"n":%d}' % n, at_ms=at_ms))
    ground.run()
    looked(ground)
    assert ground.numbers() == [1]


def test_without_a_cut_by_time_a_file_stays_until_all_of_it_is_old(ground: Ground) -> None:
    ground.per_poll = 20
    written(ground, arrangement=Arrangement((Cut("bucket", "event_id", 1),)))
    assert looked(ground).report.removed_rows == 0
    assert ground.numbers() == list(range(20))
    ground.clock.advance((DAYS + 1) * DAY_MS / 1000)
    assert looked(ground).report.removed_rows == 20
    assert ground.numbers() == []


def test_what_is_gone_stays_counted_over_commits_compaction_and_rollback(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compact, "MIN_INPUTS", 4)
    written(ground)
    looked(ground)
    first = ground.table().current_snapshot()
    put(ground, 20, 15, 0)
    ground.run()
    looked(ground)  # joins four
    assert said(ground) == Retained(TODAY_MS - DAYS * DAY_MS, 10)
    put(ground, 35, 5, 9)  # what comes late and is too old goes like the rest
    ground.run()
    assert looked(ground).report.removed_rows == 15
    assert ground.table().metadata.properties[kept.RETAINED + STREAM] == said(ground).text()
    assert ground.numbers() == list(range(10, 35))
    assert first is not None
    assert first.parent_snapshot_id is not None
    with ground.table().manage_snapshots() as change:
        change.set_current_snapshot(first.parent_snapshot_id)
    assert (said(ground), ground.numbers()) == (Retained(), list(range(20))), "the rows are back"
    ground.run()
    assert looked(ground).report.removed_rows == 15
    assert ground.numbers() == list(range(10, 35))


def test_more_days_and_a_clock_that_goes_back_bring_nothing_back(ground: Ground) -> None:
    written(ground)
    looked(ground)
    had = said(ground)
    assert looked(ground, days=30).report.removed_rows == 10
    ground.clock.advance(-30 * 86_400)
    put(ground, 20, 5, 100)
    ground.run()
    assert looked(ground).report.removed_rows == 15
    assert said(ground) == Retained(had.before_ms, 15)
    assert ground.numbers() == list(range(10, 20))


def test_a_look_removes_so_many_files_the_oldest_first(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retain, "MOST_FILES", 1)
    keeper, one = care(written(ground))
    left = []
    for _look in range(3):
        keeper.look(one)
        left.append(ground.numbers()[0])
    assert left == [5, 10, 10]


def between(ground: Ground, act: Callable[[Callable[[], Any]], Any]) -> None:
    """Let something else happen around upkeep's first commit."""
    real, left = ground.catalog.commit_table, [1]

    def commit_table(*args: Any) -> Any:
        if left[0]:
            left[0] -= 1
            return act(lambda: real(*args))
        return real(*args)

    patched: Any = ground.catalog
    patched.commit_table = commit_table


def _append(ground: Ground, commit: Callable[[], Any]) -> Any:
    ground.run()
    return commit()


def _other(ground: Ground, commit: Callable[[], Any]) -> Any:
    looked(ground)  # another process removes the same
    return commit()


def _some(ground: Ground, commit: Callable[[], Any]) -> Any:
    looked(ground, days=4)  # another process removes a part of it
    return commit()


def _lost(_ground: Ground, commit: Callable[[], Any]) -> Any:
    commit()
    raise OSError("lost")


@pytest.mark.parametrize("act", [_append, _other, _some, _lost])
def test_each_row_is_counted_once_whatever_happens_to_the_commit(
    ground: Ground, act: Callable[[Ground, Callable[[], Any]], Any]
) -> None:
    written(ground)
    keeper, one = care(ground)
    put(ground, 20, 5, 0)
    between(ground, lambda commit: act(ground, commit))
    keeper.look(one)
    assert (one.report.error is None) == (act is not _some)
    looked(ground)
    ground.run()
    assert ground.numbers() == list(range(10, 25))
    assert said(ground).rows == 10


def test_a_renamed_column_is_known_and_a_file_that_does_not_say_its_age_stays(ground: Ground) -> None:
    written(ground)
    put(ground, 20, 5, 5)
    with ground.table().transaction() as change:
        change.set_properties({"write.metadata.metrics.column.received_at": "none"})
    ground.run()
    keeper, one = care(ground)
    with ground.table().update_schema() as schema:
        schema.rename_column("received_at", "arrived")
    keeper.look(one)
    assert (one.report.error, ground.numbers()) == (None, list(range(10, 25)))


def test_nothing_is_removed_from_anothers_table_or_one_that_is_given_up(ground: Ground) -> None:
    keeper, one = care(written(ground))
    keeper.close(one)
    keeper.look(one)
    with ground.table().transaction() as change:
        change.set_properties({state.OWNER: "dropped:stream-1"})
    looked(ground)
    assert ground.numbers() == list(range(20))


def test_a_stream_says_how_long_and_its_status_how_many(ground: Ground) -> None:
    keeper = ground.upkeep = Keeper(ground.catalog, ground.clock, lambda: 0.5)
    ground.layout = "flat"
    told: list[int] = []

    def look() -> None:
        if (due := keeper.due()) is not None and ground.tail is not None:
            keeper.look(due)
            report = ground.tail.status().upkeep
            assert report is not None
            told.append(report.removed_rows)

    ground.meanwhile = look
    written(ground, retention_days=DAYS, until=lambda: bool(told))
    assert told == [10]
    column = ground.table().schema().find_field("_hb_received_at")
    tail = ground.tail
    assert tail is not None
    assert retention_of(tail.spec, tail._layout) == Retention(DAYS, column.name, column.field_id)


def audited(ground: Ground) -> TableRow:
    """Audit the table against the whole clean topic."""
    reading = CleanReading(CleanTopic(TOPIC, "TOPICID1"))
    reading.cut([0])
    for offset, value in enumerate(ground.log.topics[TOPIC][1][0]):
        reading.take(0, offset, value)
    one = open_tables(ground.reader, VIEW, changed=False)[0]
    check(one.row, one.table(lambda *_: 0, lambda *_: None), reading.topic, {}, one.absent)
    one.looked += 1
    one.settle()
    return one.row


def test_the_audit_takes_what_retention_removed_and_nothing_else(ground: Ground) -> None:
    written(ground)
    looked(ground)
    row = audited(ground)
    assert (row.clean, row.rows, row.expired, row.findings.count) == (20, 10, 10, 0)
    ground.table().delete("payload.n == 12")
    found = audited(ground).findings
    assert [(one.position.offset, one.what) for one in found.first if one.position] == [
        (12, "is 1 times clean and 0 rows of acme.orders")
    ]
    assert found.count == 1


def test_a_streams_definition_says_it_to_its_writer() -> None:
    assert of_stream(VIEW).retention_days == DAYS


def test_a_file_with_rows_of_no_time_stays() -> None:
    def last(nulls: dict[int, int]) -> int | None:
        file = DataFile.from_args(upper_bounds={2: (9).to_bytes(8, "little")}, null_value_counts=nulls)
        return Ages(_columns=frozenset({2, 3}))._last(file)

    assert [last({2: 0}), last({2: 1}), last({}), last({2: 0, 3: 4})] == [9, None, None, 9]
