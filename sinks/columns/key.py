"""What makes events versions of one thing, and which version is the latest: one meaning for upserts and `latest`.

Lives here: the words of `primaryKey` and `sequenceField` as columns, no table and no query. A row has a key when each
of its members has a value in its column; others (absent, null, kept in `_raw`) are versions of nothing. The latest of a
key is the greatest by ORDER, with the value at `sequence` before all where it has one: a row without it is older than
any with it. Nobody draws: a position is unique.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sinks.columns.policy import Path, path_of
from sinks.columns.shape import Branch, Decimals, Kind, Shape

ORDER = ("event_time", "received_at", "_topic", "_offset", "_item", "_partition")
"""System columns from the first to the last that decide; nulls are older. `received_at` stands for the position where
partitions differ: whole seconds of event time are common, and offsets of two partitions say nothing of each other."""
_COMPARED = frozenset({Kind.INT, Kind.LONG, Kind.DOUBLE, Kind.STRING, Kind.TIME, Kind.DATE})


@dataclass(frozen=True, slots=True)
class Key:
    """The payload's members that make a key, and the path of the value that tells versions apart."""

    members: tuple[str, ...]
    sequence: Path | None = None

    @property
    def paths(self) -> frozenset[Path]:
        """Return what must be typed whatever its depth and number."""
        found = {(member,) for member in self.members}
        return frozenset(found | ({self.sequence} if self.sequence else set()))

    def compared(self, shape: Branch) -> Path | None:
        """Return the sequence's path if it is a column whose values have an order; None: it does not count."""
        found = None if self.sequence is None else _at(shape, self.sequence)
        ordered = isinstance(found, Decimals) or (isinstance(found, Kind) and found in _COMPARED)
        return self.sequence if ordered else None

    def known(self, shape: Branch) -> bool:
        """Tell whether each member of the key is a column; before that no row has a key."""
        return all(not isinstance(shape.fields.get(member, _NONE), Branch) for member in self.members)


_NONE = Branch()


def key_of(primary_key: Sequence[str], sequence_field: str | None) -> Key | None:
    """Return the key as a definition names it; None without one."""
    return Key(tuple(primary_key), None if sequence_field is None else path_of(sequence_field)) if primary_key else None


def _at(shape: Branch, path: Path) -> Shape | None:
    found: Shape = shape
    for step in path:
        child = found.fields.get(step) if isinstance(found, Branch) else None
        if child is None:
            return None
        found = child
    return found
