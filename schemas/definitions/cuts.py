"""How a table is cut into partitions and how its files are sorted: the terms of `partitionBy` and `sortBy`.

Lives here: reading a term, which columns it may name. Not here: Iceberg's objects (sinks/table/partitions.py). Only
columns that every event has are taken, so that no payload decides whether a table can be made. Iceberg spec,
"Partition Transforms", "Sorting".
"""

import re
from typing import Literal, NamedTuple

Transform = Literal["year", "month", "day", "hour", "identity", "bucket"]
SPANS: tuple[Transform, ...] = ("year", "month", "day", "hour")
TIMES = ("received_at", "event_time")
LABELS = ("platform", "source", "source_kind", "event_type")
"""Columns of few values: one partition each is a good idea for these only."""
IDS = ("event_id", "vendor_event_id", "source_identifier", "delivery_id", "correlation_id")
MAX_BUCKETS = 64
"""Every commit writes a file a bucket that it meets."""
_TERM = re.compile(r"(?:([a-z]+) ?\( ?(?:([0-9]{1,4}) ?, ?)?([a-z_]+) ?\)|([a-z_]+))")
_HELP = (
    f"say {', '.join(f'{span}(…)' for span in SPANS)} of {' or '.join(TIMES)}, one of {', '.join(LABELS)}, "
    f"or bucket(N, …) of {', '.join(IDS)}"
)


class Cut(NamedTuple):
    """One term of `partitionBy`; `width`: the number of buckets."""

    transform: Transform
    column: str
    width: int | None = None

    def __str__(self) -> str:
        """Write the term as it is read."""
        if self.transform == "identity":
            return self.column
        return f"{self.transform}({'' if self.width is None else f'{self.width}, '}{self.column})"


class Order(NamedTuple):
    """One term of `sortBy`."""

    column: str
    descending: bool = False

    def __str__(self) -> str:
        """Write the term as it is read."""
        return f"{self.column} desc" if self.descending else self.column


def cut(text: str) -> Cut:
    """Read a term of `partitionBy`; raise ValueError saying what can be said."""
    found = _TERM.fullmatch(text.strip())
    name, width, inner, bare = found.groups() if found else (None, None, None, None)
    column = bare or inner or ""
    if name in SPANS and width is None and column in TIMES:
        return Cut(next(span for span in SPANS if span == name), column)
    if name in {None, "identity"} and width is None and column in LABELS:
        return Cut("identity", column)
    if name == "bucket" and width is not None and column in IDS:
        if not 2 <= int(width) <= MAX_BUCKETS:  # noqa: PLR2004 one bucket is none
            raise ValueError(
                f"{text!r}: a table has 2 to {MAX_BUCKETS} buckets, for each commit writes a file into each"
            )
        return Cut("bucket", column, int(width))
    raise ValueError(f"{text!r} is no partition: {_HELP}")


def cuts(texts: tuple[str, ...]) -> tuple[Cut, ...]:
    """Read `partitionBy`; raise ValueError for a bad term and for a column that is named twice."""
    found = tuple(cut(text) for text in texts)
    if len({one.column for one in found}) != len(found):
        raise ValueError("a column is named twice: the finer of two spans is enough")
    return found


def order(text: str) -> Order:
    """Read a term of `sortBy`: a column, ` desc` behind it for the other direction; raise ValueError."""
    column, _, direction = text.strip().partition(" ")
    if column not in (*TIMES, *LABELS, *IDS) or direction.strip() not in {"", "asc", "desc"}:
        raise ValueError(
            f"{text!r} is no order: say one of {', '.join((*TIMES, *LABELS, *IDS))}, then ` desc` or nothing"
        )
    return Order(column, direction.strip() == "desc")


def orders(texts: tuple[str, ...]) -> tuple[Order, ...]:
    """Read `sortBy`; raise ValueError for a bad term and for a column that is named twice."""
    found = tuple(order(text) for text in texts)
    if len({one.column for one in found}) != len(found):
        raise ValueError("a column is named twice")
    return found
