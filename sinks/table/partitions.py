"""Partition spec and sort order of a table: made from the stream's terms, changed with them, applied to rows.

Lives here: Iceberg's objects, and rows cut into partitions and sorted. Not here: the terms (schemas/definitions/cuts),
writing files (files.py). Files of an older spec stay as they are (Iceberg spec, "Partition Evolution"). Which spec is
ours stands in the table, so that an operator's is told apart: files are written under ours.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.partitioning import PARTITION_FIELD_ID_START, PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, NullOrder, SortDirection, SortField, SortOrder
from pyiceberg.transforms import (
    BucketTransform,
    DayTransform,
    HourTransform,
    IdentityTransform,
    MonthTransform,
    Transform,
    YearTransform,
)
from pyiceberg.typedef import Record
from pyiceberg.types import NestedField

from schemas.definitions.cuts import Cut, Order
from sinks.table import state
from sinks.table.schema import name_in

_EPOCH = date(1970, 1, 1)
_SPANS: dict[str, Transform[Any, Any]] = {
    "year": YearTransform(),
    "month": MonthTransform(),
    "day": DayTransform(),
    "hour": HourTransform(),
}


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How a stream wants its table cut and sorted."""

    cuts: tuple[Cut, ...] = (Cut("day", "received_at"),)
    orders: tuple[Order, ...] = ()


def spec_of(schema: Schema, cuts: Sequence[Cut]) -> PartitionSpec:
    """Return the partition spec of a new table."""
    fields = [
        PartitionField(
            _column(schema, cut.column).field_id, PARTITION_FIELD_ID_START + at, _transform(cut), name_of(cut)
        )
        for at, cut in enumerate(cuts)
    ]
    return PartitionSpec(*fields)


def order_of(schema: Schema, orders: Sequence[Order]) -> SortOrder:
    """Return the sort order of a new table, so that engines that rewrite files know it."""
    if not orders:
        return UNSORTED_SORT_ORDER
    fields = [
        SortField(
            source_id=_column(schema, one.column).field_id,
            transform=IdentityTransform(),
            direction=SortDirection.DESC if one.descending else SortDirection.ASC,
            null_order=NullOrder.NULLS_LAST,
        )
        for one in orders
    ]
    return SortOrder(*fields)


def name_of(cut: Cut) -> str:
    """Return the name of a partition field: as Iceberg's own writers name them."""
    return cut.column if cut.transform == "identity" else f"{cut.column}_{cut.transform}"


def arranged(table: Table, wanted: Arrangement, first: Schema) -> Table:
    """Return the table cut and sorted as wanted, changed in one commit where the stream says something else.

    `first`: the schema of a new table, by whose ids columns are known that an operator renamed. Rows that are there
    stay where they are; an operator's own spec and order stay, too, as long as the stream says what it said. Where he
    dropped a column that is named, nothing is changed. Raises what a commit raises.
    """
    metadata = table.metadata
    target, order = spec_of(first, wanted.cuts), order_of(first, wanted.orders)
    cut_otherwise = not _same(state.spec_of(metadata), target)
    text = ", ".join(map(str, wanted.orders))
    sorted_otherwise = metadata.properties.get(state.SORTED, "") != text
    there = {field.field_id: field.name for field in metadata.schema().fields}
    named = {field.source_id for field in target.fields} | {field.source_id for field in order.fields}
    if not (cut_otherwise or sorted_otherwise) or not named <= there.keys():
        return table
    with table.transaction() as change:
        if cut_otherwise:
            known = next((spec for spec in metadata.partition_specs if _same(spec, target)), None)
            if known is None:
                _recut(change, target, there)
                known = change.table_metadata.spec()
            change.set_properties({state.SPEC: str(known.spec_id)})
        if sorted_otherwise:
            with change.update_sort_order() as update:
                for field in order.fields:
                    add = update.desc if field.direction is SortDirection.DESC else update.asc
                    add(there[field.source_id], IdentityTransform())
            change.set_properties({state.SORTED: text})
    return table


