"""The latest version of every key of an append table: the query for each engine, and the view that holds it.

Lives here: SQL from a table's columns and its key; what a key and a version are is said in sinks/columns/key.py. The
view is no object that anybody stores: it is made of the table as it is when it is asked for, so it has its columns.
https://iceberg.apache.org/view-spec/
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from pyiceberg.schema import Schema

from schemas import names
from schemas.definitions.stream import StreamDefinition
from schemas.ports import TableMetadata
from sinks.columns.key import ORDER, Key, key_of
from sinks.columns.policy import Path
from sinks.rows.system import COLUMNS, PAYLOAD
from sinks.table import schema as schemas_of_tables

Dialect = Literal["duckdb", "spark", "trino"]
DIALECTS: tuple[Dialect, ...] = ("spark", "trino", "duckdb")
VERSION = "_hb_version"
SPARKS_OWN = {
    "_file", "_pos", "_deleted", "_spec_id", "_partition", "_row_id", "_last_updated_sequence_number",
    "_change_type", "_change_ordinal", "_commit_snapshot_id",
}  # fmt: skip
"""Names that Iceberg's runtime for Spark keeps for itself: a table may have such a column, Spark cannot select it."""
_IDS = {column.name: number for number, column in enumerate(COLUMNS, 1)}
"""By which a system column is found that an operator renamed (sinks/table/schema.py gives them out)."""


@dataclass(frozen=True, slots=True)
class Latest:
    """Top-level columns, the paths of the key's columns, and those that order versions, the first one deciding.

    No key: a member of it is no column yet, so no row has one.
    """

    columns: tuple[str, ...]
    key: tuple[Path, ...]
    order: tuple[Path, ...]


def key_in(definition: StreamDefinition) -> Key | None:
    """Return the key of a stream whose table holds every version; None for others (an upsert keeps the latest only)."""
    appends = definition.write_mode == "append"
    return key_of(definition.primary_key, definition.sequence_field) if appends else None


def of(schema: Schema, key: Key) -> Latest:
    """Return what the queries name; a sequence that is no column with an order does not count."""
    shape = schemas_of_tables.shape(schema)
    head = () if schemas_of_tables.is_flat(schema) else (PAYLOAD,)
    sequence = key.compared(shape)
    order = [] if sequence is None else [(*head, *sequence)]
    order += [(name,) for name in (_system(schema, one) for one in ORDER) if name is not None]
    members = tuple((*head, member) for member in key.members) if key.known(shape) else ()
    return Latest(tuple(field.name for field in schema.fields), members, tuple(order))


def sql(latest: Latest, dialect: Dialect, table: str, *, portable: bool = False) -> str:
    """Return the query over `table`, which is put in as it stands.

    `portable`: the columns that every engine can read, by name; those of Spark's own names are none of them.
    """
    named = [name for name in latest.columns if not (portable or dialect == "spark") or name.lower() not in SPARKS_OWN]
    columns = ", ".join(quoted((name,), dialect) for name in named)
    if dialect == "duckdb" and not portable:
        columns = "*"
    if not latest.key:
        return f"SELECT {columns} FROM {table} WHERE 1 = 0"  # noqa: S608 our own text
    if dialect == "duckdb":
        return f"SELECT {columns} FROM {table}\n{_having(latest, dialect)}\nQUALIFY {_number(latest, dialect)} = 1"  # noqa: S608
    version = quoted((VERSION,), dialect)
    inner = f"SELECT {columns}, {_number(latest, dialect)} AS {version}\nFROM {table}\n{_having(latest, dialect)}"
    return f"SELECT {columns} FROM (\n{inner}\n) WHERE {version} = 1"  # noqa: S608


def quoted(path: Path, dialect: Dialect) -> str:
    """Return a column as SQL names it."""
    mark = "`" if dialect == "spark" else '"'
    return ".".join(f"{mark}{step.replace(mark, mark * 2)}{mark}" for step in path)


def view(found: TableMetadata, identifier: tuple[str, str], key: Key, catalog: str) -> dict[str, Any]:
    """Return the metadata of the view over a table, in the words of the view spec.

    Spark resolves names where the view is; Trino takes none without a catalog, so there the view's is `catalog`. One
    schema is for all engines, so columns that Spark cannot read are in none.
    """
    table = orjson.loads(found.json)
    at = table["current-schema-id"]
    written = next(one for one in table["schemas"] if one["schema-id"] == at)
    latest = of(Schema.model_validate(written), key)
    sources: Mapping[Dialect, Path] = {"spark": identifier[1:], "duckdb": identifier, "trino": (catalog, *identifier)}
    texts = {one: sql(latest, one, quoted(sources[one], one), portable=True) for one in DIALECTS}
    fields = [one for one in written["fields"] if one["name"].lower() not in SPARKS_OWN]
    version = {
        "version-id": at + 1,
        "timestamp-ms": table["last-updated-ms"],
        "schema-id": at,
        "summary": {"engine-name": "hookberg"},
        "default-namespace": [identifier[0]],
        "representations": [{"type": "sql", "sql": text, "dialect": one} for one, text in texts.items()],
    }
    return {
        "view-uuid": str(uuid.uuid5(uuid.UUID(table["table-uuid"]), "latest")),
        "format-version": 1,
        "location": table["location"],
        "current-version-id": at + 1,
        "versions": [version],
        "version-log": [{"version-id": at + 1, "timestamp-ms": table["last-updated-ms"]}],
        "schemas": [written | {"fields": fields}],
        "properties": {"comment": f"the latest version of every key of {'.'.join(identifier)}"},
    }


def name_of(identifier: tuple[str, str]) -> tuple[str, str]:
    """Return namespace and name of a table's view."""
    return identifier[0], names.latest_view(identifier[1])


def _system(schema: Schema, name: str) -> str | None:
    named = schemas_of_tables.name_in(schema, name)
    return named if named in schema.column_names else schema.find_column_name(_IDS[name])


def _having(latest: Latest, dialect: Dialect) -> str:
    return "WHERE " + " AND ".join(f"{quoted(path, dialect)} IS NOT NULL" for path in latest.key)


def _number(latest: Latest, dialect: Dialect) -> str:
    keys = ", ".join(quoted(path, dialect) for path in latest.key)
    decide = list(latest.order)
    if dialect == "spark":
        seen = [path for path in decide if path[-1].lower() not in SPARKS_OWN]
        decide = seen if seen == decide else [*seen, ("event_id",)]
    order = ", ".join(f"{quoted(path, dialect)} DESC NULLS LAST" for path in decide)
    return f"row_number() OVER (PARTITION BY {keys} ORDER BY {order})"
