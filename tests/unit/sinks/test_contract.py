"""What a contract and a pin that moves do to a table: counts in the summary, columns, docs; through a whole tail."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pyiceberg.types import DateType, DecimalType, IntegerType, LongType, StructType, TimestamptzType

from sinks.columns.policy import Limits, Mode
from sinks.columns.typing import Typing
from sinks.read.columns import dictionary
from sinks.read.rows import json_rows, newest
from sinks.table import state
from tests.integration.sinks.world import wire_event
from tests.unit.sinks.ground import STREAM, TOPIC, Ground

V1 = {
    "properties": {
        "n": {"type": "integer", "minimum": 0, "maximum": 1000},
        "at": {"type": "string", "format": "date-time", "description": "when it was paid"},
        "day": {"type": "string", "format": "date"},
        "amount": {"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 999.99},
        "meta": {"type": "object"},
    }
}
V2 = {
    "properties": {
        "n": {"type": "integer"},
        "at": {"type": "integer"},
        "amount": {"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 10**9},
        "note": {"type": "string"},
    }
}
PAID = b'{"n":1,"at":"2026-01-01T00:00:00Z","day":"2026-01-02","amount":19.99,"meta":{"k":[1]}}'


def pin(name: str, schema: Any) -> tuple[tuple[str, bytes], ...]:
    return ((name, json.dumps(schema).encode()),)


def put(ground: Ground, *payloads: bytes) -> None:
    if TOPIC not in ground.log.topics:
        ground.log.make(TOPIC)
    first = len(ground.log.topics[TOPIC][1][0])
    ground.log.put(*(wire_event(first + n, one) for n, one in enumerate(payloads)))


def payload(ground: Ground) -> StructType:
    found = ground.table().schema().find_field("payload").field_type
    assert isinstance(found, StructType)
    return found


def rows(ground: Ground) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ground.table().scan().to_arrow().sort_by("_offset").to_pylist()
    return found


def summary(ground: Ground) -> dict[str, str]:
    found = ground.table().metadata.current_snapshot()
    assert found is not None
    assert found.summary is not None
    return dict(found.summary.additional_properties)


def test_a_schemas_columns_stand_in_the_table_with_type_and_doc(ground: Ground) -> None:
    ground.typing = Typing(pins=pin("paid@1", V1))
    put(ground, PAID)
    ground.run()
    assert [(field.name, field.field_type) for field in payload(ground).fields[:4]] == [
        ("n", IntegerType()), ("at", TimestamptzType()), ("day", DateType()), ("amount", DecimalType(5, 2)),
    ]  # fmt: skip
    docs = {field.name: field.doc for field in payload(ground).fields}
    assert docs["at"] == "payload /at [paid@1#/properties/at]: when it was paid"
    assert docs["meta"] == "JSON text: payload /meta [paid@1#/properties/meta]"
    row = rows(ground)[0]["payload"]
    assert (row["at"], row["amount"]) == (datetime(2026, 1, 1, tzinfo=UTC), Decimal("19.99"))


def test_a_pin_that_moves_widens_adds_and_never_stops_the_table(ground: Ground) -> None:
    ground.typing = Typing(pins=pin("paid@1", V1))
    put(ground, PAID)
    ground.run()
    ids = {field.name: field.field_id for field in payload(ground).fields}
    ground.typing = Typing(pins=pin("paid@2", V2))
    put(ground, b'{"n":5000000000,"at":1767225600,"amount":5000000.25,"note":"x"}', PAID)
    assert ground.run().status().reason is None
    fields = {field.name: field for field in payload(ground).fields}
    assert fields["n"].field_type == LongType()
    assert fields["amount"].field_type == DecimalType(12, 2)
    assert fields["at"].field_type == TimestamptzType()  # no legal promotion: what is no time waits in `_raw`
    assert {name: fields[name].field_id for name in ids} == ids
    first, second, third = rows(ground)
    assert (first["payload"]["n"], first["payload"]["amount"]) == (1, Decimal("19.99"))
    assert (second["payload"]["n"], second["payload"]["amount"]) == (5_000_000_000, Decimal("5000000.25"))
    assert (second["_raw"], second["payload"]["note"]) == ('{"/at":1767225600}', "x")
    assert third["payload"]["at"] == first["payload"]["at"]


def test_rows_that_are_discarded_are_counted_with_those_that_come_next(ground: Ground) -> None:
    ground.typing = Typing(columns=Mode.DISCARD_ROW, data_types=Mode.DISCARD_ROW, pins=pin("paid@1", V1))
    put(ground, PAID, b'{"n":2,"new":1}', b'{"n":"odd"}', b'{"n":3}', b'{"n":null,"new":null}')
    ground.run()
    assert [row["payload"] and row["payload"]["n"] for row in rows(ground)] == [1, 3, None]
    assert summary(ground)[state.DISCARDED + STREAM] == "2"
    put(ground, b'{"new":2}', b'{"n":4}')
    ground.run()
    assert summary(ground)[state.DISCARDED + STREAM] == "1"
    metadata = ground.table().metadata
    assert state.discarded(metadata, STREAM) == {"TOPICID1": {"0": 3}}
    assert metadata.properties[state.DISCARDED_TOTAL + STREAM] == '{"TOPICID1":{"0":3}}'
    assert ground.tail is not None
    assert (ground.tail.status().discarded, list(ground.tail.status().drift)) == (3, ["/new"])


def test_what_is_discarded_goes_back_with_a_rollback(ground: Ground) -> None:
    ground.typing = Typing(columns=Mode.DISCARD_ROW, pins=pin("paid@1", V1))
    put(ground, PAID)
    ground.run()
    whole = ground.table().metadata.current_snapshot_id
    put(ground, b'{"new":2}', b'{"n":4}')
    ground.run()
    assert whole is not None
    ground.table().manage_snapshots().rollback_to_snapshot(whole).commit()
    assert state.discarded(ground.table().metadata, STREAM) == {}
    ground.run()
    assert state.discarded(ground.table().metadata, STREAM) == {"TOPICID1": {"0": 1}}
    assert len(rows(ground)) == 2


def test_only_discarded_records_move_the_table_on(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.session.IDLE_COMMIT_RECORDS", 5)
    ground.typing = Typing(columns=Mode.DISCARD_ROW, pins=pin("paid@1", V1))
    put(ground, *(b'{"new":1}' for _ in range(5)))
    ground.run()
    assert rows(ground) == []
    assert state.discarded(ground.table().metadata, STREAM) == {"TOPICID1": {"0": 5}}


def test_values_that_are_discarded_are_counted(ground: Ground) -> None:
    ground.typing = Typing(columns=Mode.DISCARD_VALUE, data_types=Mode.DISCARD_VALUE, pins=pin("paid@1", V1))
    put(ground, b'{"n":2,"new":1,"newer":{}}', b'{"n":"odd"}')
    ground.run()
    assert [(row["payload"]["n"], row["_extra"], row["_raw"]) for row in rows(ground)] == [(2, None, None), (None,) * 3]
    assert summary(ground)[state.DROPPED + STREAM] == "3"


@pytest.mark.parametrize("frozen", [False, True])
def test_a_frozen_table_runs_on_and_says_what_is_new(ground: Ground, frozen: bool) -> None:
    ground.typing = Typing(columns=Mode.EVOLVE if frozen else Mode.FREEZE, pins=pin("paid@1", V1), frozen=frozen)
    put(ground, b'{"n":1,"new":{"a":1}}', b'{"n":1,"new":2}')
    tail = ground.run()
    assert (tail.status().reason, list(tail.status().drift)) == (None, ["/new"])
    assert [row["_extra"] for row in rows(ground)] == ['{"/new":{"a":1}}', '{"/new":2}']


def test_without_a_pin_the_first_rows_make_the_columns_that_a_contract_keeps(ground: Ground) -> None:
    ground.typing = Typing(columns=Mode.FREEZE)
    put(ground, b'{"n":1,"a":"x"}')
    ground.run()
    put(ground, b'{"n":2,"b":1}')
    ground.run()
    assert [field.name for field in payload(ground).fields] == ["n", "a"]
    assert rows(ground)[1]["_extra"] == '{"/b":1}'


def test_a_production_source_without_pins_names_no_column(ground: Ground) -> None:
    ground.typing = Typing(frozen=True)
    put(ground, b'{"n":1}')
    assert ground.run().status().reason is None
    assert "payload" not in ground.table().schema().column_names
    assert [row["_extra"] for row in rows(ground)] == ['{"/n":1}']


def test_a_schema_that_cannot_be_read_leaves_typing_to_the_values(ground: Ground) -> None:
    ground.typing = Typing(Limits(), pins=(("broken@1", b'{"properties":'),))
    put(ground, b'{"n":1}')
    assert ground.run().status().reason is None
    assert payload(ground).fields[0].field_type == LongType()


def test_the_dictionary_says_where_payload_and_schema_have_a_column(ground: Ground) -> None:
    ground.typing = Typing(pins=pin("paid@1", {"properties": {"a/b": {"type": "object", "properties": {"[x]": {}}}}}))
    put(ground, b'{"a/b":{"[x]":true},"n":1}')
    ground.run()
    found = {one["name"]: one for one in dictionary(ground.table().schema())}
    assert [found[name]["pointer"] for name in ("payload.a/b.[x]", "payload.n", "event_id")] == [
        "/a~1b/[x]",
        "/n",
        None,
    ]
    ground.typing = Typing(pins=pin("paid@2", V1))
    put(ground, PAID)
    ground.run()
    found = {one["name"]: one for one in dictionary(ground.table().schema())}
    assert (found["payload.at"]["schema"], found["payload.meta"]["schema"]) == (
        "paid@2#/properties/at", "paid@2#/properties/meta",
    )  # fmt: skip
    assert found["payload.n"]["schema"] is None
    assert json_rows(newest(ground.table(), "received_at", 1), ground.table().schema())[0]["payload"] == {
        "n": 1, "at": "2026-01-01T00:00:00.000000Z", "day": "2026-01-02", "amount": 19.99, "meta": {"k": [1]},
    }  # fmt: skip
