"""Records of a topic as rows of a table: the `nested` layout of events, and our own fixed tables.

Lives here: where rows (pure) meet the table's schema. A layout never fails on what a vendor sends.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Protocol

import pyarrow as pa
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadata

from sinks.columns.from_schema import Pinned
from sinks.columns.key import Key
from sinks.columns.policy import Infer
from sinks.columns.typing import Typing
from sinks.columns.widen import widen
from sinks.rows import stitch, system, texts
from sinks.rows.events import Events
from sinks.rows.fixed import Fixed
from sinks.rows.system import Record
from sinks.table import schema as schemas_of_tables
from sinks.table import state
from sinks.upsert.keys import KeyColumns, Keys

_MAX_SAMPLES = 100
_MAX_DRIFT = 20


@dataclass(frozen=True, slots=True)
class Built:
    """Rows, the schema that they need (the table's own if it has not grown), and what is to be told of them.

    `discarded`: records that the contract takes no row of, by (topic id, partition); `dropped`: values left out.
    """

    rows: pa.Table
    schema: Schema
    not_selected: int = 0
    overflow: int = 0
    discarded: Mapping[tuple[str, int], int] = field(default_factory=dict)
    dropped: int = 0

    def ages_s(self, column: str, now_us: int) -> list[float]:
        """Return how old a sample of the rows is at `now_us`."""
        values = self.rows.column(column).cast(pa.int64()).combine_chunks().drop_null()
        step = max(1, len(values) // _MAX_SAMPLES)
        return [max(0.0, (now_us - values[i].as_py()) / 1e6) for i in range(0, len(values), step)]


def joined(many: Sequence[Built]) -> Built:
    """Return batches that follow one another as one; the last one's schema holds the columns of all."""
    kinds: dict[str, pa.DataType] = {}
    tables = [built.rows for built in many if built.rows.num_rows]
    for table in tables:
        kinds |= {field.name: field.type for field in table.schema}
    wide = [_widened(table, kinds) for table in tables]
    return Built(
        rows=pa.concat_tables(wide) if wide else pa.table({}),
        schema=many[-1].schema,
        not_selected=sum(built.not_selected for built in many),
        overflow=sum(built.overflow for built in many),
        discarded=sum((Counter(built.discarded) for built in many), Counter()),
        dropped=sum(built.dropped for built in many),
    )


def _widened(table: pa.Table, kinds: Mapping[str, pa.DataType]) -> pa.Table:
    columns = []
    for name, kind in kinds.items():
        at = table.schema.get_field_index(name)
        chunks = [pa.nulls(table.num_rows, kind)] if at < 0 else [widen(one, kind) for one in table.column(at).chunks]
        columns.append(pa.chunked_array(chunks, kind))
    return pa.table(columns, names=list(kinds))


class Layout(Protocol):
    """How a tail's records become rows."""

    time: str

    def first_schema(self) -> Schema:
        """Return the schema that a new table begins with."""

    def build(self, records: Sequence[Record], metadata: TableMetadata, now_us: int) -> Built:
        """Return the rows of a batch in order; total."""

    def sealed(
        self, built: Built, metadata: TableMetadata, owner_id: str, now_us: int
    ) -> tuple[pa.Table, Mapping[str, str]]:
        """Return all rows of a commit as they are written, and what stands in its summary and as properties."""

    def drift(self) -> Sequence[str]:
        """Return JSON pointers of members that came and that the contract gives no column; from any thread."""


class EventLayout:
    """Clean events: system columns, and the payload as a typed struct, as columns beside them, or as text.

    `layout`: as a stream names it, or `stitch`: flat with the `_sdc_` columns. `key`: what tells versions apart;
    `keys`: of a table that is upserted into.
    """

    def __init__(
        self,
        typing: Typing,
        event_types: Sequence[str] = (),
        layout: str = "nested",
        key: Key | None = None,
        keys: Keys | None = None,
    ) -> None:
        self._layout, self._typing, self._key = layout, typing, key
        self._flat = layout in {"flat", "stitch"}
        self._reserved = (system.FLAT, *stitch.RESERVED) if layout == "stitch" else (system.FLAT,)
        if self._flat:
            self._typing = replace(typing, limits=replace(typing.limits, reserved=self._reserved))
        self.time = system.flat_name("received_at") if self._flat else "received_at"
        self._events = Events(self._typing.limits, typing.contract())
        self._types = tuple(event_types)
        self._keys = None if keys is None else KeyColumns(keys)
        self._pinned: Pinned | None = None

    def first_schema(self) -> Schema:
        """Return the system columns; typed ones come with the first rows."""
        return schemas_of_tables.events(self._layout, keyed=self._keys is not None)

    def build(self, records: Sequence[Record], metadata: TableMetadata, now_us: int) -> Built:
        """Return the rows of the selected events, and the schema with the columns that they add."""
        chosen = self._selected(records)
        missing = len(records) - len(chosen)
        current = metadata.schema()
        if not chosen:
            return Built(pa.table({}), current, missing)
        if self._layout == "raw":
            return Built(self._with_keys(texts.read(chosen, now_us), chosen, ()), current, missing)
        have = schemas_of_tables.shape(current, self._reserved)
        if self._pinned is None:  # read in the tail's own thread: a large schema takes a while
            self._pinned = self._typing.pinned()
        made = self._events.read(chosen, self._typing.grown(have, self._pinned), now_us)
        schema = current
        if made.shape != have:
            newest = max(known.schema_id for known in metadata.schemas)
            schema = schemas_of_tables.extend(
                current, made.shape, metadata.last_column_id, newest + 1, self._pinned.docs
            )
        gone = Counter((chosen[number].topic_id, chosen[number].partition) for number in made.discarded)
        rows = self._with_keys(made.rows, chosen, made.discarded)
        rows = _beside(rows) if self._flat else rows
        return Built(rows, schema, missing, made.overflow, gone, made.dropped)

    def sealed(
        self, built: Built, metadata: TableMetadata, owner_id: str, now_us: int
    ) -> tuple[pa.Table, Mapping[str, str]]:
        """Return the rows; for Stitch with their numbers, which follow the last one that the table says it has given.

        They are given once for files that every try of a commit shares, and the last of them is written by that very
        commit: what did not land was not given, and no clock that goes back gives a number twice.
        """
        if self._layout != "stitch" or not built.rows.num_rows:
            return built.rows, {}
        last, since = state.LAST_NUMBER + owner_id, state.NUMBERED_SINCE + owner_id
        now_ms = now_us // 1000
        first = max(state.numbered(metadata, last) + 1, now_ms)
        version = state.numbered(metadata, since) or now_ms
        shape = schemas_of_tables.shape(built.schema, self._reserved)
        sequence = None if self._key is None else self._key.compared(shape)
        rows = stitch.added(built.rows, first, now_us, version, self._key, sequence)
        return rows, {last: str(first + rows.num_rows - 1), since: str(version)}

    def drift(self) -> Sequence[str]:
        """Return JSON pointers of members that came and that the contract gives no column."""
        return () if self._typing.contract().infer is Infer.ALWAYS else self._events.waits[:_MAX_DRIFT]

    def _with_keys(self, rows: pa.Table, records: Sequence[Record], discarded: Sequence[int]) -> pa.Table:
        """Return rows with the columns of an upsert table beside them."""
        if self._keys is None:
            return rows
        gone = set(discarded)
        taken = [record for number, record in enumerate(records) if number not in gone] if gone else records
        for name, column in self._keys.read(taken).items():
            rows = rows.append_column(name, column)
        return rows

    def _selected(self, records: Sequence[Record]) -> Sequence[Record]:
        if not self._types:
            return records
        known: dict[str, bool] = {}
        chosen = []
        for record, kind in zip(records, system.kinds(records), strict=True):
            if kind not in known:
                known[kind] = any(fnmatchcase(kind, glob) for glob in self._types)
            if known[kind]:
                chosen.append(record)
        return chosen


def _beside(rows: pa.Table) -> pa.Table:
    """Return rows with the payload's members as columns beside our own, which take their names in flat tables."""
    made = {system.flat_name(name): rows[name] for name in rows.column_names if name != system.PAYLOAD}
    if system.PAYLOAD in rows.column_names:
        payload = rows[system.PAYLOAD]
        made |= zip((field.name for field in payload.type), payload.flatten(), strict=True)
    return pa.table(made)


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

    def sealed(self, built: Built, *_facts: object) -> tuple[pa.Table, Mapping[str, str]]:
        """Return the rows."""
        return built.rows, {}

    def drift(self) -> Sequence[str]:
        """Return nothing: the columns are ours."""
        return ()
