"""What is handed to analysts holds no secret; a table is dropped only for its owner."""

from pathlib import Path

import pyarrow as pa
import pytest

from schemas.backing.lake import open_catalog
from schemas.settings.processes import LakeSettings
from sinks.jobs.drop_table import drop
from sinks.read.snippets import direct, door, uri
from sinks.table import create, schema, state


def test_snippets_show_no_password() -> None:
    given = LakeSettings(catalog_uri="postgresql+psycopg://me:hush@db/lake", catalog_warehouse="s3://lake")
    texts = direct(given, ("acme", "orders"), "s3://lake/acme/orders/metadata/1.metadata.json")
    assert uri(given) == "postgresql+psycopg://me:***@db/lake"
    assert "hush" not in repr(texts)
    assert "uri=jdbc:postgresql://db/lake\n" in texts["spark"]  # the driver takes no user in the address
    assert "jdbc.user=me\n" in texts["spark"]
    assert "jdbc.password=YOUR_PASSWORD\n" in texts["spark"]


OURS = {"namespace": "acme", "table": "ours", "streamId": "s1"}


def at_once(_seconds: float) -> None:
    """Stand in for a sleep."""


def test_snippets_name_a_local_catalog_as_each_tool_reads_it() -> None:
    given = LakeSettings(catalog_uri="sqlite:////data/catalog.db", catalog_warehouse="file:///data/warehouse")
    texts = direct(given, ("acme", "orders"), "file:///data/warehouse/acme/orders/metadata/1.metadata.json")
    assert "uri=jdbc:sqlite:/data/catalog.db\n" in texts["spark"]
    assert "uri='sqlite:////data/catalog.db'" in texts["pyiceberg"]
    for engine in ("pyiceberg", "polars"):
        compile(texts[engine], engine, "exec")
        assert texts[engine].splitlines()[-1].startswith("print(")  # a script that shows nothing looks broken


def test_snippets_for_spark_name_the_columns_when_it_cannot_select_them_all() -> None:
    there = ("acme", "orders")
    assert "SELECT * FROM" in door("hookberg", "https://api.example/iceberg", there, columns=["id", "_offset"])["spark"]
    text = door("hookberg", "https://api.example/iceberg", there, columns=["id", "_partition", "_Pos", "_offset"])[
        "spark"
    ]
    assert text.splitlines()[-2:] == [
        "-- without _partition, _Pos: Spark keeps that name for itself",
        "SELECT `id`, `_offset` FROM hookberg.`acme`.`orders` LIMIT 10;",
    ]


def test_snippets_through_the_door_hold_a_place_for_the_key_and_none() -> None:
    texts = door("hookberg", "https://api.example/iceberg", ("acme__web", "orders"))
    assert texts.keys() == {"duckdb", "pyiceberg", "polars", "spark", "trino"}
    assert all("https://api.example/iceberg" in text and "YOUR_API_KEY" in text for text in texts.values())
    for engine in ("pyiceberg", "polars"):
        compile(texts[engine], engine, "exec")
        assert texts[engine].splitlines()[-1].startswith("print(")


def test_drops_only_the_table_of_the_stream_that_is_named(tmp_path: Path) -> None:
    catalog = open_catalog(
        LakeSettings(catalog_uri=f"sqlite:///{tmp_path}/c.db", catalog_warehouse=f"file://{tmp_path}/w")
    )
    create.take(catalog, ("acme", "ours"), schema.events(), "s1", dict)
    catalog.create_table(("acme", "theirs"), pa.schema([("a", pa.string())]))
    for table, owner in (("ours", "s2"), ("theirs", "s1")):
        result, failed = drop(catalog, {"namespace": "acme", "table": table, "streamId": owner}, at_once)
        assert failed
        assert not result["dropped"]
    assert state.owner(catalog.load_table(("acme", "ours")).metadata) == "s1"
    assert drop(catalog, OURS, at_once) == ({"dropped": True}, False)
    assert drop(catalog, OURS, at_once)[1] is False
    assert not catalog.table_exists(("acme", "ours"))
    assert catalog.table_exists(("acme", "theirs"))
    catalog.close()


def test_a_drop_that_was_broken_off_goes_on(tmp_path: Path) -> None:
    catalog = open_catalog(
        LakeSettings(catalog_uri=f"sqlite:///{tmp_path}/c.db", catalog_warehouse=f"file://{tmp_path}/w")
    )
    create.take(catalog, ("acme", "ours"), schema.events(), "s1", dict)

    def dies(_seconds: float) -> None:
        raise OSError("killed")

    with pytest.raises(OSError, match="killed"):
        drop(catalog, OURS, dies)
    with pytest.raises(create.Foreign):  # a tail of the deleted stream that has not heard of it yet
        create.take(catalog, ("acme", "ours"), schema.events(), "s1", dict)
    assert drop(catalog, OURS, at_once) == ({"dropped": True}, False)
    assert not catalog.table_exists(("acme", "ours"))
    catalog.close()


def test_spares_the_table_that_a_successor_made_meanwhile(tmp_path: Path) -> None:
    catalog = open_catalog(
        LakeSettings(catalog_uri=f"sqlite:///{tmp_path}/c.db", catalog_warehouse=f"file://{tmp_path}/w")
    )
    create.take(catalog, ("acme", "ours"), schema.events(), "s1", dict)

    def overtaken(_seconds: float) -> None:
        drop(catalog, OURS, at_once)
        create.take(catalog, ("acme", "ours"), schema.events(), "s2", dict)

    drop(catalog, OURS, overtaken)
    assert state.owner(catalog.load_table(("acme", "ours")).metadata) == "s2"
    catalog.close()
