"""A payload's shape and an Iceberg schema: the one from the other, both ways.

Lives here: types, docs and field ids. Ids of columns that exist never change; new ones come after the highest ever
used (Iceberg spec, "Schema Evolution").
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import pyarrow as pa
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
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

from sinks.columns.kinds import promotes
from sinks.columns.policy import Path
from sinks.columns.shape import ELEMENT, LIST_OF, Branch, Decimals, Kind, Leaf, Shape
from sinks.rows import stitch
from sinks.rows.system import COLUMNS, FLAT, JSON_DOC, KEYED, PAYLOAD, PAYLOAD_DOC, RAW_DOC, Column, flat_name

_FLAT_ID = flat_name("event_id")
_NO_DOCS: Mapping[Path, str] = {}
_STITCH = {(column.name, column.doc) for column in stitch.COLUMNS}
_SCALAR: dict[Kind, IcebergType] = {
    Kind.BOOL: BooleanType(),
    Kind.INT: IntegerType(),
    Kind.LONG: LongType(),
    Kind.DOUBLE: DoubleType(),
    Kind.STRING: StringType(),
    Kind.TIME: TimestamptzType(),
    Kind.DATE: DateType(),
    Kind.JSON: StringType(),
}
_KIND: dict[type[IcebergType], Kind] = {
    BooleanType: Kind.BOOL,
    LongType: Kind.LONG,
    IntegerType: Kind.INT,
    DoubleType: Kind.DOUBLE,
    StringType: Kind.STRING,
    TimestamptzType: Kind.TIME,
    DateType: Kind.DATE,
}


def fixed(columns: Sequence[Column]) -> Schema:
    """Return the schema of fixed columns, with docs."""
    ids = count(1)
    return Schema(
        *(NestedField(next(ids), c.name, _from_arrow(c.type, ids), required=False, doc=c.doc) for c in columns)
    )


def events(layout: str = "nested", *, keyed: bool = False) -> Schema:
    """Return the schema that an event table begins with: the system columns; typed ones come with the first rows.

    `keyed`: with those of an upsert table.
    """
    columns = (*COLUMNS, *KEYED) if keyed else COLUMNS
    if layout in {"flat", "stitch"}:
        ours = [replace(column, name=flat_name(column.name)) for column in columns]
        return fixed([*ours, *stitch.COLUMNS] if layout == "stitch" else ours)
    return fixed((*columns, Column(PAYLOAD, pa.string(), RAW_DOC)) if layout == "raw" else columns)


def is_flat(schema: Schema) -> bool:
    """Tell whether the payload's members stand beside our own columns."""
    return any(column.name == _FLAT_ID for column in schema.fields)


def name_in(schema: Schema, name: str) -> str:
    """Return the name that a system column has in a table."""
    return flat_name(name) if is_flat(schema) else name


def is_ours(column: NestedField) -> bool:
    """Tell whether a column of a flat table is no member of the payload."""
    return column.name.startswith(FLAT) or (column.name, column.doc) in _STITCH


def shape(schema: Schema, reserved: tuple[str, ...] = (FLAT,)) -> Branch:
    """Return the shape of the payload as the table has it; what we never write is left alone.

    `reserved`: what our own columns begin with in a flat table, as its writer knows it.
    """
    if is_flat(schema):
        theirs = (field for field in schema.fields if not field.name.startswith(reserved) and not is_ours(field))
        return _branch(StructType(*theirs))
    for column in schema.fields:
        if column.name == PAYLOAD and isinstance(column.field_type, StructType):
            return _branch(column.field_type)
    return Branch()


def extend(
    schema: Schema, wanted: Branch, highest_id: int, schema_id: int, docs: Mapping[Path, str] = _NO_DOCS
) -> Schema:
    """Return `schema` with the columns of `wanted` that it lacks, under new ids, and with its wider types.

    `docs`: what is to be told of a new column beside its path.
    """
    grow = _Grow(count(highest_id + 1), docs)
    if is_flat(schema):
        return Schema(*grow.struct(StructType(*schema.fields), wanted, ()).fields, schema_id=schema_id)
    columns = list(schema.fields)
    for place, column in enumerate(columns):
        if column.name == PAYLOAD and isinstance(column.field_type, StructType):
            grown = grow.struct(column.field_type, wanted, ())
            columns[place] = column.model_copy(update={"field_type": grown})
            break
    else:
        field_id = next(grow.ids)
        kind = grow.struct(StructType(), wanted, ())
        columns.append(NestedField(field_id, PAYLOAD, kind, required=False, doc=PAYLOAD_DOC))
    return Schema(*columns, schema_id=schema_id)


@dataclass(frozen=True, slots=True)
class _Grow:
    ids: Iterator[int]
    docs: Mapping[Path, str]

    def struct(self, struct: StructType, wanted: Branch, at: Path) -> StructType:
        fields = []
        for field in struct.fields:
            child = wanted.fields.get(field.name)
            kind = field.field_type
            if isinstance(child, Branch) and isinstance(kind, StructType):
                kind = self.struct(kind, child, (*at, field.name))
            elif child is not None and not isinstance(child, Branch) and (have := _leaf(field)) is not None:
                kind = _scalar(child) if promotes(have, child) else kind
            fields.append(field if kind is field.field_type else field.model_copy(update={"field_type": kind}))
        have_names = {field.name for field in fields}
        for name, child in wanted.fields.items():
            if name not in have_names:
                field_id, path = next(self.ids), (*at, name)
                kind = self._type(child, path)
                fields.append(NestedField(field_id, name, kind, required=False, doc=self._doc(child, path)))
        return StructType(*fields)

    def _type(self, wanted: Shape, at: Path) -> IcebergType:
        if isinstance(wanted, Branch):
            return self.struct(StructType(), wanted, at)
        if isinstance(wanted, Kind) and wanted in ELEMENT:
            return ListType(next(self.ids), _SCALAR[ELEMENT[wanted]], element_required=False)
        return _scalar(wanted)

    def _doc(self, child: Shape, path: Path) -> str:
        doc = f"{payload_doc(path)}{self.docs.get(path, '')}"
        return f"{JSON_DOC}: {doc}" if child is Kind.JSON else doc


def payload_doc(path: Path) -> str:
    """Return what the doc of a payload's column begins with."""
    return f"payload /{'/'.join(path)}"


def _scalar(leaf: Leaf) -> IcebergType:
    return DecimalType(leaf.precision, leaf.scale) if isinstance(leaf, Decimals) else _SCALAR[leaf]


def _branch(struct: StructType) -> Branch:
    fields: dict[str, Shape] = {}
    for field in struct.fields:
        if isinstance(field.field_type, StructType):
            fields[field.name] = _branch(field.field_type)
        elif (leaf := _leaf(field)) is not None:
            fields[field.name] = leaf
    return Branch(fields)


def _leaf(field: NestedField) -> Leaf | None:
    """Return the type of a column as we write it; None for one that we never write."""
    kind = field.field_type
    if isinstance(kind, ListType):
        element = _KIND.get(type(kind.element_type))
        return None if element is None else LIST_OF.get(element)
    if isinstance(kind, DecimalType):
        return Decimals(kind.precision, kind.scale)
    if isinstance(kind, StringType) and (field.doc or "").startswith(JSON_DOC):
        return Kind.JSON
    return _KIND.get(type(kind))


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
