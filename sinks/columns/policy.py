"""How far a stream's payload is typed: depth and number of columns.

Lives here: the limits. Spec section 8: objects deeper than `typedDepth` and arrays of objects are JSON text columns,
what comes after `maxColumns` goes to `_extra`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """`typed_depth`: an object this many members below the payload is still a struct; `max_columns`: leaves."""

    typed_depth: int = 3
    max_columns: int = 500
