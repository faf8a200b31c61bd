"""Rows into files of the table as it is: what a session commits.

Lives here: the plain way, rows appended. Not here: upserts (upsert/upserting.py), the files themselves (table/files).
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadata

from sinks.table import commit, files, match


@dataclass(frozen=True, slots=True)
class Wrote:
    """Files of one batch, the schema that they need, and the snapshot that they hold on (see `commit.Batch`)."""

    files: Sequence[DataFile]
    schema: Schema
    deletes: Sequence[DataFile] = field(default=())
    onto: int | None = commit.ANYWHERE
    follow: commit.Follow | None = None


class Appending:
    """Writes batches of one table for one session; `first`: the schema of a new table."""

    def __init__(self, first: Schema) -> None:
        self._first = first
        self._plan: files.Plan | None = None

    def kept(self) -> Mapping[str, str]:
        """Return what every commit's summary and the properties repeat."""
        return {}

    def write(self, rows: pa.Table, schema: Schema, metadata: TableMetadata, io: FileIO) -> Wrote:
        """Write a batch that has rows; blocks on storage."""
        return self._write(rows, schema, metadata, io)

    def landed(self, metadata: TableMetadata, tried: frozenset[int]) -> None:
        """Take note that what was written is in; `metadata`: the table since, `tried`: see `commit.Committed`."""

    def _write(
        self, rows: pa.Table, schema: Schema, metadata: TableMetadata, io: FileIO,
        placed: Callable[[DataFile, pa.Table], None] | None = None,
    ) -> Wrote:  # fmt: skip
        rows, schema = match.fit(rows, schema, self._first, metadata)
        if self._plan is None or self._plan.schema != schema:
            self._plan = files.plan(metadata, schema)
        if not rows.num_rows:  # all of them were older than what is there
            return Wrote((), schema)
        return Wrote(files.write(rows, metadata, io, self._plan, name, placed), schema)


def name() -> str:
    """Return a new file's name."""
    return str(uuid.uuid4())
