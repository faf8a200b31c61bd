"""The `latest` views of the analysts' door, and the queries that are printed: read by pyiceberg, DuckDB, polars."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from importlib import util
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyiceberg.exceptions import NoSuchViewError
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField
from pyiceberg.view.metadata import SQLViewRepresentation
from typer.testing import CliRunner

from deploy.cli import app
from deploy.cli.client import ServerError
from deploy.cli.query import connect, local_tables
from schemas.definitions.key import Permission
from schemas.settings.processes import LakeSettings
from sinks.columns.key import Key
from sinks.read.catalog import CatalogTables
from sinks.read.reader import Reader
from tests.integration.api.test_iceberg import WRITES, duck, error, extensions_in, pyiceberg
from tests.integration.api.world import Api, running
from tests.integration.sinks.world import wire_event
from tests.unit.sinks.ground import GATE, TOPIC, Ground
from tests.unit.sinks.split_ground import SplitGround
from tests.unit.sinks.test_stitch import put

VERSIONS = ({"id": 1, "v": "new", "_at": 90}, {"id": 2, "v": "only"}, {"id": 1, "v": "late", "_at": 10}, {"v": "none"})
LATEST = {1: "new", 2: "only"}
STREAM = {"name": "orders", "topics": ["{tenantId}.webhook.shop"], "targetTable": "orders"}
KEYED = STREAM | {"primaryKey": ["id"]}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Yield a catalog with acme.orders, which holds versions, and rival.orders."""
    GATE.clear()
    ground = Ground(tmp_path_factory.mktemp("lake"))
    ground.log.make(TOPIC)
    put(ground, *VERSIONS)
    ground.run()
    ground.catalog.create_namespace("rival")
    ground.catalog.create_table(("rival", "orders"), Schema(NestedField(1, "id", LongType())))
    yield ground
    ground.close()
    GATE.clear()


@pytest.fixture
async def api(tmp_path: Path, template: Path, lake: Ground) -> AsyncIterator[Api]:
    """Yield the API over that catalog, with a keyed stream for each tenant's table."""
    catalog = CatalogTables(lambda: lake.reader)
    async with running(tmp_path, template, catalog=catalog) as found:
        for tenant in ("acme", "rival"):
            await found.make("/tenants", {"id": tenant})
            await found.make("/streams", KEYED, tenant=tenant)
        yield found
    catalog.close()


def sql_of(view: Any, dialect: str) -> str:
    found = [one.root for one in view.metadata.versions[-1].representations]
    return next(one.sql for one in found if isinstance(one, SQLViewRepresentation) and one.dialect == dialect)


@pytest.mark.filterwarnings("ignore:.*missing the OAuth2 server URI.*:DeprecationWarning")
async def test_pyiceberg_finds_the_view_and_its_query_gives_the_latest_versions(api: Api, lake: Ground) -> None:
    key = await api.key_for("acme", Permission.TABLES_READ)

    def read() -> None:
        catalog = pyiceberg(api.url, key)
        assert catalog.list_views("acme") == [("acme", "orders_latest")]
        assert catalog.view_exists("acme.orders_latest")
        assert not catalog.view_exists("acme.orders")
        view = catalog.load_view("acme.orders_latest")
        assert view.metadata.view_uuid == catalog.load_view("acme.orders_latest").metadata.view_uuid
        assert {one.root.dialect for one in view.metadata.versions[-1].representations} == {"spark", "trino", "duckdb"}
        held = [field for field in lake.table().schema().fields if field.name != "_partition"]
        assert list(view.metadata.schemas[0].fields) == held
        with duck(api.url, key) as connection:
            connection.execute("USE lake.acme")
            for dialect in ("duckdb", "spark"):
                text = sql_of(view, dialect).replace("`", '"')
                rows = connection.execute(f"SELECT payload FROM ({text})").fetchall()
                assert {row["id"]: row["v"] for (row,) in rows} == LATEST
            trino = sql_of(view, "trino").replace('"hookberg"', "lake")
            assert len(connection.execute(trino).fetchall()) == len(LATEST)

    await asyncio.to_thread(read)


