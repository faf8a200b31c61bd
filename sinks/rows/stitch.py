"""What `columnNames: stitch` adds to a flat row: the `_sdc_` columns that queries written for Stitch ask for.

Lives here: their names and values, no state. `_sdc_sequence` is a number of ms since the epoch, unique and increasing
in the table: the caller gives the first one of a commit (sinks/layout.py), and here its rows get one each, in the
order that versions have (sinks/columns/key.py). So the greatest number of a key is its latest version as far as one
commit tells; over commits it is the one that came in last, as with Stitch.
https://www.stitchdata.com/docs/replication/loading/understanding-loading-behavior
"""

from collections.abc import Sequence

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from sinks.columns.key import ORDER, Key
from sinks.columns.policy import Path
from sinks.rows.system import TIME, Column, flat_name

SEQUENCE = "_sdc_sequence"
COLUMNS = (
    Column("_sdc_received_at", TIME, "Stitch: when the delivery reached the ingress"),
    Column("_sdc_batched_at", TIME, "Stitch: when the rows of this commit were put together"),
    Column(SEQUENCE, pa.int64(), "Stitch: number of the row, epoch ms, unique and increasing in the table"),
    Column("_sdc_table_version", pa.int64(), "Stitch: epoch ms of the table's first rows"),
    Column("__sdc_primary_key", pa.string(), "Stitch: the value of primaryKey, JSON if not one text; else event id"),
)
RESERVED = ("_sdc_", "__sdc_")
"""What members of the payload may not begin with here; they stay in `_hb_extra`."""


def added(
    rows: pa.Table, first: int, batched_us: int, version: int, key: Key | None, sequence: Path | None
) -> pa.Table:
    """Return flat rows with the `_sdc_` columns; `first` is the number of the first row in the order of versions.

    `sequence`: the path of the column that tells versions apart, if it is one.
    """
    made = (
        rows[flat_name("received_at")],
        pa.repeat(pa.scalar(batched_us, TIME), rows.num_rows),
        pc.add(places(rows, sequence), first),
        pa.repeat(pa.scalar(version, pa.int64()), rows.num_rows),
        _keys(rows, () if key is None else key.members),
    )
    for column, values in zip(COLUMNS, made, strict=True):
        rows = rows.append_column(column.name, values)
    return rows


def places(rows: pa.Table, sequence: Path | None) -> pa.Array:
    """Return each row's place among the rows, the oldest version first."""
    columns = {str(at): rows[flat_name(name)] for at, name in enumerate(ORDER)}
    if sequence is not None and sequence[0] in rows.column_names:
        values = rows[sequence[0]]
        columns = {"sequence": pc.struct_field(values, list(sequence[1:])) if sequence[1:] else values, **columns}
    order = pc.sort_indices(pa.table(columns), sort_keys=[(name, "ascending", "at_start") for name in columns])
    return pc.sort_indices(order).cast(pa.int64())  # the inverse of a permutation


def _keys(rows: pa.Table, members: Sequence[str]) -> pa.Array | pa.ChunkedArray:
    """Return the key's text of each row; where a member has no value, the id of the event, else its position."""
    position = [rows[flat_name(name)].cast(pa.string()) for name in ORDER[2:]]
    own = pc.coalesce(rows[flat_name("event_id")], pc.binary_join_element_wise(*position, "/"))
    if not members or any(member not in rows.column_names for member in members):
        return own
    columns = [rows[member] for member in members]
    if len(columns) == 1 and pa.types.is_string(columns[0].type):
        return pc.coalesce(columns[0], own)
    texts = [
        None if None in values else orjson.dumps(values if len(values) > 1 else values[0], default=str).decode()
        for values in zip(*(column.to_pylist() for column in columns), strict=True)
    ]
    return pc.coalesce(pa.chunked_array([pa.array(texts, pa.string())]), own)
