"""What an analyst pastes to read a table: DuckDB, pyiceberg, polars, Spark, Trino.

Lives here: the texts. No secret is ever in one: a password in the catalog's address is shown as ***.
"""

import re
from collections.abc import Mapping

from schemas.settings.processes import LakeSettings

_PASSWORD = re.compile(r"(://[^:/@]*):[^@/]*@")
_DUCKDB = "INSTALL iceberg;\nLOAD iceberg;\n"
_JDBC = {"postgresql": "postgresql", "sqlite": "sqlite"}


def uri(settings: LakeSettings) -> str:
    """Return the catalog's address without a password; "" if it has none."""
    return "" if settings.catalog_uri is None else _PASSWORD.sub(r"\1:***@", settings.catalog_uri.get_secret_value())


def snippets(settings: LakeSettings, identifier: tuple[str, str], metadata_location: str) -> Mapping[str, str]:
    """Return one text per engine."""
    namespace, table = identifier
    name, address, warehouse = settings.catalog_name, uri(settings), settings.catalog_warehouse or ""
    options = [f"type={settings.catalog_type!r}", f"uri={address!r}"]
    if warehouse:
        options.append(f"warehouse={warehouse!r}")
    load = (
        "from pyiceberg.catalog import load_catalog\n"
        f"catalog = load_catalog({name!r}, {', '.join(options)})\n"
        f'table = catalog.load_table("{namespace}.{table}")\n'
    )
    return {
        "duckdb": _DUCKDB + f"SELECT * FROM iceberg_scan('{metadata_location}') LIMIT 10;",  # noqa: S608 a text
        "pyiceberg": load + "print(table.scan(limit=10).to_arrow())",
        "polars": load + "import polars as pl\nprint(pl.scan_iceberg(table).head(10).collect())",
        "spark": _spark(name, settings.catalog_type, address, warehouse)  # noqa: S608
        + f"SELECT * FROM {name}.`{namespace}`.`{table}` LIMIT 10;",  # noqa: S608
        "trino": f'SELECT * FROM {name}."{namespace}"."{table}" LIMIT 10',  # noqa: S608
    }


def _spark(name: str, kind: str, address: str, warehouse: str) -> str:
    lines = [f"spark.sql.catalog.{name}=org.apache.iceberg.spark.SparkCatalog"]
    if kind == "rest":
        lines += [f"spark.sql.catalog.{name}.type=rest", f"spark.sql.catalog.{name}.uri={address}"]
    elif kind == "sql":
        scheme, _, rest = address.partition("://")
        scheme = _JDBC.get(scheme.partition("+")[0], scheme)
        place = f"jdbc:{scheme}:{rest.removeprefix('/')}" if scheme == "sqlite" else f"jdbc:{scheme}://{rest}"
        lines += [
            f"spark.sql.catalog.{name}.type=jdbc",
            f"spark.sql.catalog.{name}.uri={place}",
            f"spark.sql.catalog.{name}.warehouse={warehouse}",
            f"spark.sql.catalog.{name}.jdbc.schema-version=V1",
        ]
    return "".join(f"-- --conf {line}\n" for line in lines)
