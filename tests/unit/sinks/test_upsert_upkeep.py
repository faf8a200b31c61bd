"""An upsert table's files are joined and its deletes stay few: rows, counts and the writer's index stay right."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.typedef import Record

from schemas.definitions.cuts import cuts
from sinks.columns.key import Key
from sinks.table import commit, snapshot, state
from sinks.table.partitions import Arrangement
from sinks.tail import Tail
from sinks.upkeep import collect, compact, hiding
from sinks.upkeep.keeper import Keeper
from sinks.upsert.keys import Keys
from sinks.upsert.room import Room
from tests.integration.sinks.world import wire_event
from tests.unit.sinks import keyed
from tests.unit.sinks.ground import NAME, STREAM, TOPIC, Ground
from tests.unit.sinks.test_upsert import load_iceberg


@pytest.fixture(autouse=True)
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact, "MIN_INPUTS", 4)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[keyed.Table]:
    made = keyed.Table(tmp_path)
    yield made
    made.close()


def filled(table: keyed.Table, batches: int = 4, keys: int = 2) -> None:
    """So many commits, each with rows of its own and new versions of half the rows of the one before."""
    for n in range(batches):
        table.put(*((key, n, False) for key in range(n * keys // 2, n * keys // 2 + keys)))


def test_hidden_rows_go_and_the_writer_goes_on_without_reading_the_table(table: keyed.Table) -> None:
    filled(table)
    table.rebuilt = 0
    assert table.files() == (4, 3)
    table.tend()
    assert table.files() == (1, 0)
    records = table.read().metadata.current_snapshot().summary.additional_properties["total-records"]
    assert int(records) == len(table.shown()) == 5
    table.check()
    table.put((0, 9, False), (20, 9, False), (4, 9, True))
    table.check()
    assert table.rebuilt == 0
    assert table.shown()[-2:] == [8, 9]


def test_a_commit_that_comes_between_is_moved_onto_the_new_files(table: keyed.Table) -> None:
    """Upkeep lands after the writer has decided which rows to hide, and before it commits."""
    filled(table)
    table.rebuilt = 0
    table.before_commit(table.tend)
    assert isinstance(table.put((0, 9, False), (4, 9, True)), commit.Committed)
    table.check()
    assert table.rebuilt == 0
    assert len(_unreferenced(table)) == 0, "the deletes that named the old files are gone"


def test_deletes_that_come_between_are_moved_onto_the_new_files(table: keyed.Table) -> None:
    """The writer commits after upkeep has read the files that it joins, and before it commits."""
    filled(table)
    table.rebuilt = 0
    table.before_commit(lambda: table.put((0, 9, False), (4, 9, True)))
    table.tend()
    assert table.files()[0] == 1, "tried again in the same round, and once more for what is hidden since"
    table.check()
    table.put((0, 10, False))
    table.check()
    assert table.rebuilt == 0
    assert len(_unreferenced(table)) == 0


def test_both_at_once_and_no_answer(table: keyed.Table) -> None:
    filled(table)
    table.rebuilt = 0
    table.lose_answer()
    table.tend()
    table.put((0, 9, False))
    table.check()
    filled(table)
    table.before_commit(table.lose_answer)
    assert isinstance(table.put((1, 9, False)), commit.AlreadyThere)
    table.check()
    assert table.rebuilt == 0
    said = [one.summary.additional_properties for one in table.read().snapshots()]
    assert sum(state.UPKEEP in one for one in said) == 1


def test_upkeep_on_top_of_a_commit_whose_answer_was_lost_is_followed(table: keyed.Table) -> None:
    filled(table)
    table.rebuilt = 0
    real, left = table.catalog.commit_table, [1]

    def commit_table(*args: Any) -> Any:
        answer = real(*args)
        if left[0]:
            left[0] -= 1
            table.tend()
            raise OSError("lost")
        return answer

    table.catalog.commit_table = commit_table  # type: ignore[method-assign]
    assert isinstance(table.put((1, 9, False), (2, 9, True)), commit.AlreadyThere)
    table.check()
    table.put((1, 10, False))
    table.check()
    assert table.rebuilt == 0


def test_a_commit_of_somebody_else_is_never_taken_for_ours(table: keyed.Table) -> None:
    """Two writers read the same of the log; the files of the one that was slower are not in the table."""
    filled(table)
    other = table.session()
    ours = table.writing

    def faster() -> None:
        table.writing = other
        table.put((0, 9, False))
        table.events.pop()
        table.writing = ours

    table.before_commit(faster)
    assert isinstance(table.put((0, 9, False)), commit.AlreadyThere)
    table.put((0, 10, False))
    table.check()


def test_deletes_become_one_file_when_no_data_file_is_to_be_joined(
    table: keyed.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.put(*((key, 0, False) for key in range(64)))
    monkeypatch.setattr(hiding, "RECLAIM", 0)
    for n in range(4):
        table.put((n, 1, True))
    monkeypatch.setattr(compact, "choose", lambda *_args: [])
    assert table.files() == (5, 4)
    table.rebuilt = 0
    table.lose_answer()
    table.tend()
    assert table.files() == (5, 1)
    table.check()
    table.put((5, 1, False))
    table.check()
    assert table.rebuilt == 0


def test_a_large_file_is_rewritten_once_a_quarter_of_it_is_hidden(
    table: keyed.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compact, "TARGET_BYTES", 2)  # none is small
    table.put(*((key, 0, False) for key in range(40)))
    first = next(iter(table.held().files()))
    table.put(*((key, 1, False) for key in range(9)))
    table.tend()
    assert first in table.held().files()
    table.put(*((key, 1, False) for key in range(9, 10)))
    table.tend()
    assert first not in table.held().files()
    assert sorted(one.record_count for one in table.held().files().values()) == [1, 9, 30]
    table.check()


def test_deletions_of_keys_stay_until_nothing_older_can_come(table: keyed.Table) -> None:
    table.put((0, 5, True), (10, 1, False))
    for key in (1, 2, 3):
        table.put((key, 5, True))
    table.tend()
    table.check()
    assert _records(table) == 5
    table.writing = table.session()
    table.put((0, 4, False), (1, 4, True), (11, 1, False))
    table.check()
    assert table.shown() == [1, 7]
    table.put((0, 6, False))
    table.put((3, 6, True))
    table.tend()
    table.check()
    assert table.files()[0] == 1
    assert _records(table) == 3 + 3, "a row tells of key 0, the later deletion of key 3; those of 1 and 2 stay"


def _records(table: keyed.Table) -> int:
    return sum(one.record_count for one in table.held().files().values())


def test_a_file_of_deleted_keys_alone_is_not_rewritten_at_every_look(table: keyed.Table) -> None:
    for n in range(4):
        table.put((n, 5, True))
    table.tend()
    before = table.read().metadata.current_snapshot_id
    for _look in range(3):
        table.tend()
        table.keeper.look(table.care)
    assert table.read().metadata.current_snapshot_id == before
    table.care = table.keeper.open(NAME, STREAM, keyed=table.care.keyed and _forgetful(table))
    table.tend()
    assert table.read().metadata.current_snapshot_id == before, "nor by the next process"


def _forgetful(table: keyed.Table) -> Any:
    known: Any = table.care.keyed
    return type(known)(known.moves, known.stays)


def test_of_a_key_that_was_deleted_and_came_back_at_the_same_time_the_row_is_known(table: keyed.Table) -> None:
    """Read back from the table the index must not take the deletion for the latest: the row would never be hidden."""
    table.put((1, 1, True))
    table.put((1, 1, False))
    table.writing = table.session()
    table.put((1, 1, False))
    table.check()
    assert table.shown() == [2]


def test_files_and_deletes_stay_few_over_partitions(tmp_path: Path) -> None:
    table = keyed.Table(tmp_path, arrangement=Arrangement(cuts(("bucket(2, event_id)",))))
    for n in range(8):
        table.put(*((key, n, key % 5 == 4) for key in range(n % 7, n % 7 + 6)))
        if n % 4 == 3:
            table.tend()
    table.check()
    assert max(table.files()) < 2 * 3
    pytest.importorskip("duckdb_extension_iceberg")
    connection = duckdb.connect()
    load_iceberg(connection)
    found = connection.execute(f"SELECT _offset FROM iceberg_scan('{table.read().metadata_location}')").fetchall()
    assert sorted(one for (one,) in found) == table.shown(), "other readers see the same"
    table.close()


def test_the_table_of_another_writers_deletes_is_left_alone(table: keyed.Table) -> None:
    filled(table)
    made = DataFile.from_args(
        content=DataFileContent.EQUALITY_DELETES, file_path="x", file_format=FileFormat.PARQUET, partition=Record(),
        record_count=1, file_size_in_bytes=1,
    )  # fmt: skip
    with pytest.raises(Exception, match="no positions in Parquet"):
        hiding.read(made, table.table.io)


def test_replaced_files_and_deletes_go_after_the_grace_period(
    table: keyed.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "VANISHED", 1)
    monkeypatch.setattr(snapshot, "EXPIRE_AT", 3)
    monkeypatch.setattr(snapshot, "KEEP_SNAPSHOTS", 1)
    for n in range(6):
        table.put((1, n, False), (n, n, False))
        if n % 3 == 2:
            table.tend()
    assert any("-deletes" in name for name in _unreferenced(table))
    for _look in range(4):
        table.clock.advance(101)
        table.tend()
    assert not [name for name in _unreferenced(table) if name.endswith(".parquet")]
    table.check()


def _unreferenced(table: keyed.Table) -> set[str]:
    ground = Ground.__new__(Ground)
    ground.folder, ground.reader = table.folder, table.catalog
    return ground.unreferenced()


def test_a_tail_is_looked_after_while_it_writes(tmp_path: Path) -> None:
    """Through the tail itself: what the keeper does between two of its commits costs it no session."""
    ground = Ground(tmp_path)
    ground.keys = Keys(Key(("id",), ("v",)), (("op",), ("delete",)))
    ground.log.make(TOPIC)
    keeper = Keeper(ground.catalog, ground.clock, lambda: 0.5)
    ground.upkeep = keeper
    looked: list[int] = []

    def put(n: int) -> None:
        body = json.dumps({"id": n % 7, "v": n, "op": "delete" if n % 10 == 9 else ""}).encode()
        ground.log.put(wire_event(n, body, at_ms=1_700_000_000_000 + n))

    def meanwhile() -> None:
        if ground.drained() and len(looked) < 5:
            keeper.look(keeper._cares[0])
            assert keeper._cares[0].report.error is None
            looked.append(len(list(ground.table().scan().plan_files())))
            for n in range(len(looked) * 5, len(looked) * 5 + 5):
                put(n)

    for n in range(5):
        put(n)
    ground.meanwhile = meanwhile
    tail = ground.run(until=lambda: len(looked) == 5 and ground.drained())
    found = sorted(ground.table().scan(selected_fields=("_offset",)).to_arrow().column(0).to_pylist())
    latest = {n % 7: n for n in range(30)}
    assert found == sorted(n for n in latest.values() if n % 10 != 9)
    assert tail.status().rows == len(found)
    assert max(looked) <= 5
    assert tail.status().index_keys is None, "freed at the end"
    ground.close()


def test_past_its_memory_a_stream_fails_clearly_and_goes_on_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[tuple[str, str]] = []
    monkeypatch.setattr(Tail, "_fail", lambda _tail, reason, message: failed.append((reason, message)))
    ground = Ground(tmp_path)
    ground.keys = Keys(Key(("id",)))
    ground.log.make(TOPIC)
    for n in range(20):
        ground.log.put(wire_event(n, b'{"id":%d}' % n, at_ms=1_700_000_000_000 + n))
    ground.room, ground.most_s = Room(2500), 200
    ground.run()
    assert 2 <= len(failed) <= 200 / 60 + 1, "tried again once a minute"
    assert {reason for reason, _message in failed} == {"upsert_index_full"}
    for word in ("keys take", "HOOKBERG_UPSERT_INDEX_BYTES", "more writers", "append", "Nothing is lost"):
        assert word in failed[0][1]
    there = ground.table().scan().count()
    assert there == 15, "what fitted is in, and what did not is not"
    ground.room = Room(20 * 49 - 1)
    del failed[:]
    ground.run()
    assert failed
    assert ground.table().scan().count() == there
    seen: list[tuple[int | None, int | None]] = []
    ground.meanwhile = lambda: seen.append((ground.tail.status().index_keys, ground.tail.status().index_bytes))  # type: ignore[union-attr]
    ground.room = Room(20 * 400)
    status = ground.run().status()
    assert (status.rows, ground.drained()) == (20, True)
    assert seen[-1][0] == 20
    assert 20 * 49 <= (seen[-1][1] or 0) <= 20 * 400
    ground.close()


def test_a_table_that_shows_too_many_keys_is_refused_before_a_file_is_read(table: keyed.Table) -> None:
    filled(table, batches=2)
    table.room = Room(2 * 49).share()
    table.writing = table.session()
    table.rebuilt = 0
    with pytest.raises(Exception, match="keys take"):
        table.put((1, 9, False))
    assert table.rebuilt == 0


@pytest.mark.timeout(300)
def test_nothing_is_wrong_wherever_upkeep_of_an_upsert_table_is_killed(tmp_path: Path) -> None:
    """Killed at each step of a commit and a share of what is before; a successor goes on, and every key is there once.

    `make soak` kills after every call.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.sinks.upkeep_kills", str(tmp_path), "upsert", "7"],
        cwd=Path(__file__).parents[3], check=True, capture_output=True, timeout=280,
    )  # fmt: skip
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["faults"] == [], done.stderr.decode()[-2000:]
    assert {"create", "close", "commit_table", "commit"} <= set(told["killed_at"])
