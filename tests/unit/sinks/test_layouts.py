"""`flat`: the payload's members beside our own columns; `raw`: its text. Through a whole tail, and back."""

import json
from typing import Any

import pytest

from schemas.definitions.stream import StreamDefinition
from schemas.definitions.view import StreamView
from sinks.audit.marks import Marks
from sinks.columns.policy import Limits
from sinks.columns.typing import Typing
from sinks.read.columns import described, dictionary
from sinks.read.deliveries import tables
from sinks.read.deliveries.budget import Budget
from sinks.read.marks import open_tables
from sinks.read.rows import json_rows, newest
from sinks.rows.rebuild import rebuild
from sinks.rows.system import COLUMNS
from sinks.table import schema, state
from tests.integration.sinks.world import wire_event
from tests.unit.sinks.ground import STREAM, TOPIC, Ground
from tests.unit.sinks.test_contract import PAID, V1, pin, put, rows, summary

SENT: tuple[dict[str, Any], ...] = (
    {"n": 1, "o": {"x": "a"}, "payload": {"y": 1}, "event_id": "theirs"},
    {"n": "odd", "_hb_topic": "reserved", "_HB_x": 1, "": 0, "a.b": 1},
    {"N": 2, "o": 5, "l": [{"a": 1}], "later": True},
    {},
)


def flat(ground: Ground, *sent: dict[str, Any], **typing: Any) -> None:
    ground.layout, ground.typing = "flat", Typing(**typing)
    put(ground, *(json.dumps(one).encode() for one in sent))
    assert ground.run().status().reason is None


def test_members_stand_beside_our_columns_and_every_payload_comes_back(ground: Ground) -> None:
    flat(ground, *SENT[:2])
    flat(ground, *SENT[2:])
    found = ground.table().schema()
    assert {"_hb_event_id", "_hb_topic", "_hb_extra", "_hb_raw", "_hb_received_at", "n", "o", "event_id"} <= {
        field.name for field in found.fields
    }
    assert sum(field.name.startswith("_hb_") for field in found.fields) == len(COLUMNS)
    shape = schema.shape(found)
    for sent, row in zip(SENT, rows_of(ground), strict=True):
        assert rebuild(row, row["_hb_extra"], row["_hb_raw"], shape) == sent


def rows_of(ground: Ground) -> list[dict[str, Any]]:
    return sorted(ground.table().scan().to_arrow().to_pylist(), key=lambda row: row["_hb_offset"])


def test_a_flat_table_is_partitioned_and_measured_by_our_columns(ground: Ground) -> None:
    flat(ground, {"received_at": 7, "event_id": 8})
    table = ground.table()
    assert [field.name for field in table.spec().fields] == ["_hb_received_at_day"]
    assert table.properties["write.metadata.metrics.column._hb_event_id"] == "full"
    assert "write.metadata.metrics.column.event_id" not in table.properties
    assert json_rows(newest(table, "_hb_received_at", 1), table.schema())[0]["event_id"] == 8


def test_a_flat_table_is_typed_by_its_schema_and_says_so(ground: Ground) -> None:
    flat(ground, json.loads(PAID), pins=pin("paid@1", V1))
    found = {one["name"]: one for one in dictionary(ground.table().schema())}
    assert (found["at"]["type"], found["at"]["schema"], found["at"]["pointer"]) == (
        "timestamptz", "paid@1#/properties/at", "/at",
    )  # fmt: skip
    assert (found["_hb_topic"]["pointer"], found["_hb_topic"]["schema"]) == (None, None)
    flat(ground, {"n": 2**40}, pins=pin("paid@2", {"properties": {"n": {"type": "integer"}}}))
    assert [row["n"] for row in rows_of(ground)] == [1, 2**40]


def test_limits_hold_for_flat_tables(ground: Ground) -> None:
    flat(ground, {"a": 1, "b": 2, "c": 3}, limits=Limits(3, 2))
    assert [row["_hb_extra"] for row in rows_of(ground)] == ['{"/c":3}']


@pytest.mark.parametrize("layout", ["nested", "flat", "raw", "stitch"])
def test_deliveries_and_audit_read_every_layout(ground: Ground, layout: str) -> None:
    ground.layout = layout
    put(ground, b'{"n":1}', b'{"n":2}')
    ground.run()
    table = ground.table()
    first = table.scan().to_arrow().to_pylist()[0]
    name = schema.name_in(table.schema(), "event_id")
    budget = Budget(ground.clock.monotonic)
    found = tables.rows_of(table, tables.equal("event_id", first[name]), 5, budget)
    assert [one.event_id for one in found] == [first[name]]
    assert tables.snapshot_of(table, first[name], found[0].received_at, budget) == table.metadata.current_snapshot_id
    definition = StreamDefinition.model_validate({"name": "orders", "topics": [TOPIC], "targetTable": "orders"})
    stream = StreamView(STREAM, "acme", "orders", 1, definition, "running", 1, accept_loss=False, frozen=False)
    made = open_tables(ground.reader, stream, changed=False)[0]._rows(lambda *_: None)
    assert {place: len(marks) for place, marks in made.items()} == {next(iter(made)): 2}
    assert all(isinstance(marks, Marks) for marks in made.values())


def test_raw_keeps_the_text_as_sent(ground: Ground) -> None:
    ground.layout = "raw"
    sent = [b'{"n" : 1.50, "n":2}', b"[1,2]", b'{"a":"\xff"}', b"no json"]
    ground.log.make(TOPIC)
    ground.log.put(*(wire_event(n, one) for n, one in enumerate(sent)))
    assert ground.run().status().reason is None
    found = rows(ground)
    assert [row["payload"] for row in found[:2]] == [sent[0].decode(), sent[1].decode()]
    assert json.loads(found[2]["_raw"]) == {"": r'{"a":"\xff"}'}
    assert "no json" in found[3]["payload"]
    shown = json_rows(newest(ground.table(), "received_at", 9), ground.table().schema())
    assert {"n": 2} in [row.get("payload") for row in shown]
    doc = ground.table().schema().find_field("payload").doc
    assert doc is not None
    assert doc.startswith("JSON text")
    assert state.OFFSETS + STREAM in summary(ground)


@pytest.mark.parametrize("layout", ["nested", "flat"])
def test_the_dictionary_says_how_full_a_column_is(ground: Ground, layout: str) -> None:
    ground.layout = layout
    put(
        ground,
        *(json.dumps({"id": n, "kind": n % 2, "o": {"rare": True} if n == 3 else None}).encode() for n in range(8)),
    )
    ground.run()
    head = "" if layout == "flat" else "payload."
    found = {one["name"]: one for one in described(ground.table())}
    assert [(found[head + name]["fillRate"], found[head + name]["distinct"]) for name in ("id", "kind", "o.rare")] == [
        (1.0, 8), (1.0, 2), (0.125, 1),
    ]  # fmt: skip
    assert found[f"{head}o.rare"]["firstSeen"] == found[f"{head}o.rare"]["lastSeen"] is not None
    assert {one["rows"] for one in found.values()} == {8}


def test_the_dictionary_of_an_empty_table_knows_of_no_values(ground: Ground) -> None:
    ground.event_types = ("never.*",)
    put(ground, b"{}")
    ground.run(until=lambda: ground.reader.table_exists(("acme", "orders")))
    assert {one["fillRate"] for one in described(ground.table())} == {None}
