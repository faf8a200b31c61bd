"""Spark reads our tables with the very text that `hookberg table NAME` prints."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.definitions.key import Permission
from schemas.settings.processes import LakeSettings
from sinks.columns.key import Key
from sinks.read.catalog import CatalogTables
from sinks.read.reader import Reader
from sinks.read.snippets import direct
from tests.engines.spark import Spark
from tests.house.postgres import Postgres
from tests.house.rest_catalog import RestCatalogServer
from tests.integration.api.world import running
from tests.integration.lake import places
from tests.integration.lake.places import Place, put
from tests.unit.sinks.ground import GATE, TOPIC, Ground

ROWS = 7


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Ground]:
    """Yield a SQLite catalog with acme.orders, written by our writer: nested, with a column that came later."""
    GATE.clear()
    ground = Ground(tmp_path / "lake")
    ground.log.make(TOPIC)
    ground.log.events(0, 4)
    ground.log.events(4, ROWS - 4, late=1)
    ground.run()
    yield ground
    ground.close()
    GATE.clear()


def settings(lake: Ground) -> LakeSettings:
    """Return how that catalog is opened."""
    return LakeSettings(
        catalog_uri=f"sqlite:///{lake.folder}/catalog.db", catalog_warehouse=f"file://{lake.folder}/warehouse"
    )


def check(rows: list[list[str]], lake: Ground) -> None:
    """Compare what Spark read with what the table holds: the snippet's rows, then a line of sums."""
    held = lake.table().scan().to_arrow()
    names = [name for name in held.column_names if name != "_partition"]
    assert sorted(row[names.index("event_id")] for row in rows[:-1]) == sorted(held["event_id"].to_pylist())
    total = sum(range(ROWS))
    assert rows[-1] == [str(ROWS), str(total), str(ROWS - 4)]


SUMS = "SELECT count(*), sum(payload.n), sum(payload.late) FROM {}"


async def test_spark_reads_through_the_door_of_the_api(
    spark: Spark, lake: Ground, tmp_path: Path, template: Path
) -> None:
    catalog = CatalogTables(lambda: lake.reader)
    async with running(tmp_path, template, catalog=catalog) as api:
        await api.make("/tenants", {"id": "acme"})
        key = await api.key_for("acme", Permission.TABLES_READ)
        reader = Reader(settings(lake), lambda: lake.reader, api.url)
        told = await asyncio.to_thread(reader._table, ("acme", "orders"))
        text = told["snippets"]["spark"].replace("YOUR_API_KEY", key)
        rows = await asyncio.to_thread(spark.run, text, tmp_path, SUMS.format("hookberg.acme.orders"))
        reader.close()
    catalog.close()
    check(rows, lake)


async def test_spark_reads_the_latest_versions_by_the_view_and_past_it(
    spark: Spark, lake: Ground, tmp_path: Path, template: Path
) -> None:
    """The key is `late`: null of the first events, which have no key then, and 1 of the others."""
    catalog = CatalogTables(lambda: lake.reader)
    async with running(tmp_path, template, catalog=catalog) as api:
        await api.make("/tenants", {"id": "acme"})
        stream = {"name": "orders", "topics": ["{tenantId}.webhook.shop"], "targetTable": "orders"}
        await api.make("/streams", stream | {"primaryKey": ["late"], "sequenceField": "n"}, tenant="acme")
        key = await api.key_for("acme", Permission.TABLES_READ)
        reader = Reader(settings(lake), lambda: lake.reader, api.url)
        told = await asyncio.to_thread(reader._table, ("acme", "orders"), Key(("late",), ("n",)))
        text = told["latest"]["snippets"]["spark"].replace("YOUR_API_KEY", key)
        again = told["latest"]["direct"]["spark"].splitlines()
        query = " ".join(line for line in again if not line.startswith("--")).rstrip(";")
        count = "SELECT count(*), sum(payload.n) FROM hookberg.acme.orders_latest"
        seen, total, past = await asyncio.to_thread(spark.run, text, tmp_path, count, query)
        reader.close()
    catalog.close()
    assert seen == past
    assert total == ["1", str(ROWS - 1)]


def test_spark_reads_the_sqlite_catalog_of_a_local_start(spark: Spark, lake: Ground, tmp_path: Path) -> None:
    reader = Reader(settings(lake), lambda: lake.reader, "http://127.0.0.1:1")
    text = reader._table(("acme", "orders"))["direct"]["spark"]
    reader.close()
    check(spark.run(text, tmp_path, SUMS.format("hookberg.acme.orders")), lake)


def test_spark_keeps_a_column_of_ours_to_itself(spark: Spark, lake: Ground, tmp_path: Path) -> None:
    """Pins a limit that the README states: if this fails, Spark reads `_partition`, and the snippets may say *."""
    text = direct(settings(lake), ("acme", "orders"), "")["spark"]
    assert text.splitlines()[-1].startswith("SELECT * ")
    with pytest.raises(AssertionError, match=r"reserved for Iceberg metadata columns: \[_partition\]"):
        spark.run(text, tmp_path)


def read_there(spark: Spark, place: Place, folder: Path) -> None:
    """Write at a place, read with the direct snippet, compare."""
    catalog = place.open()
    table = place.table(catalog)
    put(catalog, table, 0, 4)
    put(catalog, table, 4, ROWS, grown=True)
    reader = Reader(place.settings, place.open, "http://127.0.0.1:1")
    told = reader._table(place.identifier)
    reader.close()
    names = table.schema().column_names
    top = [name for name in names if "." not in name and name != "_partition"]
    count = f"SELECT count(*), count(DISTINCT event_id) FROM hookberg.{place.namespace}.orders"
    rows = spark.run(told["direct"]["spark"], folder, count)
    assert sorted(row[top.index("event_id")] for row in rows[:-1]) == [f"e{n}" for n in range(ROWS)]
    assert rows[-1] == [str(ROWS), str(ROWS)]


def test_spark_reads_the_catalog_in_postgres(spark: Spark, postgres: Postgres, tmp_path: Path) -> None:
    with places.postgres(tmp_path, postgres) as place:
        read_there(spark, place, tmp_path)


def test_spark_reads_a_rest_catalog(spark: Spark, rest_catalog: RestCatalogServer, tmp_path: Path) -> None:
    with places.rest(rest_catalog) as place:
        read_there(spark, place, tmp_path)
