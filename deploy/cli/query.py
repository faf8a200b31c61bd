"""`hookberg query "SQL"`: DuckDB over the Iceberg tables of a server or a data folder.

Lives here: how tables become views, and the run. A table is `tenant.table`: in a data folder a view over the newest
metadata in its catalog, else one through the server's REST catalog (`/iceberg/v1`), for which a key with tables:read is
enough. DuckDB 1.5.5 and its extensions come as wheels, so nothing is fetched.
"""

import importlib.util
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar
from urllib.parse import quote

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from deploy.cli.client import DataDirOption, KeyOption, Server, ServerError, TenantOption, UrlOption, find
from deploy.cli.output import MAX_ROWS, Row, print_table, write_csv
from schemas import names
from schemas.definitions.stream import StreamDefinition

if TYPE_CHECKING:
    import duckdb
    from pyiceberg.table import Table

EXTENSIONS = ("avro", "httpfs", "iceberg")
DOOR = "hookberg_door"
CHUNK = 10_000
PATIENCE_S, LOOK_S = 0.5, 0.1
"""A query that is done within half a second shows no progress."""
T = TypeVar("T")
CsvOption = Annotated[bool, typer.Option("--csv", help="Write all rows as CSV to standard output")]
ParquetOption = Annotated[Path | None, typer.Option("--parquet", help="Write all rows to this Parquet file")]


@dataclass(frozen=True, slots=True)
class TableRef:
    """A table and what DuckDB reads it by: `iceberg_scan('…')`, or its name behind the door.

    `query`: of a view, what it shows, over tables of the same names.
    """

    namespace: str
    name: str
    scan: str
    query: Callable[[], str] | None = None


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("query", help='Run SQL over the tables: "SELECT count(*) FROM default.github_events".')(_query)


