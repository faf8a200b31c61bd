"""Whether JSON text may hold a number that a double cannot hold, found without parsing it.

Lives here: the search only. A number of at most 15 digits without an exponent is a double exactly as written (IEEE 754:
15 decimal digits survive); any other one must be looked at by itself (decode.py).
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from sinks.columns.shape import Branch, Decimals, Kind, Leaf
from sinks.rows.decode import LONG_NUMBER

_MOST_NAMES = 4
"""Past this many names one search for any such number costs less than a search for each name."""
_VALUE = r'"[ \t]*:[ \t]*-?(?:[0-9][0-9.]{15}|[0-9][0-9.]*[eE])'


class Check:
    """The search for one shape: by the names of its doubles where there are few, else for any such number."""

    def __init__(self, shape: Branch) -> None:
        found = list(_doubles(shape))
        names = {name for name, _kind in found}
        plain = all(name.isascii() and name.replace("_", "").isalnum() for name in names)
        lists = any(kind is Kind.LIST_DOUBLE for _name, kind in found)
        self._any = bool(found)
        by_name = plain and not lists and len(names) <= _MOST_NAMES
        self._names = [f'"{name}{_VALUE}' for name in sorted(names)] if by_name else []

    def may_be_rounded(self, text: bytes) -> bool:
        """Tell whether some double in `text` may not come out as written; True may be a false alarm."""
        if not self._any:
            return False
        patterns = self._names if self._names and b"\\u" not in text else [LONG_NUMBER]  # a name may be escaped
        whole = pa.array([text], pa.large_binary())
        return any(pc.match_substring_regex(whole, pattern)[0].as_py() for pattern in patterns)


def _doubles(shape: Branch) -> Iterator[tuple[str, Leaf]]:
    for name, child in shape.fields.items():
        if isinstance(child, Branch):
            yield from _doubles(child)
        elif child in {Kind.DOUBLE, Kind.LIST_DOUBLE} or (isinstance(child, Decimals) and child.scale):
            yield name, child
