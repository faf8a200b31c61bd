"""Events of a table received before the cut of its retention: they have a row or none, and as many none as it says.

Lives here: which events these are, counted over all topics of a table, and the comparison. Pure. The cut is a midnight
(UTC), so of the receive time the day is enough. What was received since, and any second row, is `tables.check`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from schemas.wire.position import Position
from sinks.audit.marks import Marks
from sinks.audit.report import TableRow

DAY_MS = 86_400_000
NO_DAY = 1 << 30
"""Of a receive time that cannot be read: younger than every cut."""
_EPOCH = date(1970, 1, 1).toordinal()


class Days:
    """Receive times to days since the epoch (UTC); each day's text is read once."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def of(self, text: str) -> int:
        """Return the day of an RFC 3339 time; `NO_DAY` where it is none."""
        if not text.endswith("Z"):
            return _day(text)
        found = self._known.get(text[:10])
        if found is None:
            if len(self._known) > 100_000:  # noqa: PLR2004 senders do not set it, but nothing grows without bound
                self._known.clear()
            found = self._known[text[:10]] = _day(text)
        return found


def _day(text: str) -> int:
    try:
        return datetime.fromisoformat(text).astimezone(UTC).date().toordinal() - _EPOCH
    except (ValueError, OverflowError):
        return NO_DAY


@dataclass(slots=True)
class Aged:
    """What a table says of its retention, and what of it was met; `whole`: every event of the table was looked at."""

    before_ms: int
    removed: int
    whole: bool = True
    count: int = 0
    first: Position | None = None
    _keys: dict[tuple[str, int], Marks] = field(default_factory=dict)
    _sorted: bool = False

    def meet(self, place: tuple[str, int], key: int, day: int) -> None:
        """Take note of an event that the table should hold, or held."""
        if day * DAY_MS < self.before_ms:
            self._keys.setdefault(place, Marks()).add(key, 0)
            self._sorted = False

    def holds(self, place: tuple[str, int], key: int) -> bool:
        """Tell whether an event was received before the cut."""
        if not self._sorted:
            for marks in self._keys.values():
                marks.sort()
            self._sorted = True
        return place in self._keys and self._keys[place].count_at(key) > 0

    def add(self, at: Position, times: int) -> None:
        """Note an event without a row."""
        self.count += times
        self.first = at if self.first is None else min(self.first, at)

    def settle(self, row: TableRow, discarded: Mapping[tuple[str, int], int], *, changed: bool) -> None:
        """Compare what is missing with what retention has removed, and what else the contract may have discarded."""
        spare = max(0, sum(discarded.values()) - row.discarded)
        said = self.removed + spare
        if self.count > said or (self.whole and not changed and self.count < said):
            what = f"{self.count} events from before retentionDays are no rows of {row.table}, which says so of {said}"
            row.findings.add(what, self.first if self.count > said else None)
        row.expired += min(self.count, self.removed)
        row.discarded += min(spare, max(0, self.count - self.removed))
