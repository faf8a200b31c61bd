"""Hand-made histories of one raw partition for the audit: honest ones, to be broken in one place by a test."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from schemas.reasons import Outcome
from schemas.wire.ledger import Count, First, Ledger, Other
from sinks.audit.ledger import Book
from sinks.audit.marks import Marks, of_id, pack
from sinks.audit.report import StageRow
from sinks.audit.stage import Outputs, Raw, check

TOPIC, TOPIC_ID = "acme.webhook.shop", "RAWTOPICIDRAWTOPICID01"
Item = tuple[int, int, str]
"""Offset, item, event id."""


def record(first: int, following: int, clean: int, others: Iterable[Other] = (), **more: object) -> Ledger:
    """Return a ledger record that agrees with itself."""
    listed = tuple(others)
    counts = [Count("s", "order", 1, Outcome.CLEAN.value, clean)] if clean else []
    counts += [Count("s", "order", 1, other.outcome, 1) for other in listed]
    made = Ledger(
        TOPIC, TOPIC_ID, 0, first, following, "0", 1, clean + len(listed), tuple(counts), listed
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def other(offset: int, item: int, outcome: Outcome, event_id: str, of: tuple[int, int] | None = None) -> Other:
    first = None if of is None else First(0, *of)
    return Other(offset, item, "s", outcome.value, None, event_id, first)


@dataclass
class History:
    """Offsets 0-5: clean, two clean, a duplicate of the first, quarantined, its duplicate, empty; 6 is not decided."""

    ledger: list[Ledger] = field(
        default_factory=lambda: [
            record(0, 2, 3),
            record(
                2, 6, 0,
                [
                    other(2, 0, Outcome.DUPLICATE, "a", (0, 0)),
                    other(3, 0, Outcome.QUARANTINED, "q"),
                    other(4, 0, Outcome.DUPLICATE, "q", (3, 0)),
                    other(5, 0, Outcome.EMPTY, "e"),
                ],
            ),
        ]
    )  # fmt: skip
    clean: list[Item] = field(default_factory=lambda: [(0, 0, "a"), (1, 0, "b"), (1, 1, "c")])
    failed: list[Item] = field(default_factory=lambda: [(3, 0, "q")])
    resolved_by: list[tuple[int, int]] = field(default_factory=list)
    raw: Raw | None = field(default_factory=lambda: Raw(0, 7))
    floor: int = 0
    quarantine_floor: int = 0
    whole: bool = True
    since: int = 0

    def check(self) -> StageRow:
        """Audit it."""
        book = Book()
        for one in self.ledger:
            book.add(one)
        resolved = [pack(*at) for at in self.resolved_by]
        out = Outputs(marks(self.clean), marks(self.failed), resolved, self.floor, self.quarantine_floor)
        return check(book.said[TOPIC_ID, 0], self.raw, out, [], whole=self.whole, since=self.since)


def marks(items: Iterable[Item]) -> Marks:
    """Return items as sorted marks."""
    return Marks((pack(offset, item), of_id(event_id)) for offset, item, event_id in items).sort()
