"""`hookberg table NAME --dbt`: a stream's tables as a dbt sources file.

Lives here: the text, YAML written by hand since a tree of texts needs no library. Not here: asking the server
(tables.py). https://docs.getdbt.com/reference/source-properties
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

RECEIVED = ("received_at", "_hb_received_at")
WARN_HOURS = 24
"""Without new rows for so long `dbt source freshness` warns: how often a vendor calls is his affair."""
Columns = Sequence[Mapping[str, Any]]


def sources(stream: str, tables: Sequence[tuple[Mapping[str, Any], Columns]]) -> str:
    """Return the file: one source, its tables as `GET /streams/{id}/table` and `/columns` tell them."""
    first, columns = tables[0]
    received = next((one["name"] for one in columns if one["name"] in RECEIVED), None)
    lines = [
        "version: 2",
        "",
        "sources:",
        f"  - name: {quoted(first['namespace'])}",
        f"    database: {quoted(first['catalog']['name'])}",
        f"    schema: {quoted(first['namespace'])}",
        f"    description: {quoted(f'webhooks landed by the stream {stream}')}",
    ]
    if received is not None:
        lines += [
            f"    loaded_at_field: {quoted(received)}",
            "    freshness:",
            f"      warn_after: {{count: {WARN_HOURS}, period: hour}}",
        ]
    lines.append("    tables:")
    for told, found in tables:
        lines += _table(told, found)
    return "\n".join(lines)


def _table(told: Mapping[str, Any], columns: Columns) -> Iterator[str]:
    kind = told.get("eventType")
    what = f"events of type {kind}" if kind else "events"
    if told.get("tables"):
        what = "events of types without a table of their own"
    yield f"      - name: {quoted(told['table'])}"
    yield f"        description: {quoted(what)}"
    yield "        columns:"
    for one in columns:
        yield f"          - name: {quoted(one['name'])}"
        yield f"            description: {quoted(one['doc'])}"
        yield f"            data_type: {quoted(one['type'])}"


def quoted(text: str) -> str:
    """Return a text as a YAML scalar between double quotes, whatever a vendor has put into it (YAML 1.2, 5.7)."""
    return '"' + "".join(map(_char, text)) + '"'


def _char(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char if char.isprintable() else f"\\U{ord(char):08x}"
