"""Our rows and a table whose columns an operator has changed.

Lives here: fitting rows to the table as it is. A column of ours that was renamed is known by its field id and written
under its new name; one that was dropped is added again under a new id (its old values are what was dropped). What the
operator added stays null in our rows. Members of the payload need nothing of this: shapes are read from the table, and
a renamed member's old name is simply new (Iceberg spec, "Schema Evolution").
"""

from collections.abc import Iterator
from itertools import count

import pyarrow as pa
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.types import IcebergType, ListType, NestedField, StructType


def fit(rows: pa.Table, wanted: Schema, first: Schema, metadata: TableMetadata) -> tuple[pa.Table, Schema]:
    """Return rows and schema with every column of `first` (that of a new table) in its place; raises nothing."""
    have = {field.name: field for field in wanted.fields}
    missing = [field for field in first.fields if field.name not in have]
    if not missing:
        return rows, wanted
    ours = {field.name for field in first.fields}
    by_id = {field.field_id: field for field in wanted.fields if field.name not in ours}
    ids = count(max(metadata.last_column_id, wanted.highest_field_id) + 1)
    names, added = {}, []
    for field in missing:
        renamed = by_id.get(field.field_id)
        if renamed is not None and type(renamed.field_type) is type(field.field_type):
            names[field.name] = renamed.name
        else:
            kind = _fresh(field.field_type, ids)
            added.append(NestedField(next(ids), field.name, kind, required=False, doc=field.doc))
    rows = rows.rename_columns([names.get(name, name) for name in rows.column_names])
    if not added:
        return rows, wanted
    newest = max(known.schema_id for known in metadata.schemas)
    return rows, Schema(*wanted.fields, *added, schema_id=newest + 1)


def _fresh(kind: IcebergType, ids: Iterator[int]) -> IcebergType:
    if isinstance(kind, StructType):
        return StructType(
            *(NestedField(next(ids), f.name, _fresh(f.field_type, ids), required=False, doc=f.doc) for f in kind.fields)
        )
    if isinstance(kind, ListType):
        return ListType(next(ids), _fresh(kind.element_type, ids), element_required=False)
    return kind
