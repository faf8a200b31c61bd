"""How one stream's payload is typed: limits, contract, pinned schemas.

Lives here: the choice of columns that do not come from values; made once per definition. A schema that cannot be read
stops nothing: then types come from observation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas import logs
from sinks.columns.evolve import evolved
from sinks.columns.from_schema import Pinned, from_schemas
from sinks.columns.policy import Contract, Infer, Limits, Mode, path_of
from sinks.columns.shape import Branch, Kind

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Typing:
    """What a definition says of columns; `pins`: (subject@version, schema text), in order of their names.

    `frozen`: a production source feeds the stream, so that values name no column, not even the first ones.
    """

    limits: Limits = field(default_factory=Limits)
    columns: Mode = Mode.EVOLVE
    data_types: Mode = Mode.EVOLVE
    pins: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    frozen: bool = False

    def contract(self) -> Contract:
        """Return what holds for each event."""
        columns = Mode.FREEZE if self.frozen and self.columns is Mode.EVOLVE else self.columns
        types = Mode.FREEZE if self.frozen and self.data_types is Mode.EVOLVE else self.data_types
        if columns is Mode.EVOLVE:
            return Contract(columns, types, Infer.ALWAYS)
        return Contract(columns, types, Infer.NEVER if self.frozen or self.pins else Infer.ONCE)

    def pinned(self) -> Pinned:
        """Return the columns that the schemas describe; total."""
        if not self.pins:
            return Pinned()
        try:
            loose = None if self.contract().infer is Infer.ALWAYS else Kind.JSON
            return from_schemas(self.pins, self.limits, loose=loose)
        except Exception:
            log.exception("schemas_not_used", pins=[name for name, _text in self.pins])
            return Pinned()

    def grown(self, have: Branch, pinned: Pinned) -> Branch:
        """Return a table's columns with those of the schemas."""
        return evolved(have, pinned.shape, self.limits)


def named(paths: Sequence[str]) -> frozenset[tuple[str, ...]]:
    """Return the always typed paths of a definition."""
    return frozenset(path_of(path) for path in paths)
