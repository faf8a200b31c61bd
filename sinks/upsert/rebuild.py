"""The index of a table that is there, read from it: the key columns of every data file, and what deletes hide.

Lives here: reading. A hidden row counts only if it is a tombstone: its key was deleted, and an older event that comes
late must not bring it back. Columns are known by their field ids (Iceberg spec, "Column Projection").
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadata

from schemas.errors import Poison
from schemas.reasons import Reason
from sinks.rows import system
from sinks.table import deletes
from sinks.table.deletes import place_of
from sinks.table.schema import name_in
from sinks.upsert import scalars
from sinks.upsert.index import Index, Loading
from sinks.upsert.indexed import Indexed

NO_TIME = -(2**63)
"""Before every time: a row without one."""
NAMES = (*(column.name for column in system.KEYED), "event_time", "received_at")
_ID = b"PARQUET:field_id"
_BATCH = 1 << 16


class Unindexed(Poison):
    """The table cannot say where its keys are."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(Reason.WRITER_FAILED, f"table {name} cannot be upserted into any more: {what}")


def rebuild(
    metadata: TableMetadata,
    first: Schema,
    io: FileIO,
    check: Callable[[], None],
    hold: Callable[[int], None] = lambda _keys: None,
) -> Indexed:
    """Return the index of the table's current snapshot; `first`: the schema of a new table, which knows the columns.

    `check` is called between files and may raise to give up; so may `hold`, which is told how many keys there are so
    far. Raises `Unindexed`. Blocks on storage.
    """
    ids = columns(metadata, first)
    snapshot = metadata.current_snapshot()
    if snapshot is None:
        return Indexed(Index(), [], None)
    data: list[DataFile] = []
    hiding: list[DataFile] = []
    for manifest in snapshot.manifests(io):
        for entry in manifest.fetch_manifest_entry(io, discard_deleted=True):
            file = entry.data_file
            if file.content == DataFileContent.EQUALITY_DELETES or file.file_format != FileFormat.PARQUET:
                raise Unindexed(
                    metadata.location, "another writer has put equality deletes or other files than Parquet in"
                )
            (data if file.content == DataFileContent.DATA else hiding).append(file)
    hidden = deletes.read(hiding, io, check)
    loading = Loading()
    for number, file in enumerate(data):
        check()
        _load(loading, number, file.file_path, ids, io, hidden.get(file.file_path, set()))
        hold(len(loading))
    return Indexed(loading.done(), [place_of(file) for file in data], snapshot.snapshot_id)


def columns(metadata: TableMetadata, first: Schema) -> dict[str, int]:
    """Return the field ids of the columns that an index is made of; raises `Unindexed` where one was dropped.

    An operator may have renamed them: `first` is the schema of a new table, whose ids they have.
    """
    there = {field.field_id for field in metadata.schema().fields}
    ids = {name: first.find_field(name_in(first, name)).field_id for name in NAMES}
    lost = sorted(name_in(first, name) for name, field_id in ids.items() if field_id not in there)
    if lost:
        raise Unindexed(metadata.location, f"column {lost[0]} was dropped; roll the table back or make another stream")
    return ids


def _load(loading: Loading, number: int, path: str, ids: Mapping[str, int], io: FileIO, hidden: set[int]) -> None:
    key, sequence, tombstone, event, received = NAMES
    with io.new_input(path).open() as stream, pq.ParquetFile(stream) as parquet:
        names = _columns(parquet.schema_arrow, ids)
        if key not in names:
            return  # another writer's rows, which have no key
        at = 0
        for batch in parquet.iter_batches(_BATCH, columns=list(names.values())):
            found = {name: batch.column(in_file) for name, in_file in names.items()}
            gone = _list(found, tombstone, batch.num_rows)
            keys = found[key].to_pylist()
            rows = [row for row, one in enumerate(keys) if one is not None and (gone[row] or at + row not in hidden)]
            texts = _list(found, sequence, batch.num_rows)
            loading.extend(
                number,
                [at + row for row in rows],
                b"".join([blake2b(keys[row].encode(), digest_size=16).digest() for row in rows]),
                [scalars.of(texts[row]) for row in rows] if any(texts) else None,
                [bool(gone[row]) for row in rows],
                times(found.get(event), rows, batch.num_rows),
                times(found.get(received), rows, batch.num_rows),
            )
            at += batch.num_rows


def _columns(schema: pa.Schema, ids: Mapping[str, int]) -> dict[str, str]:
    """Return the names that the columns have in a file."""
    by_id = {int(field.metadata[_ID]): field.name for field in schema if field.metadata and _ID in field.metadata}
    return {name: by_id[field_id] for name, field_id in ids.items() if field_id in by_id}


def _list(found: Mapping[str, pa.Array], name: str, rows: int) -> list[Any]:
    column = found.get(name)
    return [None] * rows if column is None or column.null_count == rows else column.to_pylist()


def times(column: pa.Array | None, rows: Sequence[int], count: int) -> Sequence[int]:
    """Return the times of some rows in µs since the epoch; a row without one is before every other."""
    if column is None:
        return [NO_TIME] * len(rows)
    values = column.cast(pa.int64()).fill_null(NO_TIME).to_pylist()
    return values if len(rows) == count else [values[row] for row in rows]
