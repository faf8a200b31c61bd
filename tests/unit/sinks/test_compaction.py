"""Small files become larger ones: the same rows, sorted as before, on top of whatever was appended meanwhile."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation
from pyiceberg.typedef import Record

from schemas.definitions.cuts import Cut, Order
from sinks.table import state
from sinks.table.partitions import Arrangement
from sinks.upkeep import compact
from sinks.upkeep.care import Care
from sinks.upkeep.keeper import Keeper
from tests.unit.sinks.ground import NAME, STREAM, TOPIC, Ground
from tests.unit.sinks.told import ToldFile


@pytest.fixture(autouse=True)
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact, "MIN_INPUTS", 4)


def written(ground: Ground, commits: int = 6, **changes: Any) -> Ground:
    """A table of so many commits of five rows."""
    ground.log.make(TOPIC)
    ground.log.events(0, commits * 5)
    ground.run(**changes)
    return ground


def care(ground: Ground) -> tuple[Keeper, Care]:
    keeper = Keeper(ground.catalog, ground.clock, lambda: 0.5)
    return keeper, keeper.open(NAME, STREAM)


def rows(table: Table) -> list[dict[str, Any]]:
    return sorted(table.scan().to_arrow().to_pylist(), key=lambda row: row["event_id"])


def paths(table: Table) -> list[str]:
    return sorted(task.file.file_path for task in table.scan().plan_files())


def head(table: Table) -> Any:
    found = table.current_snapshot()
    assert found is not None
    return found


def test_small_files_become_one_with_the_same_rows(ground: Ground) -> None:
    before = written(ground).table()
    keeper, one = care(ground)
    keeper.look(one)
    after = ground.table()
    assert one.report.error is None
    assert (len(paths(before)), len(paths(after))) == (6, 1)
    assert rows(after) == rows(before)
    assert head(after).summary.operation is Operation.REPLACE
    said = head(after).summary.additional_properties
    assert (said["total-records"], said["total-data-files"]) == ("30", "1")
    assert not set(paths(before)) & set(paths(after))
    assert (one.report.files, one.report.small_files, one.report.snapshots) == (1, 1, 7)
    assert one.report.compacted_at_ms is not None


def test_offsets_stand_and_the_writer_goes_on_as_if_nothing_had_been(ground: Ground) -> None:
    before = written(ground).table()
    keeper, one = care(ground)
    keeper.look(one)
    after = ground.table()
    assert state.offsets(after.metadata, STREAM) == state.offsets(before.metadata, STREAM)
    assert head(after).summary.additional_properties[state.OFFSETS + STREAM]
    assert after.metadata.properties[state.SEQUENCE + STREAM] == str(head(after).sequence_number)
    ground.log.events(30, 5)
    ground.run()
    assert ground.numbers() == list(range(35))


def test_each_row_moves_up_a_tier_and_large_files_are_left(ground: Ground) -> None:
    written(ground, 3)
    keeper, one = care(ground)
    for first in range(15, 125, 10):
        ground.log.events(first, 10)
        ground.run()
        keeper.look(one)
    counts = [task.file.record_count for task in ground.table().scan().plan_files()]
    assert sum(counts) == 125
    assert all(sum(compact.tier(n) == at for n in counts) < compact.MIN_INPUTS for at in range(9))
    assert ground.numbers() == list(range(125))


def test_reads_older_files_under_the_columns_of_today(ground: Ground) -> None:
    written(ground, 3)
    ground.log.events(15, 10, x=7)
    ground.run()
    with ground.table().update_schema() as change:
        change.rename_column(("payload", "x"), "renamed")
    before = rows(ground.table())
    keeper, one = care(ground)
    keeper.look(one)
    assert one.report.error is None
    assert rows(ground.table()) == before
    assert len(paths(ground.table())) == 1
    assert [row["payload"].get("renamed") for row in before].count(7) == 10


def test_the_new_file_is_sorted_and_cut_as_the_table_is_today(ground: Ground) -> None:
    written(ground, 5)
    order = Arrangement((Cut("hour", "received_at"),), (Order("event_id", descending=True),))
    ground.log.events(25, 25)
    ground.run(arrangement=order)
    before = rows(ground.table())
    keeper, one = care(ground)
    keeper.look(one)
    table = ground.table()
    assert rows(table) == before
    tasks = list(table.scan().plan_files())
    assert {task.file.spec_id for task in tasks} == {int(table.metadata.properties[state.SPEC])}
    assert len(tasks) == 2
    for task in tasks:
        part = ArrowScan(table.metadata, table.io, table.schema(), AlwaysTrue()).to_table([task])
        ids = part["event_id"].to_pylist()
        assert ids == sorted(ids, reverse=True)


def between(ground: Ground, act: Callable[[], None], times: int = 1) -> None:
    """Let something else happen just before upkeep's commit reaches the catalog."""
    real, left = ground.catalog.commit_table, [times]

    def commit_table(*args: Any) -> Any:
        if left[0]:
            left[0] -= 1
            act()
        return real(*args)

    patched: Any = ground.catalog
    patched.commit_table = commit_table


