"""The shape of a payload: a tree of typed columns, and its Arrow form.

Lives here: the tree only. How it is found: from_schema.py, from_rows.py; how it meets Iceberg: sinks/table/schema.py.
JSON text columns are strings in Arrow; the shape knows them apart, the table by the column's doc.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Union

import pyarrow as pa

MAX_PRECISION = 38
"""Digits of a decimal (Iceberg spec, "Primitive Types")."""


class Kind(StrEnum):
    """The type of a leaf; `list_*` are lists of that scalar, `json` is the text of any JSON value.

    `int`, `time` and `date` come from schemas only: an observed value does not say that all others will be like it.
    """

    BOOL = "bool"
    INT = "int"
    LONG = "long"
    DOUBLE = "double"
    STRING = "string"
    TIME = "time"
    DATE = "date"
    JSON = "json"
    LIST_BOOL = "list_bool"
    LIST_LONG = "list_long"
    LIST_DOUBLE = "list_double"
    LIST_STRING = "list_string"


@dataclass(frozen=True, slots=True)
class Decimals:
    """Numbers of at most `precision` digits, `scale` of them after the point."""

    precision: int
    scale: int


ELEMENT = {
    Kind.LIST_BOOL: Kind.BOOL,
    Kind.LIST_LONG: Kind.LONG,
    Kind.LIST_DOUBLE: Kind.DOUBLE,
    Kind.LIST_STRING: Kind.STRING,
}
LIST_OF = {element: kind for kind, element in ELEMENT.items()}
_ARROW: dict[Kind, pa.DataType] = {
    Kind.BOOL: pa.bool_(),
    Kind.INT: pa.int32(),
    Kind.LONG: pa.int64(),
    Kind.DOUBLE: pa.float64(),
    Kind.STRING: pa.string(),
    Kind.TIME: pa.timestamp("us", "UTC"),
    Kind.DATE: pa.date32(),
    Kind.JSON: pa.string(),
    **{kind: pa.list_(arrow) for kind, arrow in zip(ELEMENT, (pa.bool_(), pa.int64(), pa.float64(), pa.string()))},  # noqa: B905 same length by construction
}


@dataclass(frozen=True, slots=True)
class Branch:
    """A struct: its columns by name, in the table's order."""

    fields: dict[str, "Shape"] = field(default_factory=dict)


Leaf = Kind | Decimals
Shape = Union[Kind, Decimals, Branch]  # noqa: UP007 a forward reference inside
EMPTY = Branch()


def arrow_type(shape: Shape) -> pa.DataType:
    """Return the Arrow type that rows of this shape have in memory."""
    if isinstance(shape, Branch):
        return pa.struct([pa.field(name, arrow_type(child)) for name, child in shape.fields.items()])
    if isinstance(shape, Decimals):
        return pa.decimal128(shape.precision, shape.scale)
    return _ARROW[shape]


def leaves(shape: Shape) -> int:
    """Count the leaf columns of a shape."""
    return sum(leaves(child) for child in shape.fields.values()) if isinstance(shape, Branch) else 1
