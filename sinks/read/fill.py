"""How full a table's columns are: share of rows with a value, distinct values, when seen first and last.

Lives here: counting over the newest rows. Files keep no such counts (statistics cost every commit, sinks/table), so a
bounded sample is read: it costs the same whatever the table's size, and says how many rows it is.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.table import Table

from sinks.columns.policy import Path
from sinks.read.rows import json_value, newest
from sinks.table.schema import name_in

SAMPLE = 2_000
"""Rows looked at, the newest by receive time."""


def filled(table: Table) -> dict[Path, dict[str, Any]]:
    """Return by column `rows` (looked at), `fillRate`, `distinct`, `firstSeen`, `lastSeen`; blocks on storage."""
    received = name_in(table.schema(), "received_at")
    rows = newest(table, received, SAMPLE).combine_chunks()
    times = rows[received].combine_chunks()
    return {path: _of(column, times) for path, column in _columns(rows)}


def _columns(rows: pa.Table) -> Iterator[tuple[Path, pa.Array]]:
    todo: list[tuple[Path, pa.Array]] = [((name,), rows[name].combine_chunks()) for name in rows.column_names]
    while todo:
        path, column = todo.pop()
        yield path, column
        if pa.types.is_struct(column.type):
            inner = zip((field.name for field in column.type), column.flatten(), strict=True)
            todo += [((*path, name), child) for name, child in inner]


def _of(column: pa.Array, times: pa.Array) -> dict[str, Any]:
    rows = len(column)
    there = rows - column.null_count
    seen = pc.min_max(times.filter(column.is_valid())).as_py() if there else {"min": None, "max": None}
    return {
        "rows": rows,
        "fillRate": round(there / rows, 4) if rows else None,
        "distinct": None if pa.types.is_nested(column.type) else pc.count_distinct(column).as_py(),
        "firstSeen": json_value(seen["min"]),
        "lastSeen": json_value(seen["max"]),
    }


NOTHING: dict[str, Any] = {"rows": 0, "fillRate": None, "distinct": None, "firstSeen": None, "lastSeen": None}
"""Of a column that no row looked at has."""
