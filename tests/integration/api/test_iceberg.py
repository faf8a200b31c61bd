"""The analysts' door: a read-only Iceberg REST catalog, read by pyiceberg and DuckDB as a stranger would."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError, OAuthError, UnauthorizedError
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField
from typer.testing import CliRunner

from deploy.cli import app
from deploy.cli.client import ServerError
from deploy.cli.query import EXTENSIONS, _extension_file, load_extensions
from ingress.api.iceberg.paging import MAX_PAGE
from schemas.definitions.key import Permission
from schemas.definitions.stream import StreamDefinition
from schemas.definitions.view import StreamView
from schemas.settings.processes import LakeSettings
from sinks.read.catalog import CatalogTables
from sinks.read.reader import Reader
from tests.integration.api.world import Api, running
from tests.unit.sinks.ground import GATE, TOPIC, Ground

ROWS = 7
PROPERTIES = {"s3.endpoint": "https://s3.example", "client.region": "eu-1", "s3.secret-access-key": "read only secret"}
WRITES = (
    ("POST", "/iceberg/v1/namespaces"),
    ("DELETE", "/iceberg/v1/namespaces/acme"),
    ("POST", "/iceberg/v1/namespaces/acme/properties"),
    ("POST", "/iceberg/v1/namespaces/acme/tables"),
    ("POST", "/iceberg/v1/namespaces/acme/tables/orders"),
    ("DELETE", "/iceberg/v1/namespaces/acme/tables/orders"),
    ("POST", "/iceberg/v1/namespaces/acme/register"),
    ("POST", "/iceberg/v1/tables/rename"),
    ("POST", "/iceberg/v1/transactions/commit"),
    ("POST", "/iceberg/v1/namespaces/acme/views"),
    ("DELETE", "/iceberg/v1/namespaces/acme/views/latest"),
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Yield a catalog in which our writer has made acme.orders, and others acme__web.visits, rival.secrets, stray.t."""
    GATE.clear()
    ground = Ground(tmp_path_factory.mktemp("lake"))
    ground.log.make(TOPIC)
    ground.log.events(0, ROWS)
    ground.run()
    for namespace, table in (("acme__web", "visits"), ("rival", "secrets"), ("stray", "t")):
        ground.catalog.create_namespace(namespace)
        ground.catalog.create_table((namespace, table), Schema(NestedField(1, "id", LongType())))
    yield ground
    ground.close()
    GATE.clear()


@pytest.fixture
async def api(tmp_path: Path, template: Path, lake: Ground) -> AsyncIterator[Api]:
    """Yield the API over that catalog, with tenants acme and rival; `stray` is no tenant's namespace."""
    catalog = CatalogTables(lambda: lake.reader)
    async with running(tmp_path, template, catalog=catalog, iceberg_reader_properties=PROPERTIES) as found:
        for tenant in ("acme", "rival"):
            await found.make("/tenants", {"id": tenant})
        yield found
    catalog.close()


def pyiceberg(url: str, token: str, **more: str) -> Any:
    """Open the door with pyiceberg; `py-io-impl` because the properties handed out name an S3."""
    return load_catalog("door", type="rest", uri=f"{url}/iceberg", token=token, **more)


def duck(url: str, token: str) -> duckdb.DuckDBPyConnection:
    """Open the door with DuckDB, catalog `lake`."""
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    load_extensions(connection)
    connection.execute(f"CREATE SECRET door (TYPE iceberg, TOKEN '{token}')")
    connection.execute(f"ATTACH 'lake' AS lake (TYPE iceberg, ENDPOINT '{url}/iceberg', SECRET door)")
    return connection


@pytest.mark.filterwarnings("ignore:.*missing the OAuth2 server URI.*:DeprecationWarning")
async def test_pyiceberg_reads_the_rows_of_the_table_itself(api: Api, lake: Ground) -> None:
    key = await api.key_for("acme", Permission.TABLES_READ)

    def read() -> None:
        catalog = pyiceberg(api.url, key)
        assert catalog.list_namespaces() == [("acme",), ("acme__web",)]
        assert catalog.namespace_exists("acme__web")
        assert not catalog.namespace_exists("rival")
        assert catalog.list_tables("acme") == [("acme", "orders")]
        assert catalog.list_views("acme") == []
        assert not catalog.view_exists("acme.latest")
        assert catalog.table_exists("acme.orders")
        assert not catalog.table_exists("rival.secrets")
        table = catalog.load_table("acme.orders")
        assert table.metadata == lake.table().metadata
        assert table.io.properties["s3.endpoint"] == PROPERTIES["s3.endpoint"]
        assert table.scan().to_arrow().to_pylist() == lake.table().scan().to_arrow().to_pylist()
        assert table.scan().count() == ROWS

    await asyncio.to_thread(read)


