"""Position delete files: which rows of which data files are hidden.

Lives here: writing and reading them. One file a partition that holds such rows, for a delete file applies to data of
its own partition only. https://iceberg.apache.org/spec/#position-delete-files
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.typedef import Record

PATH_ID, POS_ID = 2147483546, 2147483545
"""Reserved field ids (Iceberg spec, "Reserved Field IDs")."""
ROW_GROUP = 100_000
_ID = "PARQUET:field_id"
_SCHEMA = pa.schema(
    [
        pa.field("file_path", pa.string(), nullable=False, metadata={_ID: str(PATH_ID)}),
        pa.field("pos", pa.int64(), nullable=False, metadata={_ID: str(POS_ID)}),
    ]
)


@dataclass(frozen=True, slots=True)
class Place:
    """A data file as deletes need to know it."""

    path: str
    spec_id: int
    partition: Record

    @property
    def group(self) -> tuple[object, ...]:
        """Return what its delete files share with it."""
        return (self.spec_id, *(self.partition[at] for at in range(len(self.partition))))


def place_of(file: DataFile) -> Place:
    """Return a data file's place."""
    return Place(file.file_path, file.spec_id, file.partition)


def write(
    hidden: Iterable[tuple[Place, int]], metadata: TableMetadata, io: FileIO, name: Callable[[], str]
) -> list[DataFile]:
    """Write delete files for (data file, position) under the table's location; blocks on storage."""
    by_file: dict[str, tuple[Place, list[int]]] = {}
    for place, at in hidden:
        by_file.setdefault(place.path, (place, []))[1].append(at)
    columns = ((place, pa.array(sorted(many), pa.int64())) for place, many in by_file.values())
    return put(columns, metadata, io, name)


def put(
    hidden: Iterable[tuple[Place, pa.Array]], metadata: TableMetadata, io: FileIO, name: Callable[[], str]
) -> list[DataFile]:
    """Write delete files for data files, each named once, with their hidden positions (int64, ascending).

    One file a partition, under the table's location; blocks on storage.
    """
    groups: dict[tuple[object, ...], list[tuple[Place, pa.Array]]] = {}
    for one in hidden:
        if len(one[1]):
            groups.setdefault(one[0].group, []).append(one)
    locations = load_location_provider(metadata.location, metadata.properties)
    specs = metadata.specs()
    made = []
    for group in groups.values():
        group.sort(key=lambda one: one[0].path)
        place = group[0][0]
        spec = specs[place.spec_id]
        folder = "" if spec.is_unpartitioned() else f"{spec.partition_to_path(place.partition, metadata.schema())}/"
        path = locations.new_data_location(f"{folder}{name()}-deletes.parquet")
        output = io.new_output(path)
        with output.create(overwrite=True) as stream, pq.ParquetWriter(
            stream, _SCHEMA, compression="zstd", store_schema=False, use_dictionary=["file_path"]
        ) as writer:  # fmt: skip
            for table in _tables(group):
                writer.write_table(table)
        made.append(_described(place, path, len(output), sum(len(at) for _place, at in group), group[-1][0].path))
    return made


def _tables(group: Sequence[tuple[Place, pa.Array]]) -> Iterator[pa.Table]:
    """Yield rows in parts: a path is as long as ten positions, so not all of them stand in memory at once."""
    parts: list[pa.Table] = []
    rows = 0
    for place, at in group:
        parts.append(pa.table([pa.repeat(place.path, len(at)), at], schema=_SCHEMA))
        rows += len(at)
        if rows >= ROW_GROUP:
            yield pa.concat_tables(parts)
            parts, rows = [], 0
    if parts:
        yield pa.concat_tables(parts)


def _described(place: Place, path: str, size: int, rows: int, last: str) -> DataFile:
    made = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES,
        file_path=path,
        file_format=FileFormat.PARQUET,
        partition=place.partition,
        record_count=rows,
        file_size_in_bytes=size,
        column_sizes={},
        value_counts={PATH_ID: rows, POS_ID: rows},
        null_value_counts={PATH_ID: 0, POS_ID: 0},
        nan_value_counts={},
        lower_bounds={PATH_ID: place.path.encode()},
        upper_bounds={PATH_ID: last.encode()},
        split_offsets=None,
        sort_order_id=None,
        equality_ids=None,
        key_metadata=None,
    )
    made.spec_id = place.spec_id
    return made


def by_file(file: DataFile, io: FileIO) -> dict[str, pa.Array]:
    """Return the positions (int64) that one delete file hides, by data file. Blocks on storage."""
    with io.new_input(file.file_path).open() as stream:
        table = pq.read_table(stream, columns=["file_path", "pos"], read_dictionary=["file_path"])
    found: dict[str, list[pa.Array]] = {}
    for batch in table.to_batches():
        paths, at = batch.column(0), batch.column(1)
        names = paths.dictionary.to_pylist()
        runs = pc.run_end_encode(paths.indices)
        start = 0
        for end, code in zip(runs.run_ends.to_pylist(), runs.values.to_pylist(), strict=True):
            found.setdefault(names[code], []).append(at.slice(start, end - start))
            start = end
    return {path: many[0] if len(many) == 1 else pa.concat_arrays(many) for path, many in found.items()}


def read(files: Iterable[DataFile], io: FileIO, check: Callable[[], None]) -> dict[str, set[int]]:
    """Return the hidden positions by data file; `check` may raise to give up. Blocks on storage."""
    made: dict[str, set[int]] = {}
    for file in files:
        check()
        for path, at in by_file(file, io).items():
            made.setdefault(path, set()).update(at.to_pylist())
    return made
