"""`hookberg query "SQL"` and `hookberg table NAME`: DuckDB over the Iceberg tables of a server or a data folder.

Lives here: how tables become views. A table is `tenant.table`; each view is an `iceberg_scan` of the newest metadata.
DuckDB 1.5.5 and its extensions come as wheels, so nothing is fetched.
"""

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from rich.console import Console
from rich.table import Table

from deploy.cli.client import DataDirOption, KeyOption, Server, ServerError, TenantOption, UrlOption, find
from deploy.cli.objects import show

EXTENSIONS = ("avro", "httpfs", "iceberg")
MAX_ROWS = 200


@dataclass(frozen=True, slots=True)
class TableRef:
    """A table and where its newest metadata is."""

    namespace: str
    name: str
    metadata: str


def add_to(app: typer.Typer) -> None:
    """Add the two commands."""
    app.command("query", help='Run SQL over the tables: "SELECT count(*) FROM default.github_events".')(_query)
    app.command("table", help="Where a stream's table is, and how to read it from other tools.")(_table)


def _query(
    sql: Annotated[str, typer.Argument(help="DuckDB SQL; tables are tenant.table")],
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    server = find(url, key, tenant, data_dir)
    tables = local_tables(server.data_dir) if server.data_dir and not url else remote_tables(server)
    try:
        connection = connect(tables, sql)
        result = connection.execute(quoted(sql, tables, connection))
        columns = [column[0] for column in result.description or ()]
        rows = result.fetchmany(MAX_ROWS + 1)
    except duckdb.Error as exc:
        known = ", ".join(sorted(f"{ref.namespace}.{ref.name}" for ref in tables)) or "none yet"
        raise ServerError(f"{exc}\ntables: {known}") from None
    print_rows(columns, rows)


def _table(
    stream: Annotated[str, typer.Argument(help="Name of the stream")],
    url: UrlOption = None,
    key: KeyOption = None,
    tenant: TenantOption = None,
    data_dir: DataDirOption = None,
) -> None:
    show(find(url, key, tenant, data_dir).call("GET", f"/streams/{stream}/table"))


def print_rows(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    """Print a result as a table, at most `MAX_ROWS` rows."""
    table = Table(*columns)
    for row in rows[:MAX_ROWS]:
        table.add_row(*("" if value is None else str(value) for value in row))
    Console().print(table)
    if len(rows) > MAX_ROWS:
        Console().print(f"the first {MAX_ROWS} rows; add LIMIT or an aggregate to the query")


def connect(tables: list[TableRef], sql: str) -> duckdb.DuckDBPyConnection:
    """Open DuckDB with a view for each table whose name the SQL mentions."""
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.execute("SET TimeZone='UTC'")
    load_extensions(connection)
    for ref in tables:
        if ref.name in sql:
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{ref.namespace}"')
            location = ref.metadata.removeprefix("file://").replace("'", "''")
            connection.execute(
                f'CREATE VIEW "{ref.namespace}"."{ref.name}" AS SELECT * FROM iceberg_scan(\'{location}\')'  # noqa: S608
            )
    return connection


def load_extensions(connection: duckdb.DuckDBPyConnection) -> None:
    """Load what reads Iceberg from the wheels that brought it; the connection must allow unsigned extensions."""
    for extension in EXTENSIONS:
        connection.execute(f"LOAD '{_extension_file(extension)}'")


def quoted(sql: str, tables: list[TableRef], connection: duckdb.DuckDBPyConnection) -> str:
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
    return [
        TableRef(namespace[0], name[-1], catalog.load_table(name).metadata_location)
        for namespace in catalog.list_namespaces()
        for name in catalog.list_tables(namespace)
    ]


def remote_tables(server: Server) -> list[TableRef]:
    """Return the tables of the tenant's streams as the server tells them."""
    refs = []
    for stream in server.call("GET", "/streams", query={"limit": "200"})["items"]:
        try:
            told = server.call("GET", f"/streams/{stream['id']}/table")
        except ServerError:
            continue  # no commit yet, so no table
        refs.append(TableRef(told["namespace"], told["table"], told["metadataLocation"]))
    return refs


def _extension_file(name: str) -> str:
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = [path for folder in folders for path in Path(folder).rglob("*.duckdb_extension")]
    if not found:
        raise ServerError(f"the package duckdb-extension-{name} is not installed: run `make setup`")
    return str(found[0])
