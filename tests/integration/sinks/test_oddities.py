"""What stops or silently damages other sinks (one odd record among good ones) does neither here."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sinks.rows.rebuild import rebuild
from sinks.table import schema
from tests.integration.sinks.world import World, wire_event

GOOD = 200
ODD: dict[str, bytes] = {
    "a string in a long": b'{"n":"twelve","s":"x","o":{"a":1}}',
    "digits in a string": b'{"n":"9","s":"x"}',
    "a fraction in a long": b'{"n":5.7}',
    "past 64 bits": b'{"n":9223372036854775813}',
    "a number in a string": b'{"s":12}',
    "an object in a string": b'{"s":{"k":[1,2]}}',
    "a scalar where a struct is": b'{"o":"flat"}',
    "an array where a struct is": b'{"o":[1,{"a":2}]}',
    "a top-level array": b"[1,2,3]",
    "null": b"null",
    "an empty name": b'{"n":1,"":5}',
    "new members": b'{"n":1,"new":{"deep":true},"items":[{"x":1}]}',
    "a member named twice": b'{"n":1,"n":2}',
    "a lone surrogate": b'{"s":"\\ud800"}',
    "names that meet": b'{"N":1,"n":2,"a b":1,"a_x20b":2}',
    "white space": b'{ "n" : 1 ,\n\t"s" : "y"\r\n}',
    "empty things": b'{"n":1,"e":[],"f":{},"g":[null],"h":null}',
}


def duck(metadata_location: str, query: str) -> list[tuple[Any, ...]]:
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in ("avro", "iceberg"):
        spec = importlib.util.find_spec(f"duckdb_extension_{name}")
        assert spec is not None
        assert spec.submodule_search_locations
        path = next(Path(spec.submodule_search_locations[0]).rglob(f"{name}.duckdb_extension"))
        connection.execute(f"LOAD '{path}'")
    return connection.execute(query.replace("TABLE", f"iceberg_scan('{metadata_location}')")).fetchall()


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(member) for name, member in value.items() if member is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("batched", [True, False], ids=["in one batch", "one by one"])
def test_lands_every_odd_record_with_its_neighbours(world: World, batched: bool) -> None:
    world.make_topic(world.topic)
    stream = world.stream()
    world.start()
    good = [json.dumps({"n": n, "s": f"s{n}", "o": {"a": n}}).encode() for n in range(GOOD)]
    odd = list(ODD.values())
    world.events(good[: GOOD // 2])
    world.wait_rows(stream, GOOD // 2)
    sent = good[: GOOD // 2]
    rest = [*odd, *good[GOOD // 2 :]]
    for chunk in [rest] if batched else [[one] for one in odd] + [good[GOOD // 2 :]]:
        world.events(chunk, first=len(sent))
        sent += chunk
        if not batched and len(chunk) == 1:
            world.wait_rows(stream, len(sent))
    rows = sorted(world.wait_rows(stream, len(sent)), key=lambda row: row["_offset"])
    table = world.catalog().load_table((world.tenant, "orders"))
    shape = schema.shape(table.schema())
    for row, raw in zip(rows, sent, strict=True):
        back = rebuild(row["payload"], row["_extra"], row["_raw"], shape)
        assert without_nulls(back) == without_nulls(json.loads(raw)), raw
    found = duck(table.metadata_location, "SELECT count(*), count(DISTINCT event_id), sum(payload.n) FROM TABLE")
    expected = sum(row["payload"]["n"] or 0 for row in rows if row["payload"])
    assert found == [(len(sent), len(sent), expected)]


def test_lands_a_record_that_is_not_an_event(world: World) -> None:
    world.make_topic(world.topic)
    stream = world.stream()
    world.start()
    latin = wire_event(2, b'{"s":"\xe9"}')
    world.produce([wire_event(1, b'{"n":1}'), b"not json \xff", latin, b"", wire_event(3, b'{"n":3}')])
    rows = world.wait_rows(stream, 5)
    by_offset = {(row["_topic"], row["_offset"]): row for row in rows}
    assert sum(row["payload"] is not None and row["payload"]["n"] is not None for row in rows) == 2
    assert sum(row["_raw"] is not None for row in rows) == 3
    assert len(by_offset) == 5
