"""What the ledger says of each raw partition, and whether each record agrees with itself (rule 14).

Lives here: ledger records -> columns. Not here: comparing them with topics (stage.py). Pure.
"""

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from schemas.reasons import Outcome
from schemas.wire.ledger import Ledger
from schemas.wire.position import Position
from sinks.audit.marks import MAX_ITEM, of_id, pack
from sinks.audit.report import Findings

_OUTCOMES = tuple(Outcome)
_NUMBER = {outcome.value: number for number, outcome in enumerate(_OUTCOMES)}
NOWHERE = -1
ELSEWHERE = -2


def _column() -> "array[int]":
    return array("q")


@dataclass(slots=True)
class Said:
    """One raw (topic id, partition): a range a ledger record, and every item that is not clean.

    `firsts[n]`..`nexts[n]`-1 are a record's offsets, `cleans[n]` its clean items; `lost[n]` the ranges of record n.
    `keys` are positions (packed) with outcome number, id and first copy (packed; NOWHERE: none, ELSEWHERE: in another
    partition).
    """

    topic: str
    topic_id: str
    partition: int
    firsts: "array[int]" = field(default_factory=_column)
    nexts: "array[int]" = field(default_factory=_column)
    cleans: "array[int]" = field(default_factory=_column)
    lost: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    keys: "array[int]" = field(default_factory=_column)
    outcomes: "array[int]" = field(default_factory=_column)
    ids: "array[int]" = field(default_factory=_column)
    firsts_of: "array[int]" = field(default_factory=_column)
    findings: Findings = field(default_factory=Findings)

    def others(self, outcome: Outcome) -> Iterator[tuple[int, int, int]]:
        """Yield (position, id, position of the first copy) of each item with this outcome."""
        number = _NUMBER[outcome.value]
        for at, found in enumerate(self.outcomes):
            if found == number:
                yield self.keys[at], self.ids[at], self.firsts_of[at]

    def outcome(self, at: int) -> Outcome:
        """Return the outcome of entry `at`."""
        return _OUTCOMES[self.outcomes[at]]

    @property
    def end(self) -> int:
        """Return the offset after the last one decided."""
        return self.nexts[-1] if self.nexts else 0

    def add(self, record: Ledger) -> None:
        """Take one record, in the order of its ledger partition."""
        counts: Counter[str] = Counter()
        for count in record.counts:
            counts[count.outcome] += count.n
        clean = counts.pop(Outcome.CLEAN.value, 0)
        listed = Counter(other.outcome for other in record.others)
        if +counts != listed or clean + counts.total() != record.items:
            self._find(
                record,
                record.first,
                f"the ledger record of offsets {record.first} to {record.next_offset - 1} counts {dict(+counts)} and "
                f"{clean} clean, lists {dict(listed)}, and says {record.items} items",
            )
        for other in record.others:
            if not (record.first <= other.offset < record.next_offset and 0 <= other.item <= MAX_ITEM):
                self._find(record, other.offset, "a ledger record lists an item outside its own offsets")
                continue
            if other.outcome not in _NUMBER or other.outcome in (Outcome.CLEAN, Outcome.LOST):
                self._find(record, other.offset, f"a ledger record lists an item as {other.outcome[:40]!r}")
                continue
            self.keys.append(pack(other.offset, other.item))
            self.outcomes.append(_NUMBER[other.outcome])
            self.ids.append(of_id(other.event_id))
            of = NOWHERE
            if other.of is not None:
                same = other.of.partition == record.partition
                of = pack(other.of.offset, other.of.item) if same else ELSEWHERE
            self.firsts_of.append(of)
        if record.lost:
            self.lost[len(self.firsts)] = list(record.lost)
        self.firsts.append(record.first)
        self.nexts.append(record.next_offset)
        self.cleans.append(clean)

    def _find(self, record: Ledger, offset: int, what: str) -> None:
        self.findings.add(what, Position(record.topic_id, record.partition, offset, 0))


class Book:
    """The ledger of one tenant by raw (topic id, partition)."""

    def __init__(self) -> None:
        self.said: dict[tuple[str, int], Said] = {}

    def add(self, record: Ledger) -> None:
        """Take one record."""
        key = (record.topic_id, record.partition)
        if key not in self.said:
            self.said[key] = Said(record.topic, record.topic_id, record.partition)
        self.said[key].add(record)

    def of(self, topic: str) -> dict[tuple[str, int], Said]:
        """Return what is said of a topic by (topic id, partition): older incarnations of the name included."""
        return {key: said for key, said in self.said.items() if said.topic == topic}
