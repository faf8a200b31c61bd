"""The newest rows of a table, as JSON values.

Lives here: which files to read, and Arrow values into JSON. Files are read newest first until there are enough rows,
so a page costs the same whatever the table's size.
"""

import base64
import json
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pyiceberg.conversions import from_bytes
from pyiceberg.expressions import AlwaysTrue, BooleanExpression
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.schema import Schema
from pyiceberg.table import FileScanTask, Table
from pyiceberg.types import LongType, StructType

from sinks.rows.system import JSON_DOC, PAYLOAD

MAX_FILES = 200
_SAFE = 2**53


def newest(
    table: Table, by: str, limit: int, where: BooleanExpression | None = None, columns: Sequence[str] | None = None
) -> pa.Table:
    """Return at most `limit` rows, newest by column `by` first; blocks on storage, reads at most 200 files."""
    where = where or AlwaysTrue()
    schema = table.schema() if columns is None else table.schema().select(*columns)
    field_id = table.schema().find_field(by).field_id
    scan = table.scan(row_filter=where)
    tasks = sorted(scan.plan_files(), key=lambda task: _upper(task, field_id), reverse=True)
    found: pa.Table | None = None
    for place, task in enumerate(tasks[:MAX_FILES]):
        if found is not None and found.num_rows >= limit:
            oldest = found.column(by)[limit - 1].cast(pa.int64()).as_py() if found.column(by)[limit - 1].is_valid else 0
            if _upper(task, field_id) < oldest:
                break
        rows = ArrowScan(table.metadata, table.io, schema, where).to_table([task])
        found = rows if place == 0 or found is None else pa.concat_tables([found, rows], promote_options="permissive")
        found = found.sort_by([(by, "descending")]).slice(0, max(limit, 1))
    return schema_to_empty(schema) if found is None else found.slice(0, limit)


def schema_to_empty(schema: Schema) -> pa.Table:
    """Return a table without rows."""
    return schema.as_arrow().empty_table()


def json_rows(rows: pa.Table, schema: Schema) -> list[dict[str, Any]]:
    """Return rows as JSON values; JSON text columns are shown as the values that they hold."""
    texts = json_columns(schema)
    return [_object(row, texts, ()) for row in rows.to_pylist()]


def json_columns(schema: Schema) -> set[tuple[str, ...]]:
    """Return the paths of the columns that hold JSON text."""
    found: set[tuple[str, ...]] = set()

    def walk(struct: StructType, at: tuple[str, ...]) -> None:
        for field in struct.fields:
            if isinstance(field.field_type, StructType):
                walk(field.field_type, (*at, field.name))
            elif (field.doc or "").startswith(JSON_DOC):
                found.add((*at, field.name))

    walk(schema.as_struct(), ())
    return found


def _object(value: dict[str, Any], texts: set[tuple[str, ...]], at: tuple[str, ...]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, member in value.items():
        path = (*at, name)
        if isinstance(member, dict):
            made[name] = _object(member, texts, path)
        elif path in texts and isinstance(member, str):
            made[name] = _json(member)
        elif member is not None or path[0] != PAYLOAD:
            made[name] = json_value(member)
    return made


def json_value(value: Any) -> Any:  # noqa: ANN401 Arrow's Python values
    """Return one value as JSON knows it: times as RFC 3339, bytes as base64."""
    if isinstance(value, date):
        exact = {"timespec": "microseconds"} if isinstance(value, datetime) else {}
        return value.isoformat(**exact).replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list):
        return [json_value(item) for item in value]
    if isinstance(value, dict):
        return {name: json_value(member) for name, member in value.items()}
    return value


def _json(text: str) -> Any:  # noqa: ANN401 JSON
    try:
        return json.loads(text)
    except ValueError:  # a record that is no event, in a table of texts
        return text


def _number(value: Decimal) -> Any:  # noqa: ANN401 JSON
    """Return a decimal as a number where JSON's readers keep it, else as text."""
    if value == value.to_integral_value() and abs(value) <= _SAFE:
        return int(value)
    wide = float(value)
    return wide if Decimal(repr(wide)) == value else str(value)


def _upper(task: FileScanTask, field_id: int) -> int:
    bound = (task.file.upper_bounds or {}).get(field_id)
    return 2**62 if bound is None else int(from_bytes(LongType(), bound))