async def test_a_key_sees_its_tenants_views_only_and_changes_none(api: Api) -> None:
    acme = await api.key_for("acme", Permission.TABLES_READ)
    rival = await api.key_for("rival", Permission.TABLES_READ)
    path = "/iceberg/v1/namespaces/acme/views"
    assert (await api.send("GET", path, key=rival)).status == 404
    hidden = await api.send("GET", f"{path}/orders_latest", key=rival)
    unknown = await api.send("GET", "/iceberg/v1/namespaces/nobody/views/orders_latest", key=acme)
    assert (hidden.status, hidden.body) == (404, unknown.body.replace(b"nobody", b"acme"))
    assert await error(api, "HEAD", f"{path}/orders_latest", rival) == (404, "")
    assert (await api.send("HEAD", f"{path}/orders_latest", key=acme)).status == 204
    for method, one in WRITES:
        if "views" in one:
            changed = one.replace("views/latest", "views/orders_latest")
            assert await error(api, method, changed, acme) == (403, "ForbiddenException")


@pytest.mark.filterwarnings("ignore:.*missing the OAuth2 server URI.*:DeprecationWarning")
async def test_a_view_comes_and_goes_with_the_key_and_a_table_of_its_name_hides_it(api: Api, lake: Ground) -> None:
    key = await api.key_for("acme", Permission.TABLES_READ)

    async def listed() -> Any:
        await api.env.view.refresh()
        return (await api.send("GET", "/iceberg/v1/namespaces/acme/views", key=key)).json["identifiers"]

    assert await listed() == [{"namespace": ["acme"], "name": "orders_latest"}]
    lake.reader.create_table(("acme", "orders_latest"), Schema(NestedField(1, "id", LongType())))
    try:
        assert await listed() == []
    finally:
        lake.reader.drop_table(("acme", "orders_latest"))
    await api.send("PATCH", "/streams/orders", {"primaryKey": []}, tenant="acme")
    assert await listed() == []
    with pytest.raises(NoSuchViewError):
        await asyncio.to_thread(lambda: pyiceberg(api.url, key).load_view("acme.orders_latest"))


