"""Table advanced: every snapshot of ours is told, at least once, whatever dies or is away (rule 22)."""

import uuid
from pathlib import Path

import pyarrow as pa
import pytest

from sinks.table import advanced, snapshot
from sinks.table.advanced import Book
from tests.unit.sinks.ground import NAME, STREAM, TOPIC, Ground
from tests.unit.sinks.told import ToldFile


@pytest.fixture
def told(ground: Ground, tmp_path: Path) -> ToldFile:
    made = ground.advances = ToldFile(tmp_path / "told")
    ground.log.make(TOPIC)
    return made


def test_each_commit_is_told_once_with_what_it_did(ground: Ground, told: ToldFile) -> None:
    ground.log.events(0, 5)
    ground.log.events(5, 3)
    ground.run()
    metadata = ground.table().metadata
    head = metadata.current_snapshot()
    assert head is not None
    first, second = told.told()
    assert (first.sequence_number, second.sequence_number) == (1, 2)
    assert (second.rows, second.added_rows) == (8, 3)
    assert second.snapshot_id == head.snapshot_id
    assert second.committed_at_ms == head.timestamp_ms
    assert (second.tenant_id, second.stream_id, second.namespace, second.table) == ("acme", STREAM, *NAME)
    assert second.id == str(uuid.uuid5(metadata.table_uuid, "2"))
    newest = max(ground.table().scan().to_arrow()["event_time"].to_pylist())
    assert second.newest_event_time_ms == round(newest.timestamp() * 1000)


def test_late_events_do_not_take_the_newest_event_time_back(ground: Ground, told: ToldFile) -> None:
    ground.log.events(5, 5)
    ground.log.events(0, 5)
    ground.run()
    first, second = told.told()
    assert second.newest_event_time_ms == first.newest_event_time_ms == 1_700_000_000_009


def test_a_new_owner_tells_the_snapshots_that_are_there_again(ground: Ground, told: ToldFile) -> None:
    ground.log.events(0, 5)
    ground.run()
    ground.log.events(5, 5)
    ground.run()
    assert [one.sequence_number for one in told.told()] == [1, 1, 2]
    assert len({one.id for one in told.told()}) == 2
    assert not told.books, "a table that is left is no longer sent from"


def test_one_owner_tells_nothing_twice(ground: Ground, told: ToldFile) -> None:
    """Not even when its session ends and begins anew, as it does here when the table is rolled back."""
    ground.log.events(0, 5)
    ground.log.events(5, 5)
    rolled: list[int] = []

    def meanwhile() -> None:
        if ground.drained() and not rolled:
            table = ground.reader.load_table(NAME)
            rolled.append(table.metadata.snapshots[0].snapshot_id)
            table.manage_snapshots().rollback_to_snapshot(rolled[0]).commit()

    ground.meanwhile, ground.most_s, ground.step_s = meanwhile, 300.0, 10.0
    ground.run(until=lambda: bool(rolled) and ground.drained())
    assert ground.numbers() == list(range(10))
    assert [one.sequence_number for one in told.told()] == [1, 2, 3]


def test_kafka_away_delays_no_commit_and_what_is_not_told_does_not_expire(
    ground: Ground, told: ToldFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "EXPIRE_AT", 4)
    monkeypatch.setattr(snapshot, "KEEP_SNAPSHOTS", 2)
    told.away = True
    ground.per_poll = 1
    ground.log.events(0, 8)
    ground.run()
    assert ground.numbers() == list(range(8))
    assert told.told() == []
    assert len(ground.table().metadata.snapshots) == 8
    told.away = False
    ground.log.events(8, 3)
    ground.run()
    assert [one.sequence_number for one in told.told()] == list(range(1, 12))
    assert len(ground.table().metadata.snapshots) < 6, "what is told expires as before"


def test_snapshots_of_others_are_not_told(ground: Ground, told: ToldFile) -> None:
    ground.log.events(0, 5)
    ground.run()
    table = ground.reader.load_table(NAME)
    table.append(table.scan().to_arrow().slice(0, 1))
    ground.log.events(5, 5)
    ground.run()
    assert {one.sequence_number for one in told.told()} == {1, 3}
    assert told.told()[-1].rows == 11


def test_a_book_is_bounded(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advanced, "MOST_UNSENT", 2)
    ground.log.make(TOPIC)
    ground.per_poll = 1
    ground.log.events(0, 6)
    ground.run()
    book = Book(NAME, STREAM, STREAM, lambda _book: None)
    book.look(ground.table().metadata)
    newest_first = sorted(ground.table().metadata.snapshots, key=lambda one: -(one.sequence_number or 0))
    assert book.unsent() == {one.snapshot_id for one in newest_first[:2]}
    assert [record.sequence_number for _number, record in book.take()] == [3, 4, 5, 6]
    assert book.take() == [], "what is under way is not taken again"
    book.failed(newest_first[0].snapshot_id)
    assert [record.sequence_number for _number, record in book.take()] == [6]


def test_event_times_that_no_calendar_has_are_left_out() -> None:
    book = Book(NAME, STREAM, STREAM, lambda _book: None)
    far = pa.table({"event_time": pa.array([253_402_300_800_000_000], pa.timestamp("us", "UTC"))})
    assert book.newest(far) == {}
    assert book.newest(pa.table({"n": [1]})) == {}


def test_a_rollback_takes_the_newest_event_time_back(ground: Ground) -> None:
    ground.log.make(TOPIC)
    ground.advances = ToldFile(ground.folder / "told")
    ground.log.events(0, 5)
    ground.run()
    first = ground.table().metadata.snapshots[0].snapshot_id
    ground.log.events(5, 5)
    ground.run()
    table = ground.reader.load_table(NAME)
    assert advanced.newest_of(table.metadata) == 1_700_000_000_009
    table.manage_snapshots().rollback_to_snapshot(first).commit()
    assert advanced.newest_of(ground.table().metadata) == 1_700_000_000_004
