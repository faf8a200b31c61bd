"""Payloads to Arrow value by value: the tolerant path, which fails on nothing.

Lives here: decoding, the columns that new members ask for, rows fitted to them. The quick path is bulk.py; events.py
chooses between the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from sinks.columns.from_rows import observe
from sinks.columns.policy import Contract, Infer, Limits, Path, path_of
from sinks.columns.shape import Branch, arrow_type
from sinks.rows import salvage

MAX_WAITING = 64
"""How many members without a column the quick path is told of; one more costs each event a look."""
_OPEN = Contract()


@dataclass(frozen=True, slots=True)
class Parsed:
    """Payloads as a struct column of `shape`, with the JSON texts of `_extra` and `_raw` beside it.

    `discarded`: numbers of the payloads that the contract takes no row of; theirs are there, empty. `waiting`:
    paths of members without a column.
    """

    shape: Branch
    payload: pa.Array
    extra: pa.Array
    raw: pa.Array
    discarded: Sequence[int] = ()
    dropped: int = 0
    waiting: Sequence[Path] = ()


def parse(payloads: Sequence[bytes], shape: Branch, limits: Limits, contract: Contract = _OPEN) -> Parsed:
    """Return the rows of `payloads` in order, and the shape with the columns that they add; total."""
    decoded = [salvage.read(raw) for raw in payloads]
    grown = _grow(decoded, shape, limits) if contract.infer is Infer.ALWAYS else shape
    rows = [salvage.fit(item, grown, contract) for item in decoded]
    return Parsed(
        grown,
        pa.array([row.values for row in rows], arrow_type(grown)),
        pa.array([row.extra for row in rows], pa.string()),
        pa.array([row.raw for row in rows], pa.string()),
        [number for number, row in enumerate(rows) if row.discarded],
        sum(row.dropped for row in rows),
        _waiting(rows),
    )


def grow(payloads: Sequence[bytes], shape: Branch, limits: Limits) -> Branch:
    """Return the shape with the columns that `payloads` add; total."""
    return _grow([salvage.read(raw) for raw in payloads], shape, limits)


def _waiting(rows: Sequence[salvage.Row]) -> list[Path]:
    """Return the paths of the members without a column, as first seen, at most MAX_WAITING."""
    found: dict[str, None] = {}
    for row in rows:
        if row.waits:
            found |= dict.fromkeys(row.waits)
            if len(found) >= MAX_WAITING:
                break
    return [path_of(pointer) for pointer in found][:MAX_WAITING]


def _grow(decoded: Sequence[salvage.Decoded], shape: Branch, limits: Limits) -> Branch:
    try:
        return observe((item.value for item in decoded if item.value is not None), shape, limits)
    except RecursionError:
        return shape
