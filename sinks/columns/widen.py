"""Arrow columns of an older shape brought to a newer one: missing members become null.

Lives here: the conversion in memory. Shapes only grow, so nothing is cast and nothing can be lost.
"""

import pyarrow as pa


def widen(column: pa.Array, to: pa.DataType) -> pa.Array:
    """Return `column` as type `to`, whose structs hold at least what is asked of them; names decide, not places."""
    if column.type == to:
        return column
    if pa.types.is_struct(to):
        have = {column.type.field(i).name: i for i in range(column.type.num_fields)}
        children = [
            widen(column.field(have[field.name]), field.type)
            if field.name in have
            else pa.nulls(len(column), field.type)
            for field in to
        ]
        return pa.StructArray.from_arrays(children, fields=list(to), mask=column.is_null())
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), to)
    return column.cast(to)


def to_file(column: pa.Array, to: pa.DataType) -> pa.Array:
    """Return `column` under the names and field ids of the file's type `to`: the same tree, member by member."""
    if pa.types.is_struct(to):
        children = [to_file(column.field(i), field.type) for i, field in enumerate(to)]
        return pa.StructArray.from_arrays(children, fields=list(to), mask=column.is_null())
    if pa.types.is_list(to) or pa.types.is_large_list(to):
        values = to_file(column.values, to.value_type)
        made = type(column).from_arrays(column.offsets, values, mask=column.is_null() if column.null_count else None)
        return made.cast(to)
    return column.cast(to)
