"""What an analyst pastes to read a table: DuckDB, pyiceberg, polars, Spark, Trino.

Lives here: the texts, through the REST catalog of the API (`door`) and past it (`direct`: whoever holds the catalog's
credentials). No secret is ever in one: a password in the catalog's address is shown as ***, a key as KEY.
"""

import re
from collections.abc import Mapping, Sequence

from schemas import names
from schemas.settings.processes import LakeSettings
from sinks.columns.policy import Path
from sinks.read import latest

_PASSWORD = re.compile(r"(://[^:/@]*):[^@/]*@")
_DUCKDB = "INSTALL iceberg;\nLOAD iceberg;\n"
_SELECT = "SELECT * FROM {} LIMIT 10"
_SHOW = "print(table.scan(limit=10).to_arrow())"
_SHOW_POLARS = "import polars as pl\nprint(pl.scan_iceberg(table).head(10).collect())"
KEY = "YOUR_API_KEY"
_JDBC = {"postgresql": "postgresql", "sqlite": "sqlite"}


def uri(settings: LakeSettings) -> str:
    """Return the catalog's address without a password; "" if it has none."""
    return "" if settings.catalog_uri is None else _PASSWORD.sub(r"\1:***@", settings.catalog_uri.get_secret_value())


def door(
    name: str,
    address: str,
    identifier: tuple[str, str],
    asked: latest.Latest | None = None,
    columns: Sequence[str] = (),
) -> Mapping[str, str]:
    """Return one text per engine that reads through the API at `address`; each has `KEY` where the API key goes.

    `asked`: the latest version of every key in place of the first rows; Spark and Trino have a view of it.
    `columns`: the table's top-level ones, in its order.
    """
    namespace, table = identifier
    view = names.latest_view(table) if asked is not None else table
    quoted, ticked = f'{name}."{namespace}"."{table}"', f"{name}.`{namespace}`.`{view}`"
    seen = f'{name}."{namespace}"."{view}"'
    options = f'type="rest", uri="{address}", token="{KEY}"'
    load = (
        "from pyiceberg.catalog import load_catalog\n"
        f'catalog = load_catalog("{name}", {options})\n'
        f'table = catalog.load_table("{namespace}.{table}")\n'
    )
    catalog = f"spark.sql.catalog.{name}"
    spark = {
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.type": "rest",
        f"{catalog}.uri": address,
        f"{catalog}.token": KEY,
    }
    trino = {
        "connector.name": "iceberg",
        "iceberg.catalog.type": "rest",
        "iceberg.rest-catalog.uri": address,
        "iceberg.rest-catalog.security": "OAUTH2",
        "iceberg.rest-catalog.oauth2.token": KEY,
    }
    return {
        "duckdb": _DUCKDB
        + f"CREATE SECRET {name} (TYPE iceberg, TOKEN '{KEY}');\n"
        + f"ATTACH '{name}' AS {name} (TYPE iceberg, ENDPOINT '{address}', SECRET {name});\n"
        + (_SELECT.format(quoted) if asked is None else latest.sql(asked, "duckdb", quoted))
        + ";",
        "pyiceberg": load + _shown(asked),
        "polars": load + _shown_by_polars(asked),
        "spark": "".join(f"-- --conf {key}={value}\n" for key, value in spark.items())
        + _select_of_spark(ticked, columns),
        "trino": f"-- etc/catalog/{name}.properties\n"
        + "".join(f"-- {key}={value}\n" for key, value in trino.items())
        + _SELECT.format(seen),
    }


def _shown(asked: latest.Latest | None) -> str:
    if asked is None:
        return _SHOW
    query = latest.sql(asked, "duckdb", "t")
    return f'print(table.scan().to_duckdb("t").sql("""{query}"""))'


