"""The analyst's view: tables read by pyiceberg and DuckDB from the catalog file, as a stranger would.

Catalog `hookberg`, SQLite, in the data folder (https://py.iceberg.apache.org/configuration/#sql-catalog).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from typing import Any

import duckdb
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table


@contextmanager
def catalog(data_dir: Path) -> Iterator[SqlCatalog]:
    """Open the server's catalog for reading."""
    opened = SqlCatalog(
        "hookberg",
        uri=f"sqlite:///{data_dir / 'catalog.db'}",
        warehouse=(data_dir / "warehouse").as_uri(),
        init_catalog_tables="false",
    )
    try:
        yield opened
    finally:
        opened.close()


def table(data_dir: Path, namespace: str, name: str) -> Table | None:
    """Load a table; None while it does not exist."""
    with catalog(data_dir) as opened:
        try:
            return opened.load_table((namespace, name))
        except NoSuchTableError:
            return None


def rows(data_dir: Path, namespace: str, name: str, *columns: str) -> list[dict[str, Any]]:
    """Return all rows of a table ([] while it does not exist), of `columns` only when some are named."""
    loaded = table(data_dir, namespace, name)
    if loaded is None or loaded.current_snapshot() is None:
        return []
    found: list[dict[str, Any]] = loaded.scan(selected_fields=columns or ("*",)).to_arrow().to_pylist()
    return found


def count(data_dir: Path, namespace: str, name: str) -> int:
    """Count the rows of a table; 0 while it does not exist."""
    loaded = table(data_dir, namespace, name)
    return 0 if loaded is None or loaded.current_snapshot() is None else loaded.scan().count()


def duckdb_rows(data_dir: Path, namespace: str, name: str, select: str) -> list[tuple[Any, ...]]:
    """Run `SELECT {select} FROM` the table by DuckDB's own Iceberg reader."""
    loaded = table(data_dir, namespace, name)
    assert loaded is not None, f"no table {namespace}.{name}"
    with duckdb.connect(config={"allow_unsigned_extensions": "true"}) as connection:
        connection.execute("SET TimeZone='UTC'")
        for extension in ("avro", "httpfs", "iceberg"):
            connection.execute(f"LOAD '{_extension(extension)}'")
        scan = f"SELECT {select} FROM iceberg_scan('{loaded.metadata_location}')"
        found: list[tuple[Any, ...]] = connection.execute(scan).fetchall()
        return found


def _extension(name: str) -> Path:
    """Find an extension that a wheel of PyPI brought, so that nothing is fetched at run time."""
    spec = util.find_spec(f"duckdb_extension_{name}")
    assert spec is not None, f"the wheel duckdb-extension-{name} is not installed"
    assert spec.submodule_search_locations is not None
    for folder in spec.submodule_search_locations:
        for found in Path(folder).rglob("*.duckdb_extension"):
            return found
    raise AssertionError(f"the wheel duckdb-extension-{name} holds no extension")
