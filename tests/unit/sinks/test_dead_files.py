"""Files that no snapshot holds any more are deleted after a grace period; what anything holds never is (rule 21)."""

from pathlib import Path
from typing import Any

import pytest

from sinks.table import snapshot
from sinks.upkeep import collect, compact, journal
from sinks.upkeep.care import Care
from sinks.upkeep.keeper import Keeper
from tests.unit.sinks.ground import NAME, STREAM, TOPIC, Ground

GRACE_S = 100.0


@pytest.fixture(autouse=True)
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Join four files, expire after three snapshots, collect at once."""
    monkeypatch.setattr(compact, "MIN_INPUTS", 4)
    monkeypatch.setattr(collect, "VANISHED", 1)
    monkeypatch.setattr(snapshot, "EXPIRE_AT", 3)
    monkeypatch.setattr(snapshot, "KEEP_SNAPSHOTS", 1)


def care(ground: Ground) -> tuple[Keeper, Care]:
    keeper = Keeper(ground.catalog, ground.clock, lambda: 0.5, GRACE_S)
    return keeper, keeper.open(NAME, STREAM)


def write(ground: Ground, first: int, commits: int) -> None:
    if not first:
        ground.log.make(TOPIC)
    ground.log.events(first, commits * 5)
    ground.run()


def settled(ground: Ground, keeper: Keeper, one: Care, looks: int = 3) -> None:
    for _look in range(looks):
        ground.clock.advance(GRACE_S + 1)
        keeper.look(one)
        assert one.report.error is None


def test_replaced_files_and_expired_lists_go_after_the_grace_period(ground: Ground) -> None:
    write(ground, 0, 2)
    keeper, one = care(ground)
    keeper.look(one)
    write(ground, 10, 2)
    keeper.look(one)  # joins four
    write(ground, 20, 2)  # the snapshots before the joining expire
    keeper.look(one)
    assert one.report.dead_files > 0
    waiting = ground.unreferenced()
    assert len([name for name in waiting if name.endswith(".parquet")]) == 4
    ground.clock.advance(GRACE_S - 1)
    keeper.look(one)
    assert ground.unreferenced() == waiting, "readers that began before may still read them"
    settled(ground, keeper, one)
    assert ground.unreferenced() == set()
    assert ground.numbers() == list(range(30))
    assert (one.report.dead_files, one.report.dead_bytes) == (0, 0)
    assert len(list(ground.folder.rglob(f"{journal.BATCH}*"))) == 0


def test_what_a_tag_or_a_branch_holds_stays(ground: Ground) -> None:
    write(ground, 0, 2)
    keeper, one = care(ground)
    keeper.look(one)
    tagged, branched = ground.table().snapshots()[:2]
    with ground.table().manage_snapshots() as change:
        change.create_tag(tagged.snapshot_id, "audit").create_branch(branched.snapshot_id, "trial")
    write(ground, 10, 2)
    for first in (20, 30):
        keeper.look(one)
        write(ground, first, 2)
    settled(ground, keeper, one)
    table = ground.table()
    assert len(table.scan(snapshot_id=tagged.snapshot_id).to_arrow()) == 5
    assert len(table.scan(snapshot_id=branched.snapshot_id).to_arrow()) == 10
    assert ground.unreferenced() == set()
    with table.manage_snapshots() as change:
        change.remove_tag("audit").remove_branch("trial")
    for first in (40, 50):
        write(ground, first, 2)
        keeper.look(one)
    settled(ground, keeper, one)
    assert ground.unreferenced() == set()
    assert ground.numbers() == list(range(60))


def test_who_takes_the_table_next_knows_what_died_before(ground: Ground) -> None:
    write(ground, 0, 3)
    keeper, one = care(ground)
    keeper.look(one)
    keeper.close(one)
    write(ground, 15, 2)  # nobody looked while those expired
    assert ground.unreferenced()
    keeper, one = care(ground)
    keeper.look(one)
    settled(ground, keeper, one)
    assert not [name for name in ground.unreferenced() if name.startswith("snap-")]


@pytest.mark.parametrize("slot", journal.SLOTS)
def test_a_journal_cut_short_is_not_read_and_the_other_one_is(ground: Ground, slot: str) -> None:
    write(ground, 0, 2)
    keeper, one = care(ground)
    keeper.look(one)
    write(ground, 10, 1)
    keeper.look(one)
    table = ground.table()
    whole = journal.load(table.metadata, table.io)
    (path,) = list(ground.folder.rglob(slot))
    path.write_bytes(path.read_bytes()[:20])
    assert journal.load(table.metadata, table.io).number >= whole.number - 1 > 0


def test_nothing_is_deleted_that_came_back_or_lies_elsewhere(ground: Ground, tmp_path: Path) -> None:
    write(ground, 0, 2)
    table = ground.table()
    foreign = tmp_path / "elsewhere.parquet"
    foreign.write_bytes(b"x")
    live = [task.file.file_path for task in table.scan().plan_files()]
    book = journal.Journal(str(table.metadata.table_uuid))
    outside = [f"file://{foreign}", f"{table.location()}/../../elsewhere.parquet"]
    journal.write_batch(table.metadata, table.io, "b.json", [*live, *outside])
    batch = journal.Batch("b.json", 0, 3, 0)
    book.batches.append(batch)
    assert collect.delete(book, batch, table.metadata, table.io, lambda: None) == 0
    assert foreign.exists()
    assert ground.numbers() == list(range(10))


def test_the_journal_of_another_table_in_the_same_place_is_not_ours(ground: Ground) -> None:
    write(ground, 0, 2)
    keeper, one = care(ground)
    keeper.look(one)
    table: Any = ground.table()
    other = table.metadata.model_copy(update={"table_uuid": "00000000-0000-0000-0000-000000000001"})
    assert journal.load(other, table.io).known == {}
