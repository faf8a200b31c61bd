"""What a stream's definition says of its columns: limits, always typed paths, and the contract.

Lives here: values only. Spec section 8: objects deeper than `typedDepth` and arrays of objects are JSON text columns,
what comes after `maxColumns` goes to `_extra`. The contract's words are dlt's; what they mean here: README.md.
"""

from dataclasses import dataclass
from enum import StrEnum

from sinks.columns import names

Path = tuple[str, ...]


class Mode(StrEnum):
    """What becomes of what an event brings and the table has no place for."""

    EVOLVE = "evolve"
    FREEZE = "freeze"
    DISCARD_ROW = "discardRow"
    DISCARD_VALUE = "discardValue"


class Infer(StrEnum):
    """When values name columns: always, with the first rows of a new table only, never."""

    ALWAYS = "always"
    ONCE = "once"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Limits:
    """`typed_depth`: an object this many members below the payload is still a struct; `max_columns`: leaves.

    `named`: paths that are typed whatever their depth and number. `reserved`: what no member of the payload's root may
    begin with, where it would stand beside our own columns.
    """

    typed_depth: int = 3
    max_columns: int = 500
    named: frozenset[Path] = frozenset()
    reserved: tuple[str, ...] = ()

    def usable(self, path: Path) -> bool:
        """Tell whether the member at `path` can be a column, apart from its neighbours."""
        name = path[-1]
        if self.reserved and len(path) == 1 and name.casefold().startswith(self.reserved):
            return False
        return names.usable(name)

    def opens(self, path: Path) -> bool:
        """Tell whether an object at `path` is a struct."""
        return len(path) <= self.typed_depth or (
            bool(self.named) and any(name[: len(path)] == path for name in self.named)
        )


@dataclass(frozen=True, slots=True)
class Contract:
    """What happens to a member without a column, and to a value that does not fit its column."""

    columns: Mode = Mode.EVOLVE
    data_types: Mode = Mode.EVOLVE
    infer: Infer = Infer.ALWAYS


def path_of(text: str) -> Path:
    """Read a path as a definition names it: a JSON pointer when it begins with `/`, else members between dots."""
    if text.startswith("/"):
        return tuple(step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:])
    return tuple(text.split("."))
