"""What an audit finds: one row a source, raw partition and table, and the places where a sum breaks.

Lives here: values only. A note is a difference that is no error; a finding is an error with its position.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.wire.position import Position

MAX_FINDINGS = 100
"""Kept of one row; the first is what matters, the number is counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a sum breaks; `position` None: the sum has no single place."""

    what: str
    position: Position | None = None

    def __str__(self) -> str:
        """Return it as it is printed: position first."""
        return self.what if self.position is None else f"{self.position}: {self.what}"


@dataclass(slots=True)
class Findings:
    """Findings of one row, bounded."""

    first: list[Finding] = field(default_factory=list)
    count: int = 0

    def add(self, what: str, position: Position | None = None) -> None:
        """Note one more."""
        self.count += 1
        if len(self.first) < MAX_FINDINGS:
            self.first.append(Finding(what, position))

    def extend(self, other: "Findings") -> None:
        """Take over another row's."""
        self.count += other.count
        self.first += other.first[: max(0, MAX_FINDINGS - len(self.first))]

    def in_order(self) -> list[Finding]:
        """Return those that are kept, lowest position first."""
        return sorted(self.first, key=lambda found: (found.position is None, found.position or ()))


@dataclass(slots=True)
class EdgeRow:
    """Counted 2xx of one source against its records in the raw topic that are no redrives."""

    tenant: str
    source: str
    topic: str
    accepted: int = 0
    handshakes: int = 0
    stored: int = 0
    notes: list[str] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)


@dataclass(slots=True)
class StageRow:
    """Outcomes of one raw (topic id, partition): offsets `first`..`end`-1 were looked at, `pending` are not decided."""

    topic: str
    topic_id: str
    partition: int
    first: int = 0
    end: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    pending: int = 0
    notes: list[str] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)


@dataclass(slots=True)
class TableRow:
    """Clean events of a stream's topics against the rows of its table."""

    tenant: str
    stream: str
    table: str
    clean: int = 0
    rows: int = 0
    not_selected: int = 0
    discarded: int = 0
    replaced: int = 0
    expired: int = 0
    pending: int = 0
    skipped: int = 0
    notes: list[str] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)


def sum_of(rows: Sequence[TableRow]) -> TableRow:
    """Return the tables of a split stream as one row; what breaks is named with its table."""
    made = TableRow(rows[0].tenant, rows[0].stream, f"{len(rows)} tables together")
    for row in rows:
        made.clean += row.clean
        made.rows += row.rows
        made.not_selected += row.not_selected
        made.discarded += row.discarded
        made.replaced += row.replaced
        made.expired += row.expired
        made.pending += row.pending
        made.skipped += row.skipped
        made.findings.count += row.findings.count
    return made


@dataclass(slots=True)
class RunRow:
    """Runs of one assignment (its role) in its run topic against the clean events that it takes."""

    tenant: str
    assignment: str
    role: str
    topic: str
    runs: int = 0
    events: int = 0
    notes: list[str] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)


Row = EdgeRow | StageRow | TableRow | RunRow


@dataclass(slots=True)
class Report:
    """Everything that one audit found."""

    edge: list[EdgeRow] = field(default_factory=list)
    stage: list[StageRow] = field(default_factory=list)
    tables: list[TableRow] = field(default_factory=list)
    runs: list[RunRow] = field(default_factory=list)

    def rows(self) -> list[Row]:
        """Return all rows in the order of the data path."""
        return [*self.edge, *self.stage, *self.tables, *self.runs]

    @property
    def broken(self) -> int:
        """Return how many places break a sum; 0 = all hold."""
        return sum(row.findings.count for row in self.rows())

    def first(self) -> Finding | None:
        """Return the first place that breaks a sum: one with a position before one without."""
        rows: list[Row] = [*self.stage, *self.tables, *self.runs, *self.edge]
        found = [finding for row in rows for finding in row.findings.in_order()]
        return next((one for one in found if one.position is not None), found[0] if found else None)
