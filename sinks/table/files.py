"""Arrow rows into Parquet files with Iceberg's statistics.

Lives here: the file writer. One file per partition, rows in the order they were read or sorted, column names
in Avro's form (as Iceberg's own writers do), no Arrow schema inside (it makes whole-table scans trip over string
views). Statistics only where the table keeps metrics, dictionaries only where values repeat: measured in README.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import (
    MetricModeTypes,
    MetricsMode,
    StatisticsCollector,
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
    schema_to_pyarrow,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.schema import Schema, sanitize_column_names
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.metadata import TableMetadata

from sinks.columns.widen import to_file, widen
from sinks.table import partitions

ROW_GROUP = 100_000
SAMPLE = 1000
"""From how many rows it is told whether a column's values repeat."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What writing files of one schema needs, made once per schema."""

    schema: Schema
    memory: pa.Schema
    arrow: pa.Schema
    stats: dict[int, StatisticsCollector]
    paths: dict[str, int]
    measured: list[str]


def plan(metadata: TableMetadata, schema: Schema) -> Plan:
    """Return the plan for writing files of `schema` into a table."""
    in_file = sanitize_column_names(schema)
    stats, paths = compute_statistics_plan(in_file, metadata.properties), parquet_path_to_id_mapping(in_file)
    none = MetricsMode(MetricModeTypes.NONE)
    return Plan(
        schema=schema,
        memory=_plain(schema_to_pyarrow(schema, include_field_ids=False)),
        arrow=_plain(schema_to_pyarrow(in_file, include_field_ids=True)),
        stats=stats,
        paths=paths,
        measured=[path for path, field_id in paths.items() if stats[field_id].mode != none],
    )


def write(
    rows: pa.Table,
    metadata: TableMetadata,
    io: FileIO,
    made: Plan,
    name: Callable[[], str],
    placed: Callable[[DataFile, pa.Table], None] | None = None,
) -> list[DataFile]:
    """Write rows into files under the table's location, one a partition, each sorted as the table says.

    Columns that `rows` lacks are null, those that the schema lacks are left out. `placed` is told each file with its
    rows in their order there. Blocks on storage.
    """
    locations = load_location_provider(metadata.location, metadata.properties)
    files = []
    for part, values, folder in partitions.split(rows, metadata, made.schema):
        path = locations.new_data_location(f"{folder}{name()}.parquet")
        sorted_part = partitions.ordered(part, metadata.sort_order(), made.schema)
        table = pa.Table.from_batches([_in_file(batch, made) for batch in sorted_part.to_batches()], schema=made.arrow)
        output = io.new_output(path)
        with (
            output.create(overwrite=True) as stream,
            pq.ParquetWriter(
                stream,
                made.arrow,
                compression="zstd",
                store_schema=False,
                use_dictionary=_repeating(table),
                write_statistics=made.measured or False,
            ) as writer,
        ):
            writer.write_table(table, row_group_size=ROW_GROUP)
        facts = data_file_statistics_from_parquet_metadata(writer.writer.metadata, made.stats, made.paths)
        files.append(
            DataFile.from_args(
                content=DataFileContent.DATA,
                file_path=path,
                file_format=FileFormat.PARQUET,
                partition=values,
                file_size_in_bytes=len(output),
                sort_order_id=None,
                equality_ids=None,
                key_metadata=None,
                **facts.to_serialized_dict(),
            )
        )
        files[-1].spec_id = metadata.default_spec_id  # `from_args` does not take it
        if placed is not None:
            placed(files[-1], sorted_part)
    return files


def _in_file(batch: pa.RecordBatch, made: Plan) -> pa.RecordBatch:
    """Return rows under the names and ids of the file; nothing is copied where types agree."""
    arrays = []
    for column, in_file in zip(made.memory, made.arrow, strict=True):
        at = batch.schema.get_field_index(column.name)
        array = pa.nulls(batch.num_rows, column.type) if at < 0 else batch.column(at)
        arrays.append(to_file(widen(array, column.type), in_file.type))
    return pa.RecordBatch.from_arrays(arrays, schema=made.arrow)


def _repeating(table: pa.Table) -> list[str] | bool:
    """Return the columns whose values repeat: a dictionary of an id's values costs time and bytes and saves nothing."""
    if table.num_rows < SAMPLE:
        return True
    sample = table.slice(0, SAMPLE).combine_chunks()
    return [
        path for path, column in _leaves("", sample.to_struct_array().combine_chunks()) if _repeats(column)
    ] or False


def _leaves(at: str, column: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    if not pa.types.is_struct(column.type):
        yield at, column
        return
    for number, field in enumerate(column.type):
        yield from _leaves(f"{at}.{field.name}" if at else field.name, column.field(number))


def _repeats(column: pa.Array) -> bool:
    return not pa.types.is_nested(column.type) and pc.count_distinct(column).as_py() * 2 < len(column)


def _plain(schema: pa.Schema) -> pa.Schema:
    return pa.schema([_plain_field(field) for field in schema])


def _plain_field(field: pa.Field) -> pa.Field:
    """Return the field with plain strings and lists in place of large ones, ids kept."""
    return field.with_type(_plain_type(field.type))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_binary(kind):
        return pa.binary()
    if pa.types.is_struct(kind):
        return pa.struct([_plain_field(field) for field in kind])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_plain_field(kind.value_field))
    return kind
