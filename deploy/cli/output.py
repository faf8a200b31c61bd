"""How `hookberg query` shows a result: a table on the terminal, CSV, or a Parquet file.

Lives here: rows to text. Not here: where they come from (query.py).
"""

import csv
import datetime as dt
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

MAX_ROWS = 200
"""Rows that a terminal is shown; files get all."""
MAX_CELL = 2_000
_NUMBERS = (int, float, Decimal)
_NESTED = (dict, list, tuple)
Row = tuple[Any, ...]


def shown(value: Any) -> str:  # noqa: ANN401 whatever DuckDB answers
    """Return a value as text: nested ones as JSON, times in UTC."""
    if isinstance(value, _NESTED):
        return json.dumps(value, default=shown, ensure_ascii=False)
    if isinstance(value, dt.datetime):
        text = value.isoformat(sep=" ", timespec="milliseconds" if value.microsecond % 1000 == 0 else "microseconds")
        return text.removesuffix("+00:00") + ("Z" if value.tzinfo is not None else "")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    return str(value)


def print_table(console: Console, columns: Sequence[str], rows: Sequence[Row], more: bool, seconds: float) -> None:
    """Print rows as a table, or one below the other where the terminal is too narrow for their columns."""
    table = Table(pad_edge=True)
    for number, name in enumerate(columns):
        values = [row[number] for row in rows if row[number] is not None]
        right = bool(values) and all(isinstance(one, _NUMBERS) and not isinstance(one, bool) for one in values)
        table.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    if len(columns) > console.width // 16:
        _print_records(console, columns, rows)
    else:
        console.print(table)
    count = f"the first {len(rows):,} rows" if more else f"{len(rows):,} row{'' if len(rows) == 1 else 's'}"
    hint = "; all of them: --csv or --parquet FILE" if more else ""
    console.print(Text(f"{count} in {seconds:.2f} s{hint}", style="dim"))


def _print_records(console: Console, columns: Sequence[str], rows: Sequence[Row]) -> None:
    width = max(map(len, columns))
    for number, row in enumerate(rows, 1):
        console.print(Text(f"── {number} ".ljust(width + 2, "─"), style="dim"))
        for name, value in zip(columns, row, strict=True):
            console.print(Text.assemble((name.ljust(width), "bold"), "  ", _cell(value)), soft_wrap=True)


def _cell(value: Any) -> Text:  # noqa: ANN401 whatever DuckDB answers
    if value is None:
        return Text("null", style="dim")
    text = shown(value)
    return Text(text if len(text) <= MAX_CELL else text[:MAX_CELL] + "…", style="")


def write_csv(columns: Sequence[str], chunks: Iterable[Sequence[Row]], to: TextIO) -> int:
    """Write a header and every row (RFC 4180, null as nothing); return how many rows."""
    writer = csv.writer(to, lineterminator="\n")
    writer.writerow(columns)
    count = 0
    for rows in chunks:
        writer.writerows([["" if value is None else shown(value) for value in row] for row in rows])
        count += len(rows)
    return count
