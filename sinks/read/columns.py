"""The data dictionary of a table: each column's name, type, doc, and where the payload and its schema have it.

Lives here: the list, flattened with dots; what an analyst can name in a query.
"""

import re
from typing import Any

from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.types import NestedField, StructType

from sinks.columns.policy import Path
from sinks.read.fill import NOTHING, filled
from sinks.rows.salvage import pointer
from sinks.rows.system import JSON_DOC, PAYLOAD
from sinks.table.schema import is_flat, is_ours, payload_doc

_SCHEMA = re.compile(r" \[(\S+@\d+#.*?)\](?:: |$)")


def described(table: Table) -> list[dict[str, Any]]:
    """Return the dictionary with how full each column is among the newest rows; blocks on storage."""
    found = filled(table)
    return [one | found.get(path, NOTHING) for path, one in _walked(table.schema())]


def dictionary(schema: Schema) -> list[dict[str, Any]]:
    """Return every column, structs before their members.

    `pointer`: of the payload's member, `schema`: `subject@version#pointer` that typed it; null where there is none.
    """
    return [one for _path, one in _walked(schema)]


def _walked(schema: Schema) -> list[tuple[Path, dict[str, Any]]]:
    found: list[tuple[Path, dict[str, Any]]] = []
    flat = is_flat(schema)

    def walk(field: NestedField, at: Path, *, theirs: bool) -> None:
        path = (*at, field.name)
        nested = isinstance(field.field_type, StructType)
        member = path[1:] if path[0] == PAYLOAD and not flat else ()
        if flat and theirs:
            member = path
        one = {
            "name": ".".join(path),
            "type": "struct" if nested else str(field.field_type),
            "doc": field.doc or "",
            "fieldId": field.field_id,
            "pointer": "".join(map(pointer, member)) if member else None,
            "schema": _schema(field.doc or "", member) if member else None,
        }
        found.append((path, one))
        if isinstance(field.field_type, StructType):
            for child in field.field_type.fields:
                walk(child, path, theirs=theirs)

    for field in schema.fields:
        walk(field, (), theirs=not is_ours(field))
    return found


def _schema(doc: str, member: Path) -> str | None:
    rest = doc.removeprefix(f"{JSON_DOC}: ").removeprefix(payload_doc(member))
    known = _SCHEMA.match(rest)
    return known.group(1) if known else None
