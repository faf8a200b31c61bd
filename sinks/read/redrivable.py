"""What a redrive may take of a tenant's quarantine table: rows that failed and are not resolved (rules 15 and 16).

Lives here: the join of `failed` with `resolved`, and how far the table follows its topics. Filters: those of the list
(quarantine.py), `ids` (event ids), `distinct` (rows with reason `id_conflict` are taken as well). Implements
`schemas.ports.QuarantineTable`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg import expressions
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import And, BooleanExpression
from pyiceberg.table import Table

from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire import quarantine as wire
from schemas.wire.position import Position
from schemas.wire.quarantine import FAILED, RESOLVED, OpenRow
from sinks.fleet import QUARANTINE
from sinks.read import quarantine
from sinks.table import state

MAX_OPEN = 1_000_000
"""Rows looked at for one redrive: about 200 MB; more are narrowed by time, source or reason."""
_other: Any = expressions.NotEqualTo
_within: Any = expressions.In
_KEYS = list(quarantine.KEY)
_ROW = pa.schema(
    [("event_id", pa.string()), ("source_id", pa.string()), ("reason", pa.string()), ("position_topic", pa.string()),
     ("position_partition", pa.int32()), ("position_offset", pa.int64()), ("position_item", pa.int32()),
     ("delivery_id", pa.string()), ("size", pa.int64()), ("digest", pa.binary())]
)  # fmt: skip
_TOLD = ("event_id", "source_id", "reason", *quarantine.KEY, "delivery_id")


class Rows:
    """Open rows by position, made one by one."""

    def __init__(self, found: pa.Table) -> None:
        self._found = found

    def __len__(self) -> int:
        """Return how many there are."""
        return int(self._found.num_rows)

    def __iter__(self) -> Iterator[OpenRow]:
        """Yield them, ascending."""
        for batch in self._found.to_batches(max_chunksize=10_000):
            for row in batch.to_pylist():
                at = Position(*(row[name] for name in quarantine.KEY))
                yield OpenRow(
                    at, row["event_id"], row["source_id"], row["reason"], row["size"], row["digest"],
                    row["delivery_id"] or "",
                )  # fmt: skip


class Redrivable:
    """Implements `schemas.ports.QuarantineTable`; `catalog` is opened with the first call."""

    def __init__(self, catalog: Callable[[], Catalog]) -> None:
        self._open = catalog
        self._catalog: Catalog | None = None

    def held(self, tenant: str) -> dict[tuple[str, int], int]:
        """Return how far the table holds its topics: (topic id, partition) -> next offset."""
        table = self._table(tenant)
        held = {} if table is None else state.offsets(table.metadata, f"{tenant}.{QUARANTINE}")
        return {(topic_id, int(number)): at for topic_id, ends in held.items() for number, at in ends.items()}

    def rows(self, tenant: str, query: Mapping[str, Any], alive: Callable[[], None]) -> Rows:
        """Return the open rows by position; `alive` is called while the table is read."""
        table = self._table(tenant)
        if table is None or table.current_snapshot() is None:
            return Rows(_ROW.empty_table())
        scan = table.scan(row_filter=where(query), selected_fields=(*_TOLD, "message", "payload"))
        parts = [_ROW.empty_table()]
        count = 0
        for batch in scan.to_arrow_batch_reader():
            parts.append(_small(batch))
            count += batch.num_rows
            _bounded(count)
            alive()
        found = pa.concat_tables(parts).join(_resolved(table), keys=_KEYS, join_type="left anti")
        return Rows(found.sort_by([(name, "ascending") for name in _KEYS]))

    def _table(self, tenant: str) -> Table | None:
        if self._catalog is None:
            self._catalog = self._open()
        try:
            return self._catalog.load_table((tenant, QUARANTINE))
        except NoSuchTableError:
            return None


def count(table: Table, query: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{matching, byReason}`: how many open rows a redrive would take; raises `Refused(bad_request)`."""
    if table.current_snapshot() is None:
        return nothing()
    found = table.scan(row_filter=where(query), selected_fields=("reason", *_KEYS)).to_arrow()
    _bounded(found.num_rows)
    found = _keyed(found, "reason").join(_resolved(table), keys=_KEYS, join_type="left anti")
    reasons = pc.value_counts(found.column("reason")).to_pylist()
    by_reason = {str(each["values"]): int(each["counts"]) for each in reasons}
    return {"matching": int(found.num_rows), "byReason": dict(sorted(by_reason.items()))}


def nothing() -> dict[str, Any]:
    """Return the count of a table that does not exist yet."""
    return {"matching": 0, "byReason": {}}


def where(query: Mapping[str, Any]) -> BooleanExpression:
    """Return the filter of a redrive."""
    made = And(quarantine.where(query), quarantine.equal("kind", FAILED))
    if not query.get("distinct"):
        made = And(made, _other("reason", str(Reason.ID_CONFLICT)))
    if query.get("ids"):
        made = And(made, _within("event_id", set(query["ids"])))
    return made


def _bounded(rows: int) -> None:
    if rows > MAX_OPEN:
        raise Refused(Reason.BAD_REQUEST, f"more than {MAX_OPEN} rows: narrow it by source, reason, after and before")


def _resolved(table: Table) -> pa.Table:
    scan = table.scan(row_filter=quarantine.equal("kind", RESOLVED), selected_fields=quarantine.KEY)
    return _keyed(scan.to_arrow())


def _keyed(found: pa.Table, *more: str) -> pa.Table:
    """Return the columns that name a row in one type each, whatever the reader chose."""
    return found.select([*more, *_KEYS]).cast(pa.schema([_ROW.field(name) for name in (*more, *_KEYS)]))


def _small(batch: pa.RecordBatch) -> pa.Table:
    """Return what is kept of a batch: of payloads their size, and their digest where they may be a whole delivery."""
    sizes, digests = [], []
    columns = (batch.column(name) for name in ("position_item", "payload", "message"))
    for item, payload, message in zip(*columns, strict=True):
        held = payload.as_py() or b""
        told = None if held else wire.left_out_size(message.as_py() or "")
        sizes.append(len(held) if told is None else told)
        digests.append(wire.payload_digest(held) if item.as_py() == 0 and told is None else None)
    kept = pa.table({name: batch.column(name) for name in _TOLD})
    made = kept.append_column("size", pa.array(sizes, pa.int64()))
    return made.append_column("digest", pa.array(digests, pa.binary())).cast(_ROW)
