"""Payloads to Arrow value by value: the tolerant path, which fails on nothing.

Lives here: decoding, the columns that new members ask for, rows fitted to them. The quick path is bulk.py; events.py
chooses between the two.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from sinks.columns.from_rows import observe
from sinks.columns.policy import Limits
from sinks.columns.shape import Branch, arrow_type
from sinks.rows import salvage

MAX_WAITING = 64
"""How many members without a column the quick path is told of; one more costs each event a look."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """Payloads as a struct column of `shape`, with the JSON texts of `_extra` and `_raw` beside it."""

    shape: Branch
    payload: pa.Array
    extra: pa.Array
    raw: pa.Array


def parse(payloads: Sequence[bytes], shape: Branch, limits: Limits) -> Parsed:
    """Return the rows of `payloads` in order, and the shape with the columns that they add; total."""
    decoded = [salvage.read(raw) for raw in payloads]
    grown = _grow(decoded, shape, limits)
    rows = [salvage.fit(item, grown) for item in decoded]
    return Parsed(
        grown,
        pa.array([row.values for row in rows], arrow_type(grown)),
        pa.array([row.extra for row in rows], pa.string()),
        pa.array([row.raw for row in rows], pa.string()),
    )


def grow(payloads: Sequence[bytes], shape: Branch, limits: Limits) -> Branch:
    """Return the shape with the columns that `payloads` add; total."""
    return _grow([salvage.read(raw) for raw in payloads], shape, limits)


def waiting(parsed: Parsed) -> list[tuple[str, ...]]:
    """Return the paths of the members that stand in `_extra`, as first seen, at most MAX_WAITING."""
    found: dict[tuple[str, ...], None] = {}
    for text in parsed.extra.drop_null().to_pylist():
        for pointer in json.loads(text):
            steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
            found.setdefault(tuple(steps))
        if len(found) >= MAX_WAITING:
            break
    return list(found)[:MAX_WAITING]


def _grow(decoded: Sequence[salvage.Decoded], shape: Branch, limits: Limits) -> Branch:
    try:
        return observe((item.value for item in decoded if item.value is not None), shape, limits)
    except RecursionError:
        return shape
