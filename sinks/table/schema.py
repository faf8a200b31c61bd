"""A payload's shape and an Iceberg schema: the one from the other, both ways.

Lives here: types, docs and field ids. Ids of columns that exist never change; new ones come after the highest ever
used (Iceberg spec, "Schema Evolution").
"""

from collections.abc import Iterator, Sequence
from itertools import count

import pyarrow as pa
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DoubleType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    NestedField,
    StringType,
    StructType,
    TimestamptzType,
)

from sinks.columns.shape import ELEMENT, LIST_OF, Branch, Kind, Shape
from sinks.rows.system import COLUMNS, JSON_DOC, PAYLOAD, PAYLOAD_DOC, Column

_SCALAR: dict[Kind, IcebergType] = {
    Kind.BOOL: BooleanType(),
    Kind.LONG: LongType(),
    Kind.DOUBLE: DoubleType(),
    Kind.STRING: StringType(),
    Kind.JSON: StringType(),
}
_KIND: dict[type[IcebergType], Kind] = {
    BooleanType: Kind.BOOL,
    LongType: Kind.LONG,
    IntegerType: Kind.LONG,
    DoubleType: Kind.DOUBLE,
    StringType: Kind.STRING,
}


def fixed(columns: Sequence[Column]) -> Schema:
    """Return the schema of fixed columns, with docs."""
    ids = count(1)
    return Schema(
        *(NestedField(next(ids), c.name, _from_arrow(c.type, ids), required=False, doc=c.doc) for c in columns)
    )


def events() -> Schema:
    """Return the schema that an event table begins with: the system columns; the payload comes with the first rows."""
    return fixed(COLUMNS)


def shape(schema: Schema) -> Branch:
    """Return the shape of the payload column as the table has it; what we never write is left alone."""
    for column in schema.fields:
        if column.name == PAYLOAD and isinstance(column.field_type, StructType):
            return _branch(column.field_type)
    return Branch()


def extend(schema: Schema, wanted: Branch, highest_id: int, schema_id: int) -> Schema:
    """Return `schema` with the columns of `wanted` that it lacks, under new ids."""
    ids = count(highest_id + 1)
    columns = list(schema.fields)
    for place, column in enumerate(columns):
        if column.name == PAYLOAD and isinstance(column.field_type, StructType):
            grown = _extend(column.field_type, wanted, ids, "")
            columns[place] = column.model_copy(update={"field_type": grown})
            break
    else:
        field_id = next(ids)
        columns.append(
            NestedField(field_id, PAYLOAD, _extend(StructType(), wanted, ids, ""), required=False, doc=PAYLOAD_DOC)
        )
    return Schema(*columns, schema_id=schema_id)


def _extend(struct: StructType, wanted: Branch, ids: Iterator[int], at: str) -> StructType:
    fields = []
    for field in struct.fields:
        child = wanted.fields.get(field.name)
        if isinstance(child, Branch) and isinstance(field.field_type, StructType):
            grown = _extend(field.field_type, child, ids, f"{at}/{field.name}")
            fields.append(field.model_copy(update={"field_type": grown}))
        else:
            fields.append(field)
    have = {field.name for field in fields}
    for name, child in wanted.fields.items():
        if name not in have:
            field_id, path = next(ids), f"{at}/{name}"
            fields.append(NestedField(field_id, name, _type(child, ids, path), required=False, doc=_doc(child, path)))
    return StructType(*fields)


def _type(wanted: Shape, ids: Iterator[int], at: str) -> IcebergType:
    if isinstance(wanted, Branch):
        return _extend(StructType(), wanted, ids, at)
    if wanted in ELEMENT:
        return ListType(next(ids), _SCALAR[ELEMENT[wanted]], element_required=False)
    return _SCALAR[wanted]


def _doc(child: Shape, path: str) -> str:
    return f"{JSON_DOC}: payload {path}" if child is Kind.JSON else f"payload {path}"


def _branch(struct: StructType) -> Branch:
    fields: dict[str, Shape] = {}
    for field in struct.fields:
        kind = field.field_type
        if isinstance(kind, StructType):
            fields[field.name] = _branch(kind)
        elif isinstance(kind, ListType):
            element = _KIND.get(type(kind.element_type))
            if element is not None:
                fields[field.name] = LIST_OF[element]
        elif isinstance(kind, StringType) and (field.doc or "").startswith(JSON_DOC):
            fields[field.name] = Kind.JSON
        elif type(kind) in _KIND:
            fields[field.name] = _KIND[type(kind)]
    return Branch(fields)


def _from_arrow(arrow: pa.DataType, ids: Iterator[int]) -> IcebergType:
    if pa.types.is_struct(arrow):
        return StructType(*(NestedField(next(ids), f.name, _from_arrow(f.type, ids), required=False) for f in arrow))
    if pa.types.is_list(arrow):
        return ListType(next(ids), _from_arrow(arrow.value_type, ids), element_required=False)
    return _FIXED[arrow]


_FIXED: dict[pa.DataType, IcebergType] = {
    pa.string(): StringType(),
    pa.binary(): BinaryType(),
    pa.int32(): IntegerType(),
    pa.int64(): LongType(),
    pa.bool_(): BooleanType(),
    pa.timestamp("us", "UTC"): TimestamptzType(),
}
