"""`columnNames: stitch`: Stitch's query on its columns, and numbers that are unique whatever becomes of a commit."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyiceberg.table import Table

from schemas.definitions.stream import StreamDefinition
from sinks.columns.key import Key
from sinks.rows.rebuild import rebuild
from sinks.table import schema, state
from tests.integration.sinks.world import wire_event
from tests.unit.sinks.ground import GATE, STREAM, TOPIC, Ground

QUERY = """SELECT o.* FROM t o JOIN (SELECT id, MAX(_sdc_sequence) AS seq FROM t GROUP BY id) m
ON o.id = m.id AND o._sdc_sequence = m.seq"""
AT_MS = 1_700_000_000_000
RECEIVED = re.compile(b'"receivedAt":"[^"]*"')


@pytest.fixture
def stitched(ground: Ground) -> Ground:
    ground.layout = "stitch"
    ground.log.make(TOPIC, partitions=2)
    return ground


def put(ground: Ground, *payloads: dict[str, Any], partition: int = 0, received: int | None = None) -> None:
    """Put events; a payload's `_at` is how many ms after AT_MS it happened; each is received after those put before.

    `received`: all at so many seconds after AT_MS.
    """
    have = len(ground.log.topics[TOPIC][1][partition])
    for n, payload in enumerate(payloads):
        body = json.dumps({name: value for name, value in payload.items() if name != "_at"}).encode()
        offset = have + n
        made = wire_event(offset + 1000 * partition, body, at_ms=AT_MS + payload.get("_at", 0))
        count = sum(map(len, ground.log.topics[TOPIC][1])) if received is None else received
        moment = datetime.fromtimestamp(AT_MS / 1000 + count, UTC).isoformat()
        ground.log.put(RECEIVED.sub(f'"receivedAt":"{moment}"'.encode(), made), partition=partition)


def rows_of(table: Table) -> list[dict[str, Any]]:
    return sorted(table.scan().to_arrow().to_pylist(), key=lambda row: row["_sdc_sequence"])


def latest(table: Table) -> dict[Any, dict[str, Any]]:
    t = table.scan().to_arrow()
    found = duckdb.sql(QUERY).to_arrow_table().to_pylist()
    assert t.num_rows >= len(found)
    made = {row["id"]: row for row in found}
    assert len(made) == len(found)
    return made


def numbers(ground: Ground) -> list[int]:
    found = [row["_sdc_sequence"] for row in rows_of(ground.table())]
    assert len(set(found)) == len(found)
    return found


def test_a_stream_without_a_table_gets_a_schema_of_its_own() -> None:
    made = StreamDefinition.model_validate({"name": "shop-1", "topics": ["t"], "columnNames": "stitch"})
    assert (made.target_table, made.layout) == ("shop_1.data", "flat")
    assert StreamDefinition.model_validate(made.to_wire()) == made
    digit = {"name": "1-shop", "topics": ["t"], "columnNames": "stitch"}
    assert StreamDefinition.model_validate(digit).target_table == "s_1_shop.data"
    named = StreamDefinition.model_validate({**digit, "targetTable": "orders"})
    assert named.target_table == "orders"
    with pytest.raises(ValueError, match="stitch needs"):
        StreamDefinition.model_validate({**digit, "layout": "nested"})


def test_stitchs_query_gives_the_latest_version_of_every_key(stitched: Ground) -> None:
    put(stitched, {"id": 1, "v": "old"}, {"id": 2, "v": "only"}, {"id": 1, "v": "new", "_at": 5})
    stitched.run()
    put(stitched, {"id": 3, "v": "a", "_at": 9}, {"id": 1, "v": "newest", "_at": 10}, partition=1)
    stitched.run()
    assert {key: row["v"] for key, row in latest(stitched.table()).items()} == {1: "newest", 2: "only", 3: "a"}


def test_within_a_commit_numbers_follow_time_and_not_the_partition_that_was_read_first(stitched: Ground) -> None:
    stitched.flush_bytes = 1 << 20
    put(stitched, {"id": 1, "v": "newer", "_at": 50})
    put(stitched, {"id": 1, "v": "older"}, partition=1)
    stitched.run()
    assert latest(stitched.table())[1]["v"] == "newer"


def test_within_a_commit_numbers_follow_the_sequence_field(stitched: Ground) -> None:
    stitched.flush_bytes, stitched.key = 1 << 20, Key(("id",), ("meta", "rev"))
    put(stitched, {"id": 1, "meta": {"rev": 7}}, {"id": 1, "meta": {"rev": 6}, "_at": 50}, {"id": 1, "_at": 90})
    stitched.run()
    assert [(row["meta"] or {}).get("rev") for row in rows_of(stitched.table())] == [None, 6, 7]


def test_numbers_grow_over_commits_restarts_and_a_clock_that_goes_back(stitched: Ground) -> None:
    put(stitched, *({"id": n} for n in range(7)))
    stitched.run()
    before = numbers(stitched)
    assert before[0] >= stitched.clock.time_ns() // 1_000_000 - 60_000
    stitched.clock.advance(-86_400)
    put(stitched, *({"id": n} for n in range(9)))
    stitched.run()
    assert numbers(stitched)[:7] == before
    assert numbers(stitched)[7:] == [before[-1] + n for n in range(1, 10)]
    stitched.clock.advance(2 * 86_400)
    put(stitched, {"id": 0})
    stitched.run()
    assert numbers(stitched)[-1] > before[-1] + 86_000_000


@pytest.mark.parametrize("lost", ["answer", "refusal"])
def test_a_commit_made_again_gives_no_number_twice(stitched: Ground, lost: str) -> None:
    put(stitched, *({"id": n} for n in range(4)))
    stitched.run()
    put(stitched, *({"id": n} for n in range(4)))
    GATE.clear()
    stitched.run()
    name = "committed" if lost == "answer" else "commit_table"
    at = GATE.calls.index(name) + 1
    put(stitched, *({"id": n} for n in range(4)))
    GATE.clear()

    def fail() -> None:
        raise ConnectionError("gone")

    GATE.at, GATE.act = at, fail
    stitched.run()
    GATE.clear()
    assert len(numbers(stitched)) == 12


def test_no_number_twice_whichever_call_fails_and_whatever_the_clock_does(tmp_path: Path) -> None:
    at, last = 1, False
    while not last:
        GATE.clear()
        ground = Ground(tmp_path / str(at))
        ground.layout = "stitch"
        ground.log.make(TOPIC)
        put(ground, *({"id": n} for n in range(12)))

        def act(ground: Ground = ground) -> None:
            ground.clock.at_s -= 0.004  # 4 of the 5 ms that a commit's numbers take up
            raise TimeoutError("unknown")

        GATE.at, GATE.act = at, act
        ground.run()
        last = len(GATE.calls) < at
        assert len(numbers(ground)) == 12, f"call {at}"
        assert [row["_hb_offset"] for row in rows_of(ground.table())] == list(range(12)), f"call {at}"
        ground.close()
        at += 19
    assert at > 60


def test_numbers_follow_the_last_one_after_a_rollback_and_a_lost_property(stitched: Ground) -> None:
    put(stitched, *({"id": n} for n in range(3)))
    stitched.run()
    first = stitched.table().metadata.current_snapshot_id
    put(stitched, *({"id": n} for n in range(3)))
    stitched.run()
    gone = numbers(stitched)[3:]
    assert first is not None
    with stitched.table().manage_snapshots() as change:
        change.rollback_to_snapshot(first)
    stitched.clock.advance(-3600)
    stitched.run()
    assert min(numbers(stitched)[3:]) > max(gone)
    with stitched.table().transaction() as change:
        change.remove_properties(state.LAST_NUMBER + STREAM, state.NUMBERED_SINCE + STREAM)
    put(stitched, {"id": 9})
    stitched.run()
    assert len(numbers(stitched)) == 7
    assert len({row["_sdc_table_version"] for row in rows_of(stitched.table())}) == 1


def test_two_writers_in_turn_share_the_numbers(stitched: Ground, tmp_path: Path) -> None:
    assert tmp_path
    put(stitched, *({"id": n} for n in range(3)))
    stitched.run()
    stitched.clock.advance(-10)
    put(stitched, *({"id": n} for n in range(3)), partition=1)
    stitched.run(generation=2)
    assert len(numbers(stitched)) == 6


def test_members_that_look_like_stitchs_columns_stay_beside(stitched: Ground) -> None:
    sent = {"id": 1, "_sdc_sequence": 5, "_SDC_x": 1, "__sdc_primary_key": "theirs", "_hb_x": 1, "_sdcx": 2}
    put(stitched, sent, {"id": 2})
    stitched.run()
    table = stitched.table()
    shape = schema.shape(table.schema())
    assert set(shape.fields) == {"id", "_sdcx"}
    back = [rebuild(row, row["_hb_extra"], row["_hb_raw"], shape) for row in rows_of(table)]
    assert back == [sent, {"id": 2}]
    assert rows_of(table)[0]["_sdc_sequence"] > 5


def test_the_columns_have_stitchs_types_and_say_what_they_are(stitched: Ground) -> None:
    put(stitched, {"id": "a"}, {"id": None})
    stitched.key = Key(("id",))
    stitched.run()
    table = stitched.table()
    found = {field.name: (str(field.field_type), field.doc) for field in table.schema().fields}
    assert {name: found[name][0] for name in found if "_sdc_" in name} == {
        "_sdc_received_at": "timestamptz", "_sdc_batched_at": "timestamptz", "_sdc_sequence": "long",
        "_sdc_table_version": "long", "__sdc_primary_key": "string",
    }  # fmt: skip
    assert all(doc for _type, doc in found.values())
    first, second = rows_of(table)
    assert first["__sdc_primary_key"] == "a"
    assert second["__sdc_primary_key"] == second["_hb_event_id"]
    assert first["_sdc_received_at"] == first["_hb_received_at"]
    assert first["_sdc_batched_at"] == second["_sdc_batched_at"]
    assert first["_sdc_table_version"] <= first["_sdc_sequence"]
    assert table.properties["write.metadata.metrics.column._sdc_sequence"] == "full"


def test_a_composite_key_is_one_json_text(stitched: Ground) -> None:
    stitched.key = Key(("id", "o", "n"))
    put(stitched, {"id": "a", "o": [{"x": 1}], "n": 1.5}, {"id": "a", "o": [], "n": 2})
    stitched.run()
    made = [json.loads(row["__sdc_primary_key"]) for row in rows_of(stitched.table()) if row["n"] == 1.5]
    assert made == [["a", '[{"x": 1}]', 1.5]]
