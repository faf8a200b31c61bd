"""`latest`: the latest version of every key by sequence, else event time, else position, however late it came."""

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyiceberg.table import Table

from schemas.ports import TableMetadata
from schemas.settings.processes import LakeSettings
from sinks.columns.key import Key
from sinks.columns.typing import Typing
from sinks.read import latest, snippets
from tests.unit.sinks.ground import TOPIC, Ground
from tests.unit.sinks.test_stitch import put

PLAIN, SEQUENCED = Key(("id",)), Key(("id",), ("meta", "rev"))


@pytest.fixture(params=["nested", "flat", "stitch"])
def shop(ground: Ground, request: pytest.FixtureRequest) -> Ground:
    ground.layout = request.param
    ground.log.make(TOPIC, partitions=2)
    return ground


def shown(table: Table, key: Key, dialect: latest.Dialect = "duckdb") -> list[dict[str, Any]]:
    """Return the payloads that the query answers with; of the others' dialects what DuckDB reads, too."""
    t = table.scan().to_arrow()
    text = latest.sql(latest.of(table.schema(), key), dialect, "t")
    rows = duckdb.sql(text.replace("`", '"')).to_arrow_table().to_pylist()
    assert t.num_rows >= len(rows)
    names = [field.name for field in table.schema().fields if dialect != "spark" or field.name != "_partition"]
    assert all(list(row) == names for row in rows)
    found = [row.get("payload", row) for row in rows]
    return sorted(found, key=lambda row: str(row["id"]))


def values(table: Table, key: Key) -> dict[Any, Any]:
    every = [{row["id"]: row["v"] for row in shown(table, key, dialect)} for dialect in latest.DIALECTS]
    assert every[0] == every[1] == every[2]
    return every[0]


def test_a_late_event_never_wins(shop: Ground) -> None:
    put(shop, {"id": 1, "v": "new", "_at": 90}, {"id": 2, "v": "only"})
    shop.run()
    put(shop, {"id": 1, "v": "late", "_at": 10}, partition=1)
    shop.run()
    assert values(shop.table(), PLAIN) == {1: "new", 2: "only"}


def test_the_sequence_comes_before_event_time_and_a_version_without_it_is_older(shop: Ground) -> None:
    put(shop, {"id": 1, "v": "r7", "meta": {"rev": 7}}, {"id": 1, "v": "r6", "meta": {"rev": 6}, "_at": 90})
    put(shop, {"id": 1, "v": "none", "_at": 99}, {"id": 2, "v": "a", "_at": 5}, {"id": 2, "v": "b", "_at": 4})
    shop.run()
    assert values(shop.table(), SEQUENCED) == {1: "r7", 2: "a"}
    assert values(shop.table(), PLAIN) == {1: "none", 2: "a"}


def test_of_one_event_time_the_one_received_last_wins_whatever_its_partition(shop: Ground) -> None:
    put(shop, {"id": 1, "v": "second"}, received=2)
    put(shop, {"id": 1, "v": "first"}, partition=1, received=1)
    shop.run()
    assert values(shop.table(), PLAIN) == {1: "second"}


def test_ties_are_decided_by_position(shop: Ground) -> None:
    put(shop, *({"id": 1, "v": f"p1-{n}"} for n in range(3)), partition=1, received=5)
    put(shop, *({"id": 1, "v": f"p0-{n}"} for n in range(3)), received=5)
    shop.run()
    assert values(shop.table(), PLAIN) == {1: "p1-2"}


def test_rows_without_a_whole_key_are_versions_of_nothing(shop: Ground) -> None:
    put(shop, {"id": 1, "k": "a", "v": 1}, {"id": None, "k": "a", "v": 2}, {"k": "a", "v": 3}, {"id": "odd", "k": "a"})
    put(shop, {"id": 1, "k": "b", "v": 4}, {"id": 1, "v": 5})
    shop.run()
    found = shown(shop.table(), Key(("id", "k")))
    assert sorted((row["id"], row["k"], row["v"]) for row in found) == [(1, "a", 1), (1, "b", 4)]


