"""A split stream: one table per event type, each row once whatever happens."""

import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from sinks import session
from sinks.split import tails
from sinks.split.plan import Plan
from sinks.table import state
from tests.unit.sinks.ground import NAME, STREAM, TOPIC
from tests.unit.sinks.split_ground import SplitGround

KINDS = ["track", "identify", "track", "page", "track", "identify"]


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[SplitGround]:
    made = SplitGround(tmp_path)
    made.log.make(TOPIC)
    yield made
    made.close()


def by_table(kinds: list[str], first: int = 0) -> dict[str, list[tuple[str, int]]]:
    made: dict[str, list[tuple[str, int]]] = {NAME[1]: []}
    for n, kind in enumerate(kinds, first):
        made.setdefault(f"{NAME[1]}_{kind}", []).append((kind, n))
    return made


def test_each_type_has_a_table_of_its_own(ground: SplitGround) -> None:
    ground.put(KINDS)
    ground.run()
    assert ground.rows() == by_table(KINDS)
    fields = {
        name: ground.table(name).schema().as_arrow().field("payload") for name in ground.rows() if name != NAME[1]
    }
    assert {name: {one.name for one in field.type} for name, field in fields.items()} == {
        "orders_track": {"n", "of_5"}, "orders_identify": {"n", "of_8"}, "orders_page": {"n", "of_4"},
    }  # fmt: skip


def test_a_type_that_comes_later_begins_where_it_came_and_reads_nothing_again(
    ground: SplitGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "IDLE_COMMIT_OFFSETS", 1)  # else the tables wait where they are for ten minutes
    ground.put(KINDS)
    at_end = {"TOPICID1": {"0": len(KINDS)}}
    ground.run(until=lambda: ground.drained() and all(ground.offsets(name) == at_end for name in ground.rows()))
    ground.polls.clear()
    ground.put(["track", "late"], len(KINDS))
    ground.run()
    assert ground.rows() == by_table([*KINDS, "track", "late"])
    start = state.parse(ground.table("orders_late").metadata.properties[state.START + STREAM])
    assert start["TOPICID1"]["0"] == len(KINDS)
    assert min(first for first, _count in ground.polls) == len(KINDS)


def test_twenty_types_read_the_topic_once(ground: SplitGround) -> None:
    ground.per_poll = 10
    kinds = [f"type{n % 20}" for n in range(100)]
    ground.put(kinds)
    ground.run()
    assert ground.rows() == by_table(kinds)
    assert sum(count for _first, count in ground.polls) <= 2 * len(kinds), "new tables join where reading is"


def test_every_row_once_however_often_it_stops(ground: SplitGround) -> None:
    for first in range(0, 24, 6):
        ground.put(KINDS, first)
        ground.run(until=partial(ground.holds, first + 3))
    ground.run()
    assert ground.rows() == by_table(KINDS * 4)


def test_types_past_the_limit_are_rows_of_the_streams_own_table(
    ground: SplitGround, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "MAX_TYPES", 2)
    ground.put(KINDS)
    ground.run()
    ground.put(["page", "track", "more"], len(KINDS))
    ground.run()
    wanted = by_table([*KINDS, "page", "track", "more"])
    wanted["orders"] = sorted(wanted.pop("orders_page") + wanted.pop("orders_more"))
    assert ground.rows() == wanted


def test_what_has_no_type_is_a_row_of_the_streams_own_table(ground: SplitGround) -> None:
    ground.put(["track", "", "x" * 300])
    ground.log.put(b"no event at all", b'{"eventType":7}')
    ground.run()
    rows = ground.table("orders").scan().to_arrow().to_pylist()
    assert [len(row["event_type"] or "") for row in sorted(rows, key=lambda row: row["_offset"])] == [0, 300, 0, 0]
    assert ground.rows()["orders_track"] == [("track", 0)]


