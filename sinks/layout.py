"""Records of a topic as rows of a table: the `nested` layout of events, and our own fixed tables.

Lives here: where rows (pure) meet the table's schema. A layout never fails on what a vendor sends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

import pyarrow as pa
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadata

from schemas import logs
from sinks.columns.policy import Limits
from sinks.columns.shape import Branch, arrow_type
from sinks.rows import salvage, system
from sinks.rows.fixed import Fixed
from sinks.rows.parse import Parsed, Parser
from sinks.rows.system import PAYLOAD, Record
from sinks.table import schema as schemas_of_tables

log = logs.logger(__name__)
_MAX_SAMPLES = 100


@dataclass(frozen=True, slots=True)
class Built:
    """Rows, the schema that they need (the table's own if it has not grown), and what is to be told of them."""

    rows: pa.Table
    schema: Schema
    not_selected: int = 0
    overflow: int = 0

    def ages_s(self, column: str, now_us: int) -> list[float]:
        """Return how old a sample of the rows is at `now_us`."""
        values = self.rows.column(column).cast(pa.int64()).combine_chunks().drop_null()
        step = max(1, len(values) // _MAX_SAMPLES)
        return [max(0.0, (now_us - values[i].as_py()) / 1e6) for i in range(0, len(values), step)]


class Layout(Protocol):
    """How a tail's records become rows."""

    time: str

    def first_schema(self) -> Schema:
        """Return the schema that a new table begins with."""

    def build(self, records: Sequence[Record], metadata: TableMetadata, now_us: int) -> Built:
        """Return the rows of a batch in order; total."""


class EventLayout:
    """Clean events: system columns and one typed payload struct."""

    time = "received_at"

    def __init__(self, limits: Limits, event_types: Sequence[str] = ()) -> None:
        self._parser = Parser(limits)
        self._types = tuple(event_types)

    def first_schema(self) -> Schema:
        """Return the system columns; the payload comes with the first rows."""
        return schemas_of_tables.events()

    def build(self, records: Sequence[Record], metadata: TableMetadata, now_us: int) -> Built:
        """Return the rows of the selected events, and the schema with the columns that they add."""
        heads = system.heads(records)
        if self._types:
            heads = heads.pick([any(fnmatchcase(kind, glob) for glob in self._types) for kind in heads.types()])
        missing = len(records) - len(heads.heads)
        current = metadata.schema()
        if not heads.heads:
            return Built(pa.table({}), current, missing)
        have = schemas_of_tables.shape(current)
        payloads = heads.payloads()
        try:
            parsed = self._parser.parse(payloads, have)
        except Exception:
            log.exception("payloads_kept_as_text", rows=len(payloads))
            parsed = _as_text(payloads, have)
        schema = current
        if parsed.shape != have:
            newest = max(known.schema_id for known in metadata.schemas)
            schema = schemas_of_tables.extend(current, parsed.shape, metadata.last_column_id, newest + 1)
        columns = {**heads.columns(now_us), "_extra": parsed.extra, "_raw": parsed.raw}
        if parsed.shape.fields:
            columns[PAYLOAD] = parsed.payload
        return Built(pa.table(columns), schema, missing, len(payloads) - parsed.extra.null_count)


class FixedLayout:
    """One of our own tables."""

    def __init__(self, fixed: Fixed) -> None:
        self._fixed = fixed
        self.time = fixed.time

    def first_schema(self) -> Schema:
        """Return the table's fixed schema."""
        return schemas_of_tables.fixed(self._fixed.columns)

    def build(self, records: Sequence[Record], metadata: TableMetadata, now_us: int) -> Built:  # noqa: ARG002 the port's
        """Return the rows of the records."""
        return Built(self._fixed.rows(records), metadata.schema())


def _as_text(payloads: Sequence[bytes], shape: Branch) -> Parsed:
    rows = [salvage.whole(raw) for raw in payloads]
    kind = arrow_type(shape)
    nulls = pa.nulls(len(rows), kind) if shape.fields else pa.nulls(len(rows))
    return Parsed(shape, nulls, pa.nulls(len(rows), pa.string()), pa.array([row.raw for row in rows], pa.string()))