def _shown_by_polars(asked: latest.Latest | None) -> str:
    if asked is None:
        return _SHOW_POLARS
    key = ", ".join(map(_column, asked.key)) or "pl.lit(None)"
    order = ", ".join(map(_column, asked.order))
    return (
        f"import polars as pl\nkey = [{key}]\n"
        "print(\n"
        "    pl.scan_iceberg(table)\n"
        "    .filter(pl.all_horizontal([column.is_not_null() for column in key]))\n"
        f"    .sort([{order}], descending=True, nulls_last=True)\n"
        "    .filter(pl.int_range(pl.len()).over(key) == 0)\n"
        "    .collect()\n"
        ")"
    )


def _column(path: Path) -> str:
    return f"pl.col({path[0]!r})" + "".join(f".struct.field({step!r})" for step in path[1:])


def direct(
    settings: LakeSettings,
    identifier: tuple[str, str],
    metadata_location: str,
    asked: latest.Latest | None = None,
    columns: Sequence[str] = (),
) -> Mapping[str, str]:
    """Return one text per engine that reads the catalog itself, or for DuckDB the table as it stands now.

    `asked`: the latest version of every key in place of the first rows. `columns`: the table's top-level ones.
    """
    namespace, table = identifier
    name, address, warehouse = settings.catalog_name, uri(settings), settings.catalog_warehouse or ""
    quoted, ticked = (f"{name}.{mark}{namespace}{mark}.{mark}{table}{mark}" for mark in ('"', "`"))
    options = [f"type={settings.catalog_type!r}", f"uri={address!r}"]
    if warehouse:
        options.append(f"warehouse={warehouse!r}")
    load = (
        "from pyiceberg.catalog import load_catalog\n"
        f"catalog = load_catalog({name!r}, {', '.join(options)})\n"
        f'table = catalog.load_table("{namespace}.{table}")\n'
    )

    def select(dialect: latest.Dialect, source: str) -> str:
        return _SELECT.format(source) if asked is None else latest.sql(asked, dialect, source)

    return {
        "duckdb": _DUCKDB + select("duckdb", f"iceberg_scan('{metadata_location}')") + ";",
        "pyiceberg": load + _shown(asked),
        "polars": load + _shown_by_polars(asked),
        "spark": _spark(name, settings.catalog_type, address, warehouse)
        + (_select_of_spark(ticked, columns) if asked is None else latest.sql(asked, "spark", ticked) + ";"),
        "trino": select("trino", quoted),
    }


def _select_of_spark(table: str, columns: Sequence[str]) -> str:
    own = [column for column in columns if column.lower() in latest.SPARKS_OWN]
    if not own:
        return _SELECT.format(table) + ";"
    named = ", ".join(f"`{column}`" for column in columns if column not in own)
    return f"-- without {', '.join(own)}: Spark keeps that name for itself\nSELECT {named} FROM {table} LIMIT 10;"


def _spark(name: str, kind: str, address: str, warehouse: str) -> str:
    lines = [f"spark.sql.catalog.{name}=org.apache.iceberg.spark.SparkCatalog"]
    if kind == "rest":
        lines += [f"spark.sql.catalog.{name}.type=rest", f"spark.sql.catalog.{name}.uri={address}"]
    elif kind == "sql":
        scheme, _, rest = address.partition("://")
        scheme = _JDBC.get(scheme.partition("+")[0], scheme)
        login, _, host = rest.rpartition("@")  # the driver takes neither in the address
        place = f"jdbc:{scheme}:{rest.removeprefix('/')}" if scheme == "sqlite" else f"jdbc:{scheme}://{host}"
        user, _, password = login.partition(":")
        lines += [
            f"spark.sql.catalog.{name}.type=jdbc",
            f"spark.sql.catalog.{name}.uri={place}",
            *([f"spark.sql.catalog.{name}.jdbc.user={user}"] if user else []),
            *([f"spark.sql.catalog.{name}.jdbc.password=YOUR_PASSWORD"] if password else []),
            f"spark.sql.catalog.{name}.warehouse={warehouse}",
            f"spark.sql.catalog.{name}.jdbc.schema-version=V1",
        ]
    return "".join(f"-- --conf {line}\n" for line in lines)