def _query(
    sql: Annotated[str, typer.Argument(help="DuckDB SQL; tables are tenant.table")],
    as_csv: CsvOption = False,
    parquet: ParquetOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    import duckdb  # 40 MB that every process would carry whose command line this is

    if as_csv and parquet is not None:
        raise ServerError("--csv and --parquet: choose one")
    server = find(url, key, tenant, data_dir)
    folder = None if url or os.environ.get("HOOKBERG_URL") else server.data_dir
    tables = remote_tables(server) if folder is None else local_tables(folder)
    started = time.monotonic()
    try:
        connection = connect(tables, sql, server if folder is None else None)
        said = quoted(sql, tables, connection)
        if parquet is not None:
            watched(connection, lambda: _to_parquet(connection, said, parquet))
            Console(stderr=True).print(f"{parquet} written in {time.monotonic() - started:.2f} s", highlight=False)
            return
        columns, rows = watched(connection, lambda: _first(connection, said, CHUNK if as_csv else MAX_ROWS + 1))
    except (duckdb.Error, OSError) as exc:
        known = ", ".join(sorted(f"{ref.namespace}.{ref.name}" for ref in tables)) or "none yet"
        raise ServerError(f"{exc}\ntables: {known}") from None
    if as_csv:
        write_csv(columns, _chunks(connection, rows), sys.stdout)
    else:
        print_table(Console(), columns, rows[:MAX_ROWS], len(rows) > MAX_ROWS, time.monotonic() - started)


def _first(connection: "duckdb.DuckDBPyConnection", sql: str, most: int) -> tuple[list[str], list[Row]]:
    result = connection.execute(sql)
    return [column[0] for column in result.description or ()], result.fetchmany(most)


def _chunks(connection: "duckdb.DuckDBPyConnection", rows: list[Row]) -> Iterator[list[Row]]:
    while rows:
        yield rows
        rows = connection.fetchmany(CHUNK)


def _to_parquet(connection: "duckdb.DuckDBPyConnection", sql: str, path: Path) -> None:
    """Write a query's rows to a file; by COPY, which lets other threads run while it binds and reads."""
    place = str(path).replace("'", "''")
    connection.execute(f"COPY ({sql.strip().rstrip(';')}\n) TO '{place}' (FORMAT parquet, COMPRESSION zstd)")


def watched(connection: "duckdb.DuckDBPyConnection", run: Callable[[], T]) -> T:
    """Run a query in a thread and show its progress on a terminal's standard error; Ctrl-C ends it."""
    answer: list[T] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            answer.append(run())
        except BaseException as exc:  # noqa: BLE001 raised again below, in the caller's thread
            failed.append(exc)

    thread = threading.Thread(target=work, name="query", daemon=True)
    thread.start()
    try:
        thread.join(PATIENCE_S)
        if thread.is_alive() and sys.stderr.isatty():
            _show_progress(connection, thread)
        thread.join()
    except KeyboardInterrupt:
        connection.interrupt()
        thread.join()
        raise
    if failed:
        raise failed[0]
    return answer[0]


def _show_progress(connection: "duckdb.DuckDBPyConnection", thread: threading.Thread) -> None:
    parts = (TextColumn("reading"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*parts, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=None)
        while thread.is_alive():
            thread.join(LOOK_S)
            share = connection.query_progress()
            if share > 0:  # -1 until DuckDB can tell
                progress.update(task, total=100.0, completed=share)


def connect(tables: list[TableRef], sql: str, door: Server | None = None) -> "duckdb.DuckDBPyConnection":
    """Open DuckDB with a view for each table whose name the SQL mentions, through the server's door if it is named."""
    import duckdb

    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.execute("SET TimeZone='UTC'")
    load_extensions(connection)
    mentioned = [ref for ref in tables if ref.name in sql]
    if door is not None and mentioned:
        key = door.key.replace("'", "''")
        tenant = f", EXTRA_HTTP_HEADERS MAP {{'X-Tenant-Id': '{door.tenant}'}}" if door.tenant else ""
        connection.execute(f"CREATE SECRET {DOOR} (TYPE iceberg, TOKEN '{key}'{tenant})")
        endpoint = f"{door.url}/iceberg".replace("'", "''")
        connection.execute(f"ATTACH '{DOOR}' AS {DOOR} (TYPE iceberg, ENDPOINT '{endpoint}', SECRET {DOOR})")
    for ref in sorted(mentioned, key=lambda ref: ref.query is not None):  # a view's table is there before it
        text = f"SELECT * FROM {ref.scan}" if ref.query is None else ref.query()  # noqa: S608
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{ref.namespace}"')
        connection.execute(f'CREATE VIEW "{ref.namespace}"."{ref.name}" AS {text}')
    return connection


def load_extensions(connection: "duckdb.DuckDBPyConnection") -> None:
    """Load what reads Iceberg from the wheels that brought it; the connection must allow unsigned extensions."""
    for extension in EXTENSIONS:
        connection.execute(f"LOAD '{_extension_file(extension)}'")


def quoted(sql: str, tables: list[TableRef], connection: "duckdb.DuckDBPyConnection") -> str:
    """Quote tenants that are SQL keywords, as `default` is, so that every table may be written tenant.table."""
    keywords = {name for (name,) in connection.execute("SELECT keyword_name FROM duckdb_keywords()").fetchall()}
    for namespace in {ref.namespace for ref in tables} & keywords:
        written = re.compile(rf"(?<![\w\".]){re.escape(namespace)}\.(?=\w)")
        sql = written.sub(f'"{namespace}".', sql)
    return sql


def local_tables(data_dir: Path) -> list[TableRef]:
    """Return the tables of a data folder's own catalog."""
    from pyiceberg.catalog.sql import SqlCatalog  # start-up of the other commands stays quick

    path = (data_dir / "catalog.db").absolute()
    if not path.is_file():
        raise ServerError(f"{path} does not exist yet: start `hookberg up` on this data folder first")
    catalog = SqlCatalog("hookberg", uri=f"sqlite:///{path}", init_catalog_tables="false")
    found = [
        (namespace[0], catalog.load_table(name))
        for namespace in catalog.list_namespaces()
        for name in catalog.list_tables(namespace)
    ]
    refs = [TableRef(namespace, table.name()[-1], _scan(table.metadata_location)) for namespace, table in found]
    return [*refs, *_local_views(data_dir / "registry.db", {table.name(): table for _, table in found})]


def _local_views(registry: Path, tables: "Mapping[tuple[str, ...], Table]") -> list[TableRef]:
    """Return the `latest` views over tables, as the streams in a data folder's registry have keys."""
    from sinks.read import latest
    from sinks.split.known import members

    found: list[TableRef] = []
    for tenant, definition in _streams(registry):
        own, key = names.namespace(tenant, definition.target_table or ""), latest.key_in(definition)
        if key is None or own not in tables:
            continue
        for table in (own[1], *(one.table for one in members(tables[own].metadata))):
            identifier, view = (own[0], table), latest.name_of((own[0], table))
            if identifier in tables and view not in tables:
                asked = latest.of(tables[identifier].schema(), key)
                text = latest.sql(asked, "duckdb", latest.quoted(identifier, "duckdb"))
                found.append(TableRef(*view, "", partial(str, text)))
    return found


def _streams(registry: Path) -> list[tuple[str, StreamDefinition]]:
    from sqlalchemy import create_engine, select

    from schemas.backing.registry.tables import STREAMS

    if not registry.is_file():
        return []
    engine = create_engine(f"sqlite:///file:{quote(str(registry.absolute()))}?mode=ro&uri=true")
    try:
        with engine.connect() as connection:
            rows = connection.execute(select(STREAMS.c.tenant_id, STREAMS.c.definition)).all()
    finally:
        engine.dispose()
    return [(tenant, StreamDefinition.model_validate_json(text)) for tenant, text in rows]


def remote_tables(server: Server) -> list[TableRef]:
    """Return the tables and views that the server's REST catalog shows to the key."""
    found: list[TableRef] = []
    for (namespace,) in server.catalog("/namespaces")["namespaces"]:
        space = f"/namespaces/{quote(namespace, safe='')}"
        tables, views = (
            [one["name"] for one in server.catalog(f"{space}/{kind}")["identifiers"]] for kind in ("tables", "views")
        )
        found += [TableRef(namespace, name, f'{DOOR}."{namespace}"."{name}"') for name in tables]
        found += [
            TableRef(namespace, name, "", partial(_query_of, server, f"{space}/views/{quote(name, safe='')}"))
            for name in views
        ]
    return found


def _query_of(server: Server, path: str) -> str:
    (version,) = server.catalog(path)["metadata"]["versions"]
    return next(str(one["sql"]) for one in version["representations"] if one["dialect"] == "duckdb")


def _scan(metadata_location: str) -> str:
    location = metadata_location.removeprefix("file://").replace("'", "''")
    return f"iceberg_scan('{location}')"


def _extension_file(name: str) -> str:
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = [path for folder in folders for path in Path(folder).rglob("*.duckdb_extension")]
    if not found:
        raise ServerError(f"the package duckdb-extension-{name} is not installed: run `make setup`")
    return str(found[0])
