"""Which hidden rows of an upsert table a rewrite of its files must keep: deletions of keys that nothing else tells of.

Lives here: the choice. Pure. An older event that comes late must not bring a deleted key back, so the row that deleted
it stays, hidden; unless the same files hold a row of the key that is not hidden, which is newer, or a later deletion.
"""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadata

from sinks.upsert import scalars
from sinks.upsert.rebuild import NAMES, columns, times


class Lasting:
    """Of one table; `first`: the schema of a new one, whose field ids the columns have."""

    def __init__(self, first: Schema) -> None:
        self._first = first

    def __call__(self, metadata: TableMetadata, rows: pa.Table, hidden: pa.Array) -> pa.Array:
        """Return which hidden rows stay, as booleans; raises `Unindexed` where a column was dropped."""
        ids = columns(metadata, self._first)
        key, sequence, tombstone, event, received = (
            rows.column(metadata.schema().find_field(ids[name]).name).combine_chunks() for name in NAMES
        )
        dead = pc.and_(hidden, pc.fill_null(tombstone, False))
        alive = pc.unique(key.filter(pc.invert(hidden)))
        asked = pc.and_(dead, pc.invert(pc.is_in(key, value_set=alive.drop_null())))
        places = pc.indices_nonzero(asked)
        every = range(len(places))
        versions = [
            (*scalars.of(text), happened, came)
            for text, happened, came in zip(
                sequence.take(places).to_pylist(),
                times(event.take(places), every, len(places)),
                times(received.take(places), every, len(places)),
                strict=True,
            )
        ]
        keys = key.take(places).to_pylist()
        latest: dict[str, Any] = {}
        for name, version in zip(keys, versions, strict=True):
            latest[name] = max(version, latest.get(name, version))
        stay = [latest[name] == version for name, version in zip(keys, versions, strict=True)]
        return pc.is_in(
            pa.arange(0, rows.num_rows), value_set=places.filter(pa.array(stay, pa.bool_())).cast(pa.int64())
        )