async def test_duckdb_attaches_and_reads_the_same_rows(api: Api, lake: Ground) -> None:
    key = await api.key_for("acme", Permission.TABLES_READ)

    def read() -> None:
        with duck(api.url, key) as connection:
            assert connection.sql("SELECT DISTINCT schema FROM (SHOW ALL TABLES) WHERE database = 'lake'").fetchall()
            told = connection.sql("SELECT payload.n, event_id FROM lake.acme.orders ORDER BY ALL").fetchall()
            rows = lake.table().scan().to_arrow().to_pylist()
            assert told == sorted((row["payload"]["n"], row["event_id"]) for row in rows)
            with pytest.raises(duckdb.Error, match="does not exist"):
                connection.sql("SELECT * FROM lake.rival.secrets")

    await asyncio.to_thread(read)


async def error(api: Api, method: str, path: str, key: str | None = None, tenant: str | None = None) -> tuple[int, str]:
    """Send a call, check the error model, return status and type."""
    reply = await api.send(method, path, key=key, tenant=tenant)
    if method == "HEAD":
        return reply.status, ""
    assert reply.headers["Content-Type"].startswith("application/json"), reply
    assert reply.json["error"].keys() == {"message", "type", "code"}
    assert reply.json["error"]["code"] == reply.status
    return reply.status, reply.json["error"]["type"]


async def test_needs_a_key_that_may_read_tables(api: Api) -> None:
    for path in ("/iceberg/v1/config", "/iceberg/v1/namespaces/acme/tables/orders", "/iceberg/nothing"):
        refused = await api.send("GET", path, headers={"Authorization": ""})
        assert (refused.status, refused.json["error"]["type"]) == (401, "NotAuthorizedException")
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
        without = await api.key_for("acme", *(each for each in Permission if each is not Permission.TABLES_READ))
        assert await error(api, "GET", path, without) == (403, "ForbiddenException")


async def test_refuses_every_change(api: Api, lake: Ground) -> None:
    before = lake.table().metadata_location
    without = await api.key_for("acme", Permission.STREAMS_READ)
    for method, path in WRITES:
        told = await api.send(method, path, {"anything": 1})
        assert (told.status, told.json["error"]["type"]) == (403, "ForbiddenException"), (method, path)
        assert "read-only" in told.json["error"]["message"]
        assert await error(api, method, path, without) == (403, "ForbiddenException")
    assert lake.table().metadata_location == before


@pytest.mark.filterwarnings("ignore:.*missing the OAuth2 server URI.*:DeprecationWarning")
async def test_clients_say_what_was_refused(api: Api) -> None:
    key = await api.key_for("acme", Permission.TABLES_READ)

    def work() -> None:
        table = pyiceberg(api.url, key).load_table("acme.orders")
        with pytest.raises(RuntimeError, match="does not support endpoint"):
            table.append(table.scan().to_arrow())
        with pytest.raises(NoSuchTableError):
            pyiceberg(api.url, key).load_table("rival.secrets")
        with pytest.raises(UnauthorizedError, match="not known"):
            pyiceberg(api.url, "hbk_nobody")
        with pytest.raises(OAuthError, match="set `token` to an API key"):
            load_catalog("door", type="rest", uri=f"{api.url}/iceberg", credential="client:secret")

    await asyncio.to_thread(work)


async def test_a_key_sees_its_tenants_tables_only(api: Api) -> None:
    acme = await api.key_for("acme", Permission.TABLES_READ)
    rival = await api.key_for("rival", Permission.TABLES_READ)
    listed = await api.send("GET", "/iceberg/v1/namespaces", key=rival)
    assert listed.json["namespaces"] == [["rival"]]
    for path in ("namespaces/{}", "namespaces/{}/tables", "namespaces/{}/views", "namespaces?parent={}"):
        unknown = await api.send("GET", "/iceberg/v1/" + path.format("nobody"), key=acme)
        hidden = await api.send("GET", "/iceberg/v1/" + path.format("rival"), key=acme)
        assert hidden.status == unknown.status == 404
        assert hidden.body == unknown.body.replace(b"nobody", b"rival")
        assert hidden.json["error"]["type"] == "NoSuchNamespaceException"
    assert await error(api, "HEAD", "/iceberg/v1/namespaces/rival", acme) == (404, "")
    assert await error(api, "HEAD", "/iceberg/v1/namespaces/rival/tables/secrets", acme) == (404, "")
    missing = "NoSuchTableException"
    assert await error(api, "GET", "/iceberg/v1/namespaces/rival/tables/secrets", acme) == (404, missing)
    assert await error(api, "GET", "/iceberg/v1/namespaces/acme/tables/secrets", acme) == (404, missing)
    assert await error(api, "GET", "/iceberg/v1/namespaces/acme%1Fx/tables/orders", acme) == (404, missing)
    assert await error(api, "GET", "/iceberg/v1/namespaces/acme/views/x", acme) == (404, "NoSuchViewException")
    other = await error(api, "GET", "/iceberg/v1/namespaces", acme, "rival")
    assert other == (403, "ForbiddenException")