def test_before_a_key_is_a_column_there_is_no_version(shop: Ground) -> None:
    put(shop, {"v": 1})
    shop.run()
    for dialect in latest.DIALECTS:
        table = shop.table()
        t = table.scan().to_arrow()
        text = latest.sql(latest.of(table.schema(), SEQUENCED), dialect, "t").replace("`", '"')
        assert duckdb.sql(text).to_arrow_table().num_rows == 0 < t.num_rows


def test_columns_with_odd_names_and_renamed_ones_are_found(ground: Ground) -> None:
    ground.log.make(TOPIC)
    put(ground, {'the "id`s': "a", "v": 1, "_at": 5}, {'the "id`s': "a", "v": 2, "_at": 4})
    ground.run()
    with ground.table().update_schema() as change:
        change.rename_column("event_time", "happened")
    t = ground.table().scan().to_arrow()
    asked = latest.of(ground.table().schema(), Key(('the "id`s',)))
    assert ("happened",) in asked.order
    rows = duckdb.sql(latest.sql(asked, "duckdb", "t")).to_arrow_table().to_pylist()
    assert ([row["payload"]["v"] for row in rows], t.num_rows) == ([1], 2)
    assert '`the "id``s`' in latest.sql(asked, "spark", "t")


def test_whatever_order_versions_come_in_the_same_one_wins(tmp_path: Path) -> None:
    versions = [{"id": 1, "v": f"{rev}-{at}", "rev": rev, "_at": at} for rev in (None, 1, 2) for at in (0, 7)]
    answers = set()
    for number, order in enumerate(_orders(versions)):
        ground = Ground(tmp_path / str(number))
        ground.log.make(TOPIC)
        ground.typing = Typing()
        put(ground, *order)
        ground.run()
        answers.add(json.dumps(values(ground.table(), Key(("id",), ("rev",)))))
        ground.close()
    assert answers == {'{"1": "2-7"}'}


def _orders(versions: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    yield versions
    yield versions[::-1]
    yield from itertools.islice(itertools.permutations(versions), 100, 700, 150)


def test_the_view_is_as_the_view_spec_wants_it(shop: Ground) -> None:
    put(shop, {"id": 1, "v": 1})
    shop.run()
    table = shop.table()
    text = TableMetadata(table.metadata_location, table.metadata.model_dump_json().encode())
    made = latest.view(text, ("acme", "orders"), PLAIN, "lake")
    assert (made["format-version"], made["location"]) == (1, table.location())
    (version,) = made["versions"]
    assert version["version-id"] == made["current-version-id"] == made["version-log"][0]["version-id"]
    assert version["schema-id"] == made["schemas"][0]["schema-id"]
    texts = {one["dialect"]: one["sql"] for one in version["representations"]}
    assert 'FROM "lake"."acme"."orders"' in texts["trino"]
    assert "FROM `orders`" in texts["spark"]
    assert 'FROM "acme"."orders"' in texts["duckdb"]
    names = [field["name"] for field in made["schemas"][0]["fields"]]
    assert names == [field.name for field in table.schema().fields if field.name != "_partition"]
    t = table.scan().to_arrow()
    for text in texts.values():
        at = re.sub(r'FROM [^(\n]*"orders"', "FROM t", text.replace("`", '"'))
        assert duckdb.sql(at).to_arrow_table().column_names == names
    assert t.num_rows == 1


def test_through_the_door_spark_and_trino_ask_the_view_and_past_it_the_table() -> None:
    asked, identifier = latest.Latest(("id",), (("id",),), (("event_time",),)), ("acme", "orders_push")
    direct = snippets.direct(LakeSettings(catalog_uri="sqlite://"), identifier, "x.metadata.json", asked)
    for engine in ("spark", "trino"):
        assert "orders_push_latest" in snippets.door("lake", "http://x", identifier, asked)[engine]
        assert "orders_push_latest" not in direct[engine]
        assert "row_number() OVER" in direct[engine]
