"""What upkeep knows of one table between two looks.

Lives here: that state. Not here: what is done to a table (keeper.py).
"""

import threading
from dataclasses import dataclass, field

from sinks.status import TableUpkeep
from sinks.table.moves import Moves
from sinks.upkeep import compact
from sinks.upkeep.hiding import Hiding
from sinks.upkeep.journal import Journal
from sinks.upkeep.retain import Ages, Retention


class Closed(Exception):
    """The table is no longer this process's to look after."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """Of a table that is upserted into: how its writer is told where rows went, which hidden rows stay."""

    moves: Moves
    stays: compact.Stays
    hiding: Hiding = field(default_factory=Hiding)


@dataclass(slots=True)
class Care:
    """One table's: its tail writes `commits`, the keeper's thread the rest; `report` may be read by anyone.

    `retention`: None: rows stay. `keyed`: None: rows are only appended.
    """

    identifier: tuple[str, str]
    owner_id: str
    due: float
    retention: Retention | None = None
    keyed: Keyed | None = None
    commits: int = 0
    report: TableUpkeep = field(default_factory=TableUpkeep)
    inventory: compact.Inventory = field(default_factory=compact.Inventory)
    ages: Ages = field(default_factory=Ages)
    journal: Journal | None = None
    closed: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise `Closed` once the table is somebody else's to look after."""
        if self.closed.is_set():
            raise Closed

    def wait(self, seconds: float) -> None:
        """Sleep; raises `Closed`."""
        if self.closed.wait(seconds):
            raise Closed
