"""The data dictionary of a table: each column's name, type and doc.

Lives here: the list, flattened with dots; what an analyst can name in a query.
"""

from typing import Any

from pyiceberg.schema import Schema
from pyiceberg.types import NestedField, StructType


def dictionary(schema: Schema) -> list[dict[str, Any]]:
    """Return every column, structs before their members."""
    found: list[dict[str, Any]] = []

    def walk(field: NestedField, prefix: str) -> None:
        name = f"{prefix}{field.name}"
        nested = isinstance(field.field_type, StructType)
        kind = "struct" if nested else str(field.field_type)
        found.append({"name": name, "type": kind, "doc": field.doc or "", "fieldId": field.field_id})
        if isinstance(field.field_type, StructType):
            for child in field.field_type.fields:
                walk(child, f"{name}.")

    for field in schema.fields:
        walk(field, "")
    return found
