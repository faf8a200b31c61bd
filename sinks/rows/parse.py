"""Payloads to Arrow: many at once where they fit, value by value where they do not.

Lives here: the choice between the two. pyarrow.json with an explicit schema is several times quicker than Python, but
one odd value fails the batch, unknown members come out as guessed types, and JSON text columns are beyond it. So: try,
halve on failure, and hand what is left to salvage.py. Measurements: sinks/README.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as paj

from sinks.columns.from_rows import observe
from sinks.columns.policy import Limits
from sinks.columns.shape import Branch, arrow_type, has_double, has_json
from sinks.columns.widen import widen
from sinks.rows import salvage
from sinks.rows.decode import LONG_NUMBER

BLOCK_BYTES = 8 << 20
SMALL = 64
"""Below this many rows the tolerant path costs less than halving on."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """Payloads as a struct column of `shape`, with the JSON texts of `_extra` and `_raw` beside it."""

    shape: Branch
    payload: pa.Array
    extra: pa.Array
    raw: pa.Array


class Parser:
    """Parses batch after batch of one table; remembers whether the quick path has been any use lately."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._misses = 0

    def parse(self, payloads: Sequence[bytes], shape: Branch) -> Parsed:
        """Return the rows of `payloads` in order, and the shape with the columns that they add; total."""
        parts: list[tuple[int, int, pa.Array | None]] = []
        if not shape.fields or has_json(shape) or (self._misses > _PATIENCE and self._misses % _RETRY_EVERY):
            self._misses += 1
            parts.append((0, len(payloads), None))
        else:
            _quick(payloads, 0, len(payloads), shape, arrow_type(shape), parts)
            missed = sum(end - start for start, end, column in parts if column is None)
            self._misses = self._misses + 1 if missed * 2 > len(payloads) else 0
        decoded = {
            start: [salvage.read(raw) for raw in payloads[start:end]] for start, end, column in parts if column is None
        }
        grown = self._grow(decoded, shape)
        wanted = arrow_type(grown)
        columns: list[pa.Array] = []
        extra: list[str | None] = []
        raw: list[str | None] = []
        for start, end, column in parts:
            if column is not None:
                columns.append(widen(column, wanted))
                extra.extend([None] * (end - start))
                raw.extend([None] * (end - start))
                continue
            rows = [salvage.fit(item, grown) for item in decoded[start]]
            columns.append(pa.array([row.values for row in rows], wanted))
            extra.extend(row.extra for row in rows)
            raw.extend(row.raw for row in rows)
        return Parsed(grown, pa.concat_arrays(columns), pa.array(extra, pa.string()), pa.array(raw, pa.string()))

    def _grow(self, decoded: dict[int, list[salvage.Decoded]], shape: Branch) -> Branch:
        values = (item.value for items in decoded.values() for item in items)
        try:
            return observe((value for value in values if value is not None), shape, self._limits)
        except RecursionError:
            return shape


_PATIENCE = 3
_RETRY_EVERY = 20


def _quick(
    payloads: Sequence[bytes],
    start: int,
    end: int,
    shape: Branch,
    wanted: pa.DataType,
    parts: list[tuple[int, int, pa.Array | None]],
) -> None:
    """Append (start, end, column) parts that cover the range; None instead of a column: for the tolerant path."""
    column = _strict(payloads[start:end], shape, wanted)
    if column is not None or end - start <= SMALL:
        parts.append((start, end, column))
        return
    middle = (start + end) // 2
    _quick(payloads, start, middle, shape, wanted, parts)
    _quick(payloads, middle, end, shape, wanted, parts)


def _strict(payloads: Sequence[bytes], shape: Branch, wanted: pa.DataType) -> pa.Array | None:
    joined = b"\n".join(payloads)
    if joined.count(b"\n") != len(payloads) - 1 or b"\r" in joined:  # whitespace as sent; none inside JSON strings
        joined = b"\n".join(raw.replace(b"\n", b" ").replace(b"\r", b" ") for raw in payloads)
    try:
        if not joined.isascii():
            joined.decode()  # pyarrow.json does not look
        if has_double(shape) and _long_numbers(payloads):
            return None
        table = paj.read_json(
            pa.py_buffer(joined),
            read_options=paj.ReadOptions(
                block_size=max(BLOCK_BYTES, 2 * max(map(len, payloads)) + 2), use_threads=False
            ),
            parse_options=paj.ParseOptions(explicit_schema=pa.schema(list(wanted)), unexpected_field_behavior="infer"),
        )
    except (pa.ArrowException, UnicodeDecodeError):
        return None
    if table.num_rows != len(payloads) or not _known(table.schema, wanted):
        return None
    return widen(table.to_struct_array().combine_chunks(), wanted)


def _long_numbers(payloads: Sequence[bytes]) -> bool:
    texts = pa.array(payloads, pa.large_binary())
    return bool(pc.any(pc.match_substring_regex(texts, LONG_NUMBER)).as_py())


def _known(have: pa.Schema | pa.StructType, wanted: pa.StructType) -> bool:
    """Tell whether all that was read has a column; members that were only ever null need none."""
    for field in have:
        at = wanted.get_field_index(field.name)
        if at < 0:
            if not pa.types.is_null(field.type):
                return False
        elif pa.types.is_struct(field.type) and not _known(field.type, wanted.field(at).type):
            return False
    return True
