"""Clean events to Arrow: many at once where they are plain, one by one where they are not.

Lives here: the choice between the quick path (bulk.py) and the tolerant one (system.py, parse.py). Events are taken in
slices of about a MiB, which stay in the processor's cache; a slice that is not plain is halved until what is left over
is small, so one odd event costs its neighbours next to nothing. Measurements: sinks/README.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from schemas import logs
from sinks.columns.policy import Contract, Infer, Limits
from sinks.columns.shape import Branch, arrow_type
from sinks.columns.widen import widen
from sinks.rows import parse, salvage, system
from sinks.rows.bulk import Bulk, Part
from sinks.rows.cuts import Path
from sinks.rows.system import PAYLOAD, Record

SLICE_BYTES = 1 << 20
SMALL = 64
"""Below this many rows the tolerant path costs less than halving on."""
SAMPLE = 4096
"""From how many of its first events a new table takes its columns."""
_PATIENCE, _RETRY_EVERY = 3, 20
_OPEN = Contract()
log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Rows:
    """Events as rows of `shape`; `overflow`: how many have something in `_extra`.

    `discarded`: numbers of the records that the contract takes no row of; `dropped`: values that it has left out.
    """

    shape: Branch
    rows: pa.Table
    overflow: int
    discarded: Sequence[int] = ()
    dropped: int = 0


class Events:
    """Reads batch after batch of one table; remembers what the quick path needs to know of them."""

    def __init__(self, limits: Limits, contract: Contract = _OPEN) -> None:
        self._limits, self._contract = limits, contract
        self._bulk: Bulk | None = None
        self._waiting: dict[Path, None] = {}
        self.waits: tuple[str, ...] = ()
        self._envelopes = False
        self._misses = 0

    def read(self, records: Sequence[Record], shape: Branch, now_us: int) -> Rows:
        """Return the rows of `records` in order, and the shape with the columns that they add; total."""
        if not shape.fields and self._contract.infer is not Infer.NEVER:
            shape = parse.grow(system.heads(records[:SAMPLE]).payloads(), shape, self._limits)
        parts: list[Part] = []
        for part in _slices(records):
            made = self._slice(part, shape, now_us)
            shape = made[1]
            parts += made[0]
        kind = arrow_type(shape)
        tables: list[pa.Table] = []
        discarded: list[int] = []
        at = 0
        for one in parts:
            columns = dict(one.columns)
            if shape.fields:
                columns[PAYLOAD] = widen(one.payload, kind)
            table = pa.table(columns)
            tables.append(_without(table, one.discarded) if one.discarded else table)
            discarded += (at + number for number in one.discarded)
            at += table.num_rows
        rows = pa.concat_tables(tables) if tables else pa.table({})
        overflow = sum(table.num_rows - table["_extra"].null_count for table in tables)
        return Rows(shape, rows, overflow, discarded, sum(one.dropped for one in parts))

    def _slice(self, records: Sequence[Record], shape: Branch, now_us: int) -> tuple[list[Part], Branch]:
        ranges: list[tuple[int, int, Part | None]] = []
        if not shape.fields or (self._misses > _PATIENCE and self._misses % _RETRY_EVERY):
            self._misses += 1
            ranges.append((0, len(records), None))
        else:
            self._quick([record.value for record in records], 0, len(records), self._plan(shape), now_us, ranges)
            missed = sum(end - start for start, end, part in ranges if part is None)
            self._misses = self._misses + 1 if missed * 2 > len(records) else 0
        parts: list[Part] = []
        for start, end, part in ranges:
            if part is None:
                part, shape = self._tolerant(records[start:end], shape, now_us)  # noqa: PLW2901 what was missing
            parts.append(part)
        return parts, shape

    def _plan(self, shape: Branch) -> Bulk:
        if self._bulk is None or self._bulk.shape != shape:
            self._bulk = Bulk(
                shape, self._limits, tuple(self._waiting), self._contract, envelopes=self._envelopes
            )  # fmt: skip

        return self._bulk

    def _quick(
        self,
        values: Sequence[bytes],
        start: int,
        end: int,
        plan: Bulk,
        now_us: int,
        ranges: list[tuple[int, int, Part | None]],
    ) -> None:
        """Append (start, end, part) that cover the range; None instead of a part: for the tolerant path."""
        part = plan.read(values[start:end], now_us)
        if part is not None or end - start <= SMALL:
            ranges.append((start, end, part))
            return
        middle = (start + end) // 2
        self._quick(values, start, middle, plan, now_us, ranges)
        self._quick(values, middle, end, plan, now_us, ranges)

    def _tolerant(self, records: Sequence[Record], shape: Branch, now_us: int) -> tuple[Part, Branch]:
        heads = system.heads(records)
        payloads = heads.payloads()
        try:
            parsed = parse.parse(payloads, shape, self._limits, self._contract)
        except Exception:
            log.exception("payloads_kept_as_text", rows=len(payloads))
            parsed = _as_text(payloads, shape)
        columns = heads.columns(now_us)
        self._learn(parsed, envelopes=columns["envelope"].null_count < len(records))
        made = {**columns, "_extra": parsed.extra, "_raw": parsed.raw}
        return Part(made, parsed.payload, parsed.discarded, parsed.dropped), parsed.shape

    def _learn(self, parsed: parse.Parsed, *, envelopes: bool) -> None:
        """Take note of what the quick path must cut out from now on."""
        room = parse.MAX_WAITING - len(self._waiting)
        new = [path for path in parsed.waiting if path not in self._waiting][:room]
        if new or (envelopes and not self._envelopes):
            self._waiting |= dict.fromkeys(new)
            self.waits = tuple("".join(map(salvage.pointer, path)) for path in self._waiting)
            self._envelopes |= envelopes
            self._bulk = None


def _without(table: pa.Table, rows: Sequence[int]) -> pa.Table:
    gone = set(rows)
    return table.take(pa.array([number for number in range(table.num_rows) if number not in gone], pa.int64()))


def _slices(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    size, start = 0, 0
    for at, record in enumerate(records):
        size += len(record.value)
        if size >= SLICE_BYTES:
            yield records[start : at + 1]
            size, start = 0, at + 1
    if start < len(records):
        yield records[start:]


def _as_text(payloads: Sequence[bytes], shape: Branch) -> parse.Parsed:
    rows = [salvage.whole(raw) for raw in payloads]
    kind = arrow_type(shape)
    nulls = pa.nulls(len(rows), kind) if shape.fields else pa.nulls(len(rows))
    return parse.Parsed(
        shape, nulls, pa.nulls(len(rows), pa.string()), pa.array([row.raw for row in rows], pa.string())
    )