async def test_an_admin_key_sees_every_tenant_or_the_one_it_names(api: Api) -> None:
    every = await api.send("GET", "/iceberg/v1/namespaces")
    assert every.json["namespaces"] == [["acme"], ["acme__web"], ["rival"]], "`stray` is no tenant's"
    one = await api.send("GET", "/iceberg/v1/namespaces", tenant="acme")
    assert one.json["namespaces"] == [["acme"], ["acme__web"]]
    assert await error(api, "GET", "/iceberg/v1/namespaces/rival/tables", None, "acme") == (
        404,
        "NoSuchNamespaceException",
    )
    assert await error(api, "GET", "/iceberg/v1/namespaces/stray/tables/t") == (404, "NoSuchTableException")


async def test_pages_of_names_leave_out_none_and_double_none(api: Api) -> None:
    first = await api.send("GET", "/iceberg/v1/namespaces?pageSize=2&pageToken=")
    assert first.json["namespaces"] == [["acme"], ["acme__web"]]
    token = first.json["next-page-token"]
    second = await api.send("GET", f"/iceberg/v1/namespaces?pageSize=2&pageToken={token}")
    assert second.json == {"namespaces": [["rival"]], "next-page-token": None}
    whole = await api.send("GET", "/iceberg/v1/namespaces")
    assert (len(whole.json["namespaces"]), whole.json["next-page-token"]) == (3, None)
    large = await api.send("GET", f"/iceberg/v1/namespaces/acme/tables?pageSize={MAX_PAGE * 10}")
    assert large.json["identifiers"] == [{"namespace": ["acme"], "name": "orders"}]
    for bad in ("pageSize=0", "pageSize=-1", "pageSize=x", "pageToken=%00", "pageToken=" + "a" * 2000):
        assert await error(api, "GET", f"/iceberg/v1/namespaces?{bad}") == (400, "BadRequestException")


