"""A table is cut and sorted as its stream says, also when the stream says something else later (spec section 5)."""

from collections.abc import Sequence
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.transforms import BucketTransform, IdentityTransform

from schemas.definitions.cuts import cuts, orders
from sinks.table import state
from sinks.table.partitions import Arrangement
from tests.integration.sinks.world import wire_event
from tests.unit.sinks.ground import GATE, TOPIC, Ground

HOUR_MS = 3_600_000
BEGIN_MS = 1_700_000_000_000 - 1_700_000_000_000 % (24 * HOUR_MS)


def arrangement(*by: str, sort: Sequence[str] = ()) -> Arrangement:
    return Arrangement(cuts(by), orders(tuple(sort)))


def put(ground: Ground, first: int, hours: Sequence[int], kind: str = "push") -> None:
    for n, hour in enumerate(hours, first):
        ground.log.put(wire_event(n, b'{"n":%d}' % n, kind=kind, at_ms=BEGIN_MS + hour * HOUR_MS + n))


def folders(ground: Ground) -> list[str]:
    """Return the partition folders of the data files, one entry a file."""
    files = [task.file.file_path for task in ground.table().scan().plan_files()]
    return sorted("/".join(part for part in path.split("/") if "=" in part) for path in files)


def made(ground: Ground, wanted: Arrangement, hours: Sequence[int]) -> None:
    ground.log.make(TOPIC)
    put(ground, 0, hours)
    ground.per_poll = len(hours)
    ground.run(arrangement=wanted)
    assert ground.numbers() == list(range(len(hours)))


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ((), [""]),
        (("day(received_at)",), ["received_at_day=2023-11-14", "received_at_day=2023-11-15"]),
        (("month(event_time)",), ["event_time_month=2023-11"]),
        (("hour(event_time)",), [f"event_time_hour=2023-11-{day}" for day in ("14-00", "14-23", "15-00")]),
        (("year(received_at)", "source"), ["received_at_year=2023/source=shop"]),
    ],
)
def test_one_file_a_partition_that_a_commit_meets(ground: Ground, by: tuple[str, ...], expected: list[str]) -> None:
    made(ground, arrangement(*by), [0, 0, 23, 24, 0])
    assert folders(ground) == expected


def test_rows_of_one_id_are_in_one_bucket(ground: Ground) -> None:
    made(ground, arrangement("bucket(4, vendor_event_id)"), [0] * 40)
    bucket = BucketTransform(4).transform(ground.table().schema().find_type("vendor_event_id"))
    for task in ground.table().scan().plan_files():
        names = {row["vendor_event_id"] for row in ground.table().scan().to_arrow().to_pylist()}
        held = pq.read_table(task.file.file_path.removeprefix("file://"), columns=["vendor_event_id"])
        found = {bucket(name.as_py()) for name in held.column(0)}
        assert found == {task.file.partition[0]}
        assert names
    assert 1 < len(folders(ground)) <= 4


def test_a_filter_by_time_skips_files(ground: Ground) -> None:
    made(ground, arrangement("hour(event_time)"), [0, 5, 10, 15])
    wanted = "event_time >= '2023-11-14T10:00:00+00:00'"
    scan = ground.table().scan(row_filter=wanted)
    assert len(list(scan.plan_files())) == 2
    assert sorted(row["payload"]["n"] for row in scan.to_arrow().to_pylist()) == [2, 3]


def test_a_filter_by_time_skips_files_of_other_batches_without_a_partition(ground: Ground) -> None:
    made(ground, arrangement(), [0, 0])
    put(ground, 2, [30, 30])
    ground.run(arrangement=arrangement())
    wanted = "event_time >= '2023-11-15T00:00:00+00:00'"
    assert len(list(ground.table().scan(row_filter=wanted).plan_files())) == 1
    assert len(list(ground.table().scan().plan_files())) == 2


def test_files_are_sorted_and_the_table_says_how(ground: Ground) -> None:
    made(ground, arrangement(sort=("event_type", "event_time desc")), [3, 1, 2])
    put(ground, 3, [9, 8], kind="fork")
    ground.run(arrangement=arrangement(sort=("event_type", "event_time desc")))
    orders_of_files = [
        pq.read_table(task.file.file_path.removeprefix("file://"), columns=["_offset"]).column(0).to_pylist()
        for task in ground.table().scan().plan_files()
    ]
    assert sorted(orders_of_files) == [[0, 2, 1], [3, 4]]
    assert [str(field.direction) for field in ground.table().sort_order().fields] == ["ASC", "DESC"]


