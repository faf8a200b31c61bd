"""Decisions -> the ledger record of one (topic, partition) and transaction (rule 14).

Lives here: the sums and the list of what is not clean. Not here: when a transaction ends (engine/transaction.py). Pure.
"""

from collections import Counter
from collections.abc import Iterable

from schemas.reasons import Outcome
from schemas.wire.ledger import Count, First, Ledger, Other
from schemas.wire.position import Position
from streams.decide import Decision

_MINUTE_US = 60_000_000
_CLEAN = Outcome.CLEAN.value
_TELLING = frozenset({_CLEAN, Outcome.QUARANTINED.value})


class Account:
    """What became of the items of one offset range; `lost` ranges are offsets nobody can decide about any more."""

    __slots__ = ("_counts", "_others", "first", "items", "lost", "next_offset")

    def __init__(self, first: int) -> None:
        self.first = first
        self.next_offset = first
        self.items = 0
        self.lost: list[tuple[int, int]] = []
        self._counts: dict[tuple[str, str, int, str], int] = {}
        self._others: list[Other] = []

    @property
    def listed(self) -> int:
        """Return how many items are named one by one."""
        return len(self._others)

    def add(self, decisions: Iterable[Decision], next_offset: int) -> None:
        """Count decisions; `next_offset` follows the last offset they cover."""
        counts = self._counts
        for decision in decisions:
            event = decision.event
            meta = event.delivery.meta
            source_id = "" if meta is None else meta.source_id
            outcome = _CLEAN
            if decision.outcome is not Outcome.CLEAN:
                outcome = decision.outcome.value
                self._others.append(_other(decision, source_id))
            key = (source_id, event.event_type, event.event_time_us // _MINUTE_US, outcome)
            counts[key] = counts.get(key, 0) + 1
            self.items += 1
        self.next_offset = next_offset

    def lose(self, start: int, end: int, next_offset: int) -> None:
        """Note that offsets `start`..`end`-1 are gone; the stage goes on from `next_offset` (rule 9)."""
        self.lost.append((start, end))
        self.first = min(self.first, start, next_offset)
        self.next_offset = next_offset

    def outcomes(self) -> dict[str, int]:
        """Return the number of items by outcome."""
        sums: dict[str, int] = {}
        for (_, _, _, outcome), n in self._counts.items():
            sums[outcome] = sums.get(outcome, 0) + n
        return sums

    def reasons(self) -> dict[str, int]:
        """Return the number of items that went to quarantine, by reason."""
        failed = Outcome.QUARANTINED.value
        return Counter(other.reason for other in self._others if other.outcome == failed and other.reason is not None)

    def failures(self) -> dict[str, tuple[int, int]]:
        """Return by source how many events became clean and how many went to quarantine; the others tell nothing."""
        sums: dict[str, tuple[int, int]] = {}
        for (source_id, _, _, outcome), n in self._counts.items():
            if outcome in _TELLING:
                clean, failed = sums.get(source_id, (0, 0))
                sums[source_id] = (clean + n, failed) if outcome == _CLEAN else (clean, failed + n)
        return sums

    def record(self, topic: str, topic_id: str, partition: int, group: str, now_us: int) -> Ledger:
        """Return the ledger record."""
        return Ledger(
            topic=topic,
            topic_id=topic_id,
            partition=partition,
            first=self.first,
            next_offset=self.next_offset,
            group=group,
            decided_at_us=now_us,
            items=self.items,
            counts=tuple(Count(*key, n) for key, n in self._counts.items()),
            others=tuple(self._others),
            lost=tuple(self.lost),
        )


def _other(decision: Decision, source_id: str) -> Other:
    event = decision.event
    fault = decision.fault
    return Other(
        offset=event.delivery.record.offset,
        item=event.item.number,
        source_id=source_id,
        outcome=decision.outcome.value,
        reason=None if fault is None else fault.reason.value,
        event_id=decision.event_id,
        of=None if decision.of is None else _first(decision.of),
    )


def _first(of: Position) -> First:
    return First(of.partition, of.offset, of.item)