def test_lands_on_top_of_what_was_appended_meanwhile(ground: Ground) -> None:
    written(ground)
    keeper, one = care(ground)
    ground.log.events(30, 5)

    def append() -> None:
        ground.run()

    between(ground, append)
    keeper.look(one)
    assert one.report.error is None
    assert ground.numbers() == list(range(35))
    assert len(paths(ground.table())) == 2
    assert not ground.unreferenced()


def test_gives_up_when_a_file_of_it_is_gone_and_leaves_nothing(ground: Ground) -> None:
    written(ground)
    keeper, one = care(ground)

    def delete() -> None:
        ground.table().delete("payload.n < 5")

    between(ground, delete)
    keeper.look(one)
    assert one.report.error is not None
    assert ground.numbers() == list(range(5, 30))
    assert not ground.unreferenced()


@pytest.mark.parametrize(
    ("error", "after"), [(OSError("lost"), True), (CommitFailedException("no"), True), (KeyError("bug"), False)]
)
def test_the_table_decides_after_any_error(ground: Ground, error: Exception, *, after: bool) -> None:
    written(ground)
    keeper, one = care(ground)
    real, left = ground.catalog.commit_table, [1]

    def commit_table(*args: Any) -> Any:
        if left[0]:
            left[0] -= 1
            if after:
                real(*args)
            raise error
        return real(*args)

    patched: Any = ground.catalog
    patched.commit_table = commit_table
    keeper.look(one)
    assert one.report.error is None
    assert ground.numbers() == list(range(30))
    assert len(paths(ground.table())) == 1
    assert sum(state.UPKEEP in s.summary.additional_properties for s in ground.table().snapshots() if s.summary) == 1


def test_touches_no_table_that_is_another_streams(ground: Ground) -> None:
    written(ground)
    with ground.table().transaction() as change:
        change.set_properties({state.OWNER: "dropped:stream-1"})
    keeper, one = care(ground)
    keeper.look(one)
    assert len(paths(ground.table())) == 6


def test_upkeep_is_told_to_nobody(ground: Ground, tmp_path: Any) -> None:
    ground.advances = ToldFile(tmp_path / "told")
    written(ground)
    keeper, one = care(ground)
    keeper.look(one)
    ground.log.events(30, 5)
    ground.run()
    told = ground.advances.missing(head(ground.table()).sequence_number)
    assert told == {7}
    said = [snapshot.summary.additional_properties for snapshot in ground.table().snapshots() if snapshot.summary]
    assert said[6][state.NEWEST] == said[5][state.NEWEST]


def test_a_closed_table_is_left_at_the_next_step(ground: Ground) -> None:
    written(ground)
    keeper, one = care(ground)
    keeper.close(one)
    keeper.look(one)
    assert len(paths(ground.table())) == 6
    assert not ground.unreferenced()


def file(number: int, rows: int, size: int, day: int = 0) -> compact.Small:
    made = DataFile.from_args(
        content=DataFileContent.DATA, file_path=f"f{number}", file_format=FileFormat.PARQUET, partition=Record(day),
        record_count=rows, file_size_in_bytes=size,
    )  # fmt: skip
    made.spec_id = 0
    return compact.Small(number, made)


def test_files_of_one_partition_and_tier_join_oldest_first() -> None:
    many = [file(n, 1, 10, day=n % 3) for n in range(13)]
    assert [one.file_path for one in compact.choose(many)] == ["f0", "f3", "f6", "f9", "f12"]
    assert compact.choose([file(n, 4**n, 10) for n in range(9)]) == []


def test_a_round_stops_at_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact, "TARGET_BYTES", 30)
    assert len(compact.choose([file(n, 1, 10) for n in range(9)])) == 3
    assert len(compact.choose([file(n, 1, 40) for n in range(9)])) == 0


@pytest.mark.timeout(300)
def test_nothing_is_wrong_wherever_upkeep_is_killed(tmp_path: Path) -> None:
    """Killed after every call that changes anything; a successor does it once, and every row is there once."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.sinks.upkeep_kills", str(tmp_path)],
        cwd=Path(__file__).parents[3], check=True, capture_output=True, timeout=280,
    )  # fmt: skip
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["faults"] == [], done.stderr.decode()[-2000:]
    assert {"create", "close", "commit_table", "commit"} <= set(told["killed_at"])