def test_types_of_one_slug_have_a_table_each(ground: SplitGround) -> None:
    ground.put(["Order Paid", "order.paid", "order_paid", "Order Paid"])
    ground.run()
    tables = ground.tables()
    assert tables["Order Paid"] == "orders_order_paid"
    assert len(set(tables.values())) == 4
    assert tables["order.paid"] == f"orders_order_paid_{zlib.crc32(b'order.paid'):08x}"
    assert ground.rows()["orders_order_paid"] == [("Order Paid", 0), ("Order Paid", 3)]


def test_a_table_of_others_is_left_alone_and_the_type_has_another(ground: SplitGround) -> None:
    ground.reader.create_namespace("acme")
    foreign = ground.reader.create_table(
        (NAME[0], "orders_page"), ground.split()._laid(ground.split().spec).first_schema()
    )
    ground.put(KINDS)
    ground.run()
    assert ground.tables()["page"] == f"orders_page_{zlib.crc32(b'page'):08x}"
    assert ground.table("orders_page").metadata == foreign.metadata


def test_types_that_are_not_selected_have_no_table(ground: SplitGround) -> None:
    ground.plan = Plan(event_types=("t*", "page"))
    ground.put(KINDS)
    ground.run(until=partial(ground.holds, 4))
    assert set(ground.rows()) == {"orders", "orders_track", "orders_page"}


def test_a_dropped_table_is_made_anew_from_its_start(ground: SplitGround) -> None:
    ground.put(KINDS)
    ground.run()
    ground.reader.drop_table((NAME[0], "orders_track"))
    ground.run()
    assert ground.rows() == by_table(KINDS)


def test_a_table_taken_back_reads_again_and_the_others_do_not_double(ground: SplitGround) -> None:
    ground.put(KINDS)
    ground.run()
    ground.put(KINDS, len(KINDS))
    ground.run()
    table = ground.table("orders_track")
    table.manage_snapshots().rollback_to_snapshot(table.snapshots()[0].snapshot_id).commit()
    ground.run()
    assert ground.rows() == by_table(KINDS * 2)


def test_a_lost_range_is_said_of_the_table_that_it_concerns(ground: SplitGround) -> None:
    ground.put(KINDS)
    ground.run()
    ground.log.low[TOPIC, 0] = len(KINDS)
    ground.put(["page"], len(KINDS))
    made = ground.split()
    made.start()
    ground.wait(lambda: made.status().reason == "offsets_expired", made)
    made.stop()
    assert made.join(20)
    ground.run(accept_loss=True, until=lambda: ("page", len(KINDS)) in ground.rows()["orders_page"])
    assert ground.rows() == by_table([*KINDS, "page"])


def test_a_topic_made_anew_starts_anew(ground: SplitGround, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "LOOK_AGAIN_S", 0.1)
    ground.put(KINDS)
    done: list[int] = []

    def anew() -> bool:
        if not done and ground.drained():
            done.append(1)
            ground.log.make(TOPIC, topic_id="TOPICID2")
            ground.put(KINDS, len(KINDS))
        return bool(done) and ground.holds(2 * len(KINDS))

    ground.run(until=anew)
    assert ground.rows() == by_table(KINDS * 2)


def test_a_new_partition_is_read_from_its_first_record(ground: SplitGround) -> None:
    ground.put(KINDS)
    ground.run(start_from="latest", until=lambda: "orders" in ground.rows())
    ground.log.topics[TOPIC][1].append([])
    ground.put(KINDS, 10, partition=1)
    ground.run(start_from="latest", until=partial(ground.holds, len(KINDS)))
    assert ground.rows() == by_table(KINDS, 10)


def test_every_row_once_wherever_the_writer_is_killed(tmp_path: Path) -> None:
    """At every 37th call to catalog and storage; `python -m tests.unit.sinks.split_kills FOLDER 1` takes each."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.unit.sinks.split_kills", str(tmp_path), "37"],
        capture_output=True,
        check=False,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert found["kills"] >= 4, found
    assert not found["faults"], told.stderr[-3000:]
