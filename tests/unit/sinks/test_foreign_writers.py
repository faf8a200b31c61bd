"""Others change the table while the writer runs, or between two runs: nothing lost, nothing doubled (rule 17)."""

from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.transforms import BucketTransform
from pyiceberg.types import LongType, StringType

from sinks.table import state
from tests.unit.sinks.ground import NAME, STREAM, TOPIC, Ground


def started(ground: Ground, events: int = 10) -> None:
    ground.log.make(TOPIC)
    ground.log.events(0, events)
    ground.run()
    assert ground.numbers() == list(range(events))


def in_the_middle(ground: Ground, act: Any) -> None:
    """Let `act` happen once the running writer has nothing to do, and ten more events come after it."""
    done: list[int] = []

    def meanwhile() -> None:
        if not done and ground.drained():
            done.append(1)
            act()
            first = len(ground.log.topics[TOPIC][1][0])
            ground.log.events(first, 10)

    ground.meanwhile = meanwhile
    ground.run(until=lambda: bool(done) and ground.drained())
    ground.meanwhile = lambda: None


def before_ten_more(ground: Ground, act: Any, *, running: bool) -> None:
    """Let `act` happen while the writer runs, or while none does; ten more events come after it and land."""
    if running:
        in_the_middle(ground, act)
    else:
        act()
        ground.log.events(10, 10)
        ground.run()


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("what", ["append", "overwrite", "delete", "expire", "properties"])
def test_goes_on_over_foreign_commits(ground: Ground, what: str, running: bool) -> None:
    started(ground)

    def act() -> None:
        table = ground.table()
        if what == "append":
            table.append(table.scan().to_arrow().slice(0, 1))
        elif what == "overwrite":  # what a compaction does: all rows again, in other files
            table.overwrite(table.scan().to_arrow())
        elif what == "delete":
            table.delete("_offset < 3")
        elif what == "properties":
            table.transaction().set_properties({"comment": "ours too"}).commit_transaction()
        else:
            table.append(table.scan().to_arrow().slice(0, 0))
            old = [one.snapshot_id for one in table.metadata.snapshots]
            table.maintenance.expire_snapshots().by_ids(
                [one for one in old if one != table.metadata.current_snapshot_id]
            ).commit()

    before_ten_more(ground, act, running=running)
    numbers = ground.numbers()
    assert sorted(set(numbers)) == list(range(3 if what == "delete" else 0, 20))
    assert len(numbers) - len(set(numbers)) == (what == "append")
    if what == "properties":
        assert ground.table().properties["comment"] == "ours too"


@pytest.mark.parametrize("running", [True, False])
def test_reads_again_what_an_operator_rolled_back(ground: Ground, running: bool) -> None:
    started(ground)
    first = ground.table().metadata.snapshots[0].snapshot_id

    def act() -> None:
        ground.table().manage_snapshots().rollback_to_snapshot(first).commit()
        assert ground.numbers() == list(range(5))

    before_ten_more(ground, act, running=running)
    assert ground.numbers() == list(range(20))


def test_sees_a_rollback_though_nothing_new_comes(ground: Ground) -> None:
    started(ground)
    first = ground.table().metadata.snapshots[0].snapshot_id
    done: list[int] = []

    def meanwhile() -> None:
        if not done and ground.clock.monotonic() > began + 1:
            done.append(1)
            ground.table().manage_snapshots().rollback_to_snapshot(first).commit()

    began = ground.clock.monotonic()
    ground.meanwhile = meanwhile
    ground.run(until=lambda: bool(done) and ground.drained())
    assert ground.clock.monotonic() - began < 120
    assert ground.numbers() == list(range(10))


def test_a_rollback_past_the_logs_retention_is_said_and_goes_on_when_told(ground: Ground) -> None:
    started(ground)
    first = ground.table().metadata.snapshots[0].snapshot_id
    ground.table().manage_snapshots().rollback_to_snapshot(first).commit()
    ground.log.low[TOPIC, 0] = 8
    status = ground.run().status()
    assert (ground.numbers(), status.reason) == (list(range(5)), "offsets_expired")
    assert "records 5 to 8 are lost" in str(status.message)
    ground.run(accept_loss=True, generation=2)
    assert ground.numbers() == [0, 1, 2, 3, 4, 8, 9]
    notes = [s.summary.additional_properties.get(state.LOST + STREAM) for s in ground.table().snapshots() if s.summary]
    assert [note for note in notes if note] == ['{"TOPICID1": {"0": [5, 8]}}']