def _recut(change: Transaction, target: PartitionSpec, names: Mapping[int, str]) -> None:
    with change.update_spec() as update:
        for field in change.table_metadata.spec().fields:
            update.remove_field(field.name)
        for field in target.fields:
            update.add_field(names[field.source_id], field.transform, field.name)


def split(rows: pa.Table, metadata: TableMetadata, schema: Schema) -> Iterator[tuple[pa.Table, Record, str]]:
    """Yield the rows of each partition in the order in which they came, its values and its folder ("" = none)."""
    spec = metadata.spec()
    if spec.is_unpartitioned():
        yield rows, Record(), ""
        return
    keys = [_values(rows, schema, field) for field in spec.fields]
    for part, at in _groups(rows, keys):
        values = Record(*(key[at].as_py() for key in keys))
        yield part, values, f"{spec.partition_to_path(values, schema)}/"


def ordered(rows: pa.Table, order: SortOrder, schema: Schema) -> pa.Table:
    """Return rows sorted as the table says, nulls last; rows that are equal in it keep their order.

    Fields of another transform than identity, or without a column in these rows, do not count.
    """
    keys = []
    for field in order.fields:
        name = schema.find_column_name(field.source_id)
        if name in rows.column_names and isinstance(field.transform, IdentityTransform):
            keys.append((name, "descending" if field.direction is SortDirection.DESC else "ascending"))
    if not keys or rows.num_rows < 2:  # noqa: PLR2004
        return rows
    place = pa.array(range(rows.num_rows), pa.int64())
    table = rows.select([name for name, _ in keys]).append_column("#", place)
    return rows.take(pc.sort_indices(table, sort_keys=[*keys, ("#", "ascending")]))


def _values(rows: pa.Table, schema: Schema, field: PartitionField) -> pa.Array:
    """Return a partition field's value of each row; null where the table has no such column in these rows."""
    source = schema.find_field(field.source_id)
    column = rows.column(source.name).combine_chunks()
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(field.transform, DayTransform) and (one := _one_day(column)) is not None:
        return one
    made = field.transform.pyarrow_transform(source.field_type)(column)
    return made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made


def _one_day(times: pa.Array) -> pa.Array | None:
    """Return the day of all times as one array when it is one day: by far the most of batches."""
    span = pc.min_max(times).as_py()
    if times.null_count or span["min"] is None or span["min"].date() != span["max"].date():
        return None
    return pa.repeat(pa.scalar((span["min"].date() - _EPOCH).days, pa.int32()), len(times))


def _groups(rows: pa.Table, keys: Sequence[pa.Array]) -> Iterator[tuple[pa.Table, int]]:
    """Yield rows of equal keys and the place of the first of them; in order, first come first."""
    if all(len(pc.unique(key)) == 1 for key in keys):
        yield rows, 0
        return
    named = pa.table([*keys, pa.array(range(rows.num_rows), pa.int64())], [*map(str, range(len(keys))), "place"])
    grouped = named.group_by([str(at) for at in range(len(keys))], use_threads=False)
    for places in grouped.aggregate([("place", "list")]).column("place_list").to_pylist():
        yield rows.take(pa.array(places)), places[0]


def _column(schema: Schema, name: str) -> NestedField:
    """Return a system column; in a flat table a member of the payload may have its plain name."""
    there = name_in(schema, name)
    return schema.find_field(there if there in schema.column_names else name)


def _transform(cut: Cut) -> Transform[Any, Any]:
    if cut.transform == "bucket":
        return BucketTransform(num_buckets=cut.width or 1)
    return IdentityTransform() if cut.transform == "identity" else _SPANS[cut.transform]


def _same(one: PartitionSpec, other: PartitionSpec) -> bool:
    def facts(spec: PartitionSpec) -> list[tuple[int, str]]:
        return [(field.source_id, str(field.transform)) for field in spec.fields]

    return facts(one) == facts(other)
