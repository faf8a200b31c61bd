"""Position delete files: which rows of which data files are hidden.

Lives here: writing and reading them. One file a partition that holds such rows, for a delete file applies to data of
its own partition only. https://iceberg.apache.org/spec/#position-delete-files
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.typedef import Record

PATH_ID, POS_ID = 2147483546, 2147483545
"""Reserved field ids (Iceberg spec, "Reserved Field IDs")."""
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
    groups: dict[tuple[object, ...], list[tuple[Place, int]]] = {}
    for one in hidden:
        groups.setdefault(one[0].group, []).append(one)
    locations = load_location_provider(metadata.location, metadata.properties)
    specs = metadata.specs()
    made = []
    for group in groups.values():
        place = group[0][0]
        spec = specs[place.spec_id]
        folder = "" if spec.is_unpartitioned() else f"{spec.partition_to_path(place.partition, metadata.schema())}/"
        path = locations.new_data_location(f"{folder}{name()}-deletes.parquet")
        rows = sorted((one.path, at) for one, at in group)
        output = io.new_output(path)
        table = pa.table([[file for file, _at in rows], [at for _file, at in rows]], schema=_SCHEMA)
        with output.create(overwrite=True) as stream, pq.ParquetWriter(
            stream, _SCHEMA, compression="zstd", store_schema=False, use_dictionary=["file_path"]
        ) as writer:  # fmt: skip
            writer.write_table(table)
        made.append(
            DataFile.from_args(
                content=DataFileContent.POSITION_DELETES,
                file_path=path,
                file_format=FileFormat.PARQUET,
                partition=place.partition,
                record_count=len(rows),
                file_size_in_bytes=len(output),
                column_sizes={},
                value_counts={PATH_ID: len(rows), POS_ID: len(rows)},
                null_value_counts={PATH_ID: 0, POS_ID: 0},
                nan_value_counts={},
                lower_bounds={PATH_ID: rows[0][0].encode()},
                upper_bounds={PATH_ID: rows[-1][0].encode()},
                split_offsets=None,
                sort_order_id=None,
                equality_ids=None,
                key_metadata=None,
            )
        )
        made[-1].spec_id = place.spec_id
    return made


def read(files: Iterable[DataFile], io: FileIO, check: Callable[[], None]) -> dict[str, set[int]]:
    """Return the hidden positions by data file; `check` may raise to give up. Blocks on storage."""
    made: dict[str, set[int]] = {}
    for file in files:
        check()
        with io.new_input(file.file_path).open() as stream:
            table = pq.read_table(stream, columns=["file_path", "pos"])
        paths = table.column("file_path").to_pylist()
        for path, at in zip(paths, table.column("pos").to_pylist(), strict=True):
            made.setdefault(path, set()).add(at)
    return made