def test_a_stream_may_be_cut_otherwise_and_back_and_every_row_stays(ground: Ground) -> None:
    by_day, by_type = arrangement("day(received_at)"), arrangement("event_type", sort=("event_time",))
    made(ground, by_day, [0, 0])
    for number, wanted in enumerate((by_type, by_day, by_type), 1):
        put(ground, 2 * number, [0, 0])
        ground.run(arrangement=wanted)
    assert ground.numbers() == list(range(8))
    assert folders(ground) == ["event_type=push"] * 2 + ["received_at_day=2023-11-14"] * 2
    assert len(ground.table().specs()) == 2, "going back makes no further spec"
    assert len(list(ground.table().scan(row_filter="event_type = 'fork'").plan_files())) == 0


def test_a_stream_that_wants_what_is_there_commits_nothing_for_it(ground: Ground) -> None:
    wanted = arrangement("event_type", sort=("event_time",))
    made(ground, wanted, [0])
    before = ground.table().metadata_location
    ground.run(arrangement=wanted)
    assert ground.table().metadata_location == before


def test_an_operators_partition_spec_stays_and_ours_is_used_on(ground: Ground) -> None:
    wanted = arrangement("event_type")
    made(ground, wanted, [0])
    with ground.table().update_spec() as update:
        update.add_field("vendor_event_id", BucketTransform(4), "by_vendor")
    put(ground, 1, [0])
    ground.run(arrangement=wanted)
    assert folders(ground) == ["event_type=push"] * 2
    assert [field.name for field in ground.table().spec().fields] == ["event_type", "by_vendor"]


def test_a_change_that_fails_at_any_call_is_made_later_and_no_row_is_lost(ground: Ground) -> None:
    by_day, by_type = arrangement("day(received_at)"), arrangement("event_type")
    made(ground, by_day, [0])

    def refuse() -> None:
        raise CommitFailedException("somebody else was first")

    for at in range(1, 40):
        put(ground, at, [0])
        wanted = by_type if at % 2 else by_day
        GATE.clear()
        GATE.at, GATE.act = at, refuse
        ground.run(arrangement=wanted)
        last = "/data/" in GATE.calls[at - 1]  # from the first data file on: test_outcomes.py
        GATE.clear()
        ground.run(arrangement=wanted)
        assert ground.numbers() == list(range(at + 1))
        ours = state.spec_of(ground.table().metadata)
        assert ours.fields[0].name == ("event_type" if at % 2 else "received_at_day")
        if last:
            return
    raise AssertionError("the loop ended before every call of a change had failed once")


def test_nothing_of_a_table_that_is_not_ours_is_changed(ground: Ground) -> None:
    made(ground, arrangement("day(received_at)"), [0])
    with ground.table().transaction() as change:
        change.set_properties({state.OWNER: "somebody"})
    before: Any = ground.table().metadata_location
    ground.most_s = 20
    ground.run(arrangement=arrangement("event_type"), until=lambda: False)
    assert ground.table().metadata_location == before


def test_an_operators_order_stays_until_the_stream_says_another(ground: Ground) -> None:
    made(ground, arrangement(), [3, 1])
    with ground.table().update_sort_order() as update:
        update.asc("event_time", IdentityTransform())
    put(ground, 2, [9, 8])
    ground.run(arrangement=arrangement())
    assert [field.direction.name for field in ground.table().sort_order().fields] == ["ASC"]
    put(ground, 4, [9, 8])
    ground.run(arrangement=arrangement(sort=("event_id desc",)))
    assert [field.direction.name for field in ground.table().sort_order().fields] == ["DESC"]
    assert ground.numbers() == list(range(6))


@pytest.mark.parametrize("act", ["rename", "drop"])
def test_a_column_that_an_operator_changed_stops_no_table(ground: Ground, act: str) -> None:
    made(ground, arrangement(), [0])
    with ground.table().update_schema(allow_incompatible_changes=True) as update:
        if act == "rename":
            update.rename_column("event_type", "kind")
        else:
            update.delete_column("event_type")
    put(ground, 1, [0, 0])
    ground.run(arrangement=arrangement("event_type", sort=("event_type",)))
    assert ground.numbers() == [0, 1, 2]
    spec = state.spec_of(ground.table().metadata)
    assert [field.name for field in spec.fields] == (["event_type"] if act == "rename" else [])