def foreign_head(ground: Ground) -> int:
    """Return a foreign snapshot without our offsets, under our newest one, with everything before it expired."""
    table = ground.table()
    table.append(table.scan().to_arrow().slice(0, 0))
    foreign = table.metadata.current_snapshot_id
    assert foreign is not None
    ground.log.events(10, 5)
    ground.run()
    table.refresh()
    table.maintenance.expire_snapshots().by_ids(
        [
            s.snapshot_id
            for s in table.metadata.snapshots
            if s.snapshot_id not in (foreign, table.metadata.current_snapshot_id)
        ]
    ).commit()
    return foreign


@pytest.mark.parametrize("running", [True, False])
def test_fails_closed_where_a_rollback_leaves_no_offsets(ground: Ground, running: bool) -> None:
    """The property is newer than the snapshot: going on from it would leave rows out."""
    started(ground)
    foreign = foreign_head(ground)
    newest = ground.table().metadata.current_snapshot_id
    assert newest is not None
    done: list[int] = []

    def act() -> None:
        if not done:
            done.append(1)
            ground.table().manage_snapshots().rollback_to_snapshot(foreign).commit()
            ground.log.events(15, 5)

    if running:
        ground.meanwhile = act
    else:
        act()
    ground.most_s = 60
    status = ground.run(until=lambda: False).status()
    assert "rolled back" in str(status.message)
    assert ground.numbers() == list(range(10))
    ground.table().manage_snapshots().set_current_snapshot(newest).commit()
    ground.run()
    assert ground.numbers() == list(range(20))


def test_leaves_a_table_alone_that_somebody_made_in_the_place_of_ours(ground: Ground) -> None:
    started(ground)

    def act() -> None:
        ground.reader.drop_table(NAME)
        ground.reader.create_table(NAME, pa.schema([("mine", pa.string())])).append(pa.table({"mine": ["x"]}))

    done: list[int] = []

    def meanwhile() -> None:
        if not done:
            done.append(1)
            act()
            ground.log.events(10, 5)

    ground.meanwhile, ground.most_s = meanwhile, 60
    tail = ground.run(until=lambda: False)
    assert tail.status().reason == "table_foreign"
    assert ground.table().scan().to_arrow().to_pylist() == [{"mine": "x"}]
    assert len(list(ground.table().metadata.snapshots)) == 1


def test_makes_the_table_anew_when_somebody_dropped_it(ground: Ground) -> None:
    started(ground)
    ground.reader.drop_table(NAME)
    with pytest.raises(NoSuchTableError):
        ground.table()
    ground.log.events(10, 5)
    ground.run()
    assert ground.numbers() == list(range(15))


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("change", ["add", "rename", "drop", "widen", "rename the time", "payload", "spec"])
def test_goes_on_over_an_operators_change_of_columns(ground: Ground, change: str, running: bool) -> None:
    started(ground)

    def act() -> None:
        table = ground.table()
        if change == "spec":
            with table.update_spec() as spec:
                spec.add_field("event_id", BucketTransform(4), "bucket")
            return
        with table.update_schema(allow_incompatible_changes=True) as columns:
            if change == "add":
                columns.add_column("note", StringType())
            elif change == "rename":
                columns.rename_column("event_id", "id")
            elif change == "drop":
                columns.delete_column("correlation_id")
            elif change == "widen":
                columns.update_column("_partition", LongType())
            elif change == "rename the time":
                columns.rename_column("received_at", "arrived")
            else:
                columns.rename_column(("payload", "n"), "m")

    before_ten_more(ground, act, running=running)
    rows = ground.table().scan().to_arrow().to_pylist()
    assert len(rows) == 20
    if change == "payload":
        assert sorted(row["payload"]["n"] if row["_offset"] > 9 else row["payload"]["m"] for row in rows) == list(
            range(20)
        )
        return
    assert ground.numbers() == list(range(20))
    ids = {row["id" if change == "rename" else "event_id"] for row in rows}
    assert len(ids) == 20
    assert None not in ids
    assert "event_id" not in rows[0] or change != "rename"
    assert all(row["arrived" if change == "rename the time" else "received_at"] for row in rows)
    assert "correlation_id" in rows[0]