@pytest.mark.filterwarnings("ignore:.*missing the OAuth2 server URI.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Iceberg scan planning with the polars_iceberg plugin")
async def test_the_queries_that_are_printed_give_the_latest_versions(
    api: Api, lake: Ground, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = LakeSettings(
        catalog_uri=f"sqlite:///{lake.folder}/catalog.db", catalog_warehouse=f"file://{lake.folder}/warehouse"
    )
    reader = Reader(settings, lambda: lake.reader, api.url)
    told = await asyncio.to_thread(reader._table, ("acme", "orders"), Key(("id",)))
    key = await api.key_for("acme", Permission.TABLES_READ)

    def read() -> None:
        for kind in ("snippets", "direct"):
            texts = {engine: text.replace("YOUR_API_KEY", key) for engine, text in told["latest"][kind].items()}
            config: dict[str, Any] = {
                "allow_unsigned_extensions": "true",
                "extension_directory": str(extensions_in(tmp_path / kind)),
            }
            with duckdb.connect(config=config) as connection:
                for extension in ("avro", "httpfs"):
                    connection.execute(f"INSTALL {extension}; LOAD {extension}")
                rows = connection.execute(texts["duckdb"]).to_arrow_table().to_pylist()
                assert {row["payload"]["id"]: row["payload"]["v"] for row in rows} == LATEST
            for engine in ("pyiceberg", *(["polars"] if util.find_spec("polars") else [])):
                exec(texts[engine], {})
                shown = capsys.readouterr().out
                assert "new" in shown
                assert "late" not in shown
        assert told["latest"]["view"] == "acme.orders_latest"
        assert "acme`.`orders_latest`" in told["latest"]["snippets"]["spark"]

    await asyncio.to_thread(read)
    reader.close()


async def test_the_command_line_queries_views_of_a_server_and_of_a_data_folder(
    api: Api, lake: Ground, tmp_path: Path
) -> None:
    key = await api.key_for("acme", Permission.TABLES_READ)
    sql = "SELECT payload.id AS id, payload.v AS v FROM acme.orders_latest ORDER BY id"

    def work() -> None:
        done = CliRunner().invoke(app, ["query", sql, "--csv", "--url", api.url, "--key", key])
        assert done.exit_code == 0, done.exception or done.output
        assert done.stdout.splitlines() == ["id,v", "1,new", "2,only"]

    await asyncio.to_thread(work)
    (tmp_path / "catalog.db").symlink_to(lake.folder / "catalog.db")
    tables = local_tables(tmp_path)
    assert {f"{ref.namespace}.{ref.name}" for ref in tables} >= {"acme.orders", "acme.orders_latest"}
    with connect(tables, sql) as connection:
        assert dict(connection.execute(sql).fetchall()) == LATEST


@pytest.mark.filterwarnings("ignore:.*missing the OAuth2 server URI.*:DeprecationWarning")
async def test_each_table_of_a_split_stream_has_a_view_of_its_own_type(tmp_path: Path, template: Path) -> None:
    split = SplitGround(tmp_path / "lake")
    split.log.make(TOPIC)
    for n, (kind, body) in enumerate(
        [("push", {"id": 1, "v": "old"}), ("", {"id": 1, "v": "none"}), ("push", {"id": 1, "v": "new"}),
         ("issue", {"id": 1, "title": "x"}), ("push", {"id": 2, "v": "only"})]
    ):  # fmt: skip
        split.log.put(wire_event(n, json.dumps(body).encode(), kind=kind, at_ms=1_700_000_000_000 + n))
    split.run()
    catalog = CatalogTables(lambda: split.reader)
    (tmp_path / "catalog.db").symlink_to(split.folder / "catalog.db")

    def read(url: str, key: str) -> None:
        door = pyiceberg(url, key)
        assert sorted(name for _, name in door.list_views("acme")) == [
            "orders_issue_latest", "orders_latest", "orders_push_latest",
        ]  # fmt: skip
        view = door.load_view("acme.orders_push_latest")
        assert view.metadata.view_uuid != door.load_view("acme.orders_latest").metadata.view_uuid
        with duck(url, key) as connection:
            connection.execute("USE lake.acme")
            for dialect in ("duckdb", "spark"):
                text = sql_of(view, dialect).replace("`", '"')
                rows = connection.execute(f"SELECT payload FROM ({text})").fetchall()
                assert {row["id"]: row["v"] for (row,) in rows} == LATEST
        sql = "SELECT payload.id, payload.v FROM acme.orders_push_latest"
        with connect(local_tables(tmp_path), sql) as connection:
            assert dict(connection.execute(sql).fetchall()) == LATEST

    async with running(tmp_path, template, catalog=catalog) as api:
        await api.make("/tenants", {"id": "acme"})
        await api.make("/streams", KEYED | {"splitBy": "eventType"}, tenant="acme")
        await asyncio.to_thread(read, api.url, await api.key_for("acme", Permission.TABLES_READ))
        path = "/iceberg/v1/namespaces/acme/views/orders_push_latest"
        assert (await api.send("GET", path, key=await api.key_for("default", Permission.TABLES_READ))).status == 404
        split.reader.drop_table(("acme", "orders_push"))
        assert (await api.send("GET", path, key=api.key)).status == 404
    reader = Reader(LakeSettings(catalog_uri="sqlite://"), lambda: split.reader)
    assert reader._table(("acme", "orders_issue"), Key(("id",)))["latest"]["view"] == "acme.orders_issue_latest"
    reader.close()
    catalog.close()
    split.close()


async def test_the_command_line_prints_the_query_alone_or_says_why_there_is_none(
    api: Api, lake: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(LakeSettings(catalog_uri="sqlite://"), lambda: lake.reader, api.url)
    monkeypatch.setattr(api.tables, "table", reader.table)

    def run(*words: str) -> Any:
        return CliRunner().invoke(
            app, ["table", "orders", *words, "--url", api.url, "--key", api.key, "--tenant", "acme"]
        )

    def work() -> None:
        alone = run("--latest", "--engine", "trino", "--direct")
        assert alone.exit_code == 0, alone.exception or alone.output
        assert alone.stdout.startswith("SELECT ")
        assert "row_number() OVER (PARTITION BY" in alone.stdout
        assert "latest version of every key: acme.orders_latest (--latest)" in run().stdout

    await asyncio.to_thread(work)
    await api.send("PATCH", "/streams/orders", {"primaryKey": []}, tenant="acme")
    refused = await asyncio.to_thread(run, "--latest")
    assert isinstance(refused.exception, ServerError)
    assert "no versions to choose from" in str(refused.exception)
    reader.close()