async def test_a_table_is_answered_as_its_file_has_it(api: Api, lake: Ground) -> None:
    path = "/iceberg/v1/namespaces/acme/tables/orders"
    told = await api.send("GET", path + "?snapshots=refs")
    location = lake.table().metadata_location
    assert told.json["metadata-location"] == location
    assert Path(location.removeprefix("file://")).read_bytes() in told.body
    assert told.json["config"] == PROPERTIES
    assert told.headers["Cache-Control"] == "no-store"
    again = await api.send("GET", path, headers={"If-None-Match": told.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert (await api.send("GET", path, headers={"If-None-Match": '"other"'})).status == 200
    assert (await api.send("HEAD", path)).status == 204
    assert PROPERTIES["s3.secret-access-key"] not in repr(api.env.settings)


async def test_says_which_calls_there_are_and_takes_scan_reports(api: Api) -> None:
    told = await api.send("GET", "/iceberg/v1/config?warehouse=anything")
    assert (told.json["defaults"], told.json["overrides"]) == ({}, {})
    assert "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}" in told.json["endpoints"]
    assert all(one.startswith(("GET ", "HEAD ")) for one in told.json["endpoints"])
    report = await api.send("POST", "/iceberg/v1/namespaces/acme/tables/orders/metrics", {"report-type": "scan-report"})
    assert report.status == 204
    planned = await error(api, "POST", "/iceberg/v1/namespaces/acme/tables/orders/plan")
    assert planned == (406, "UnsupportedOperationException")
    assert await error(api, "GET", "/iceberg/v2/config") == (404, "NotFoundException")


async def test_a_catalog_that_is_away_is_said_and_comes_back(tmp_path: Path, template: Path, lake: Ground) -> None:
    there = False

    def opened() -> SqlCatalog:
        return lake.reader if there else SqlCatalog("hookberg", uri="sqlite:////nowhere/catalog.db")

    catalog = CatalogTables(opened)
    async with running(tmp_path, template, catalog=catalog) as api:
        assert await error(api, "GET", "/iceberg/v1/namespaces") == (503, "ServiceUnavailableException")
        there = True
        assert (await api.send("GET", "/iceberg/v1/namespaces")).status == 200
    catalog.close()


def test_reads_compressed_metadata_and_no_view(tmp_path: Path, lake: Ground) -> None:
    text = Path(lake.table().metadata_location.removeprefix("file://")).read_bytes()
    (tmp_path / "0.gz.metadata.json").write_bytes(gzip.compress(text))
    (tmp_path / "1.metadata.json").write_text(json.dumps({"view-uuid": "v", "format-version": 1}))
    catalog = SqlCatalog("c", uri=f"sqlite:///{tmp_path}/c.db", warehouse=tmp_path.as_uri())
    catalog.create_namespace("acme")
    catalog.register_table(("acme", "packed"), f"file://{tmp_path}/0.gz.metadata.json")
    reader = CatalogTables(lambda: catalog)
    packed = asyncio.run(reader.metadata("acme", "packed"))
    assert packed is not None
    assert packed.json == text
    with catalog.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE iceberg_tables SET metadata_location = 'file://{tmp_path}/1.metadata.json'")
    assert not asyncio.run(reader.exists("acme", "packed"))
    reader.close()
    catalog.close()


def extensions_in(folder: Path) -> Path:
    """Lay the wheels' extensions out as DuckDB's INSTALL would have: what is installed is not fetched."""
    with duckdb.connect() as connection:
        platform = connection.sql("PRAGMA platform").fetchall()[0][0]
        place = folder / f"v{duckdb.__version__}" / platform
    place.mkdir(parents=True)
    for name in EXTENSIONS:
        (place / f"{name}.duckdb_extension").symlink_to(_extension_file(name))
    return folder


@pytest.mark.filterwarnings("ignore:.*missing the OAuth2 server URI.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Iceberg scan planning with the polars_iceberg plugin")
async def test_the_snippets_that_are_printed_read_the_table(
    api: Api, lake: Ground, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = LakeSettings(
        catalog_uri=f"sqlite:///{lake.folder}/catalog.db", catalog_warehouse=f"file://{lake.folder}/warehouse"
    )
    reader = Reader(settings, lambda: lake.reader, api.url)
    definition = StreamDefinition.model_validate({"name": "o", "topics": ["acme.event.shop"], "targetTable": "orders"})
    view = StreamView("s", "acme", "o", 1, definition, "running", 1, accept_loss=False, frozen=False)
    told = await reader.table(view)
    key = await api.key_for("acme", Permission.TABLES_READ)

    def read() -> None:
        for kind in ("snippets", "direct"):
            texts = {engine: text.replace("YOUR_API_KEY", key) for engine, text in told[kind].items()}
            config: dict[str, Any] = {
                "allow_unsigned_extensions": "true",
                "extension_directory": str(extensions_in(tmp_path / kind)),
            }
            with duckdb.connect(config=config) as connection:
                for extension in ("avro", "httpfs"):  # what DuckDB fetches by itself where it may
                    connection.execute(f"INSTALL {extension}; LOAD {extension}")
                assert len(connection.execute(texts["duckdb"]).fetchall()) == ROWS
            for engine in ("pyiceberg", "polars"):
                exec(texts[engine], {})  # this is what an analyst does with it
                assert "event_id" in capsys.readouterr().out

    await asyncio.to_thread(read)
    reader.close()


async def test_the_command_line_queries_a_server_by_the_door(api: Api, tmp_path: Path) -> None:
    key = await api.key_for("acme", Permission.TABLES_READ)
    sql = "SELECT payload.n AS n, event_time FROM acme.orders ORDER BY n"

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, ["query", *words, "--url", api.url, "--key", key])
        assert done.exit_code == 0, done.exception or done.output
        return done.stdout

    def work() -> None:
        lines = run(sql, "--csv").splitlines()
        assert lines[0] == "n,event_time"
        assert lines[1:] == [f"{n},2023-11-14 22:13:20.{n:03d}Z" for n in range(ROWS)]
        assert run(sql, "--parquet", str(tmp_path / "out.parquet")) == ""
        assert pq.read_table(tmp_path / "out.parquet")["n"].to_pylist() == list(range(ROWS))
        table = run("SELECT count(*) AS n FROM acme.orders")
        assert re.search(rf"│ {ROWS} │", table), table
        assert "1 row in" in table
        records = run("SELECT * FROM acme.orders")
        assert records.count("── ") == ROWS
        assert '{"n": 3}' in records
        refused = CliRunner().invoke(app, ["query", "SELECT * FROM rival.secrets", "--url", api.url, "--key", key])
        assert isinstance(refused.exception, ServerError)
        assert "tables: acme.orders, acme__web.visits" in str(refused.exception)

    await asyncio.to_thread(work)
