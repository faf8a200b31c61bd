"""What must hold of the stage's topics after a history, position by position.

Lives here: a model of the contract that walks the ledger in its order and asks of every outcome whether it was allowed,
given what the ones before it became. It shares no code with `decide`. Rules 6 to 16; "The fault suite must also".
"""

import hashlib
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from schemas import ids
from schemas.ids import IdKind
from schemas.wire import ledger as ledger_wire
from schemas.wire import quarantine as quarantine_wire
from schemas.wire.ledger import Ledger, Other
from schemas.wire.position import Position
from schemas.wire.quarantine import RESOLVED, Quarantine
from tests.simulation.definitions import DAY_MS, QUARANTINE_MS, Choice, assigned
from tests.simulation.log import Entry
from tests.simulation.traffic import Known, Posted


class Violation(Exception):
    """A history broke a rule."""

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(f"{rule}: {what}")
        self.rule = rule


class RawRecord(NamedTuple):
    """A raw record that was in the log: what was posted, and the broker's time."""

    posted: Posted
    timestamp_ms: int


@dataclass
class RawLog:
    """A raw partition as the model keeps it: every record that ever was, and what the broker has lost."""

    records: dict[int, RawRecord] = field(default_factory=dict)
    expired: int = 0
    cut: int | None = None
    """Where the tail was lost, with decided records in it; `records` are then those from before."""
    after: dict[int, RawRecord] = field(default_factory=dict)
    end: int = 0
    alive: bool = True


class State(NamedTuple):
    """What the contract says is remembered under an event id."""

    clean: bool
    time_ms: int
    content: str
    at: Position
    healed: bool = False

    def counts(self, time_ms: int, window_ms: int) -> bool:
        """Tell whether it is known at a time; what was in quarantine, or came by a redrive, outlives its window."""
        return time_ms - self.time_ms <= (window_ms if self.clean and not self.healed else QUARANTINE_MS)


class Walk:
    """Goes through the outcomes of all raw partitions; `choices` are the definitions that the history has had."""

    def __init__(
        self, raws: Mapping[tuple[str, int], RawLog], choices: Iterable[Choice], outputs: Mapping[str, list[Entry]]
    ) -> None:
        self._raws, self._choices = raws, tuple(choices)
        self._least = min(choice.window_days for choice in self._choices) * DAY_MS
        self._most = max(choice.window_days for choice in self._choices) * DAY_MS
        self._clean: dict[Position, deque[dict[str, Any]]] = {}
        self._failed: dict[Position, deque[Quarantine]] = {}
        self._resolved: dict[Position, deque[Quarantine]] = {}
        self._ledger: dict[tuple[str, int], list[Ledger]] = {}
        self._states: dict[str, State] = {}
        self._read(outputs)

    def _read(self, outputs: Mapping[str, list[Entry]]) -> None:
        wanted: Counter[tuple[str, Position, str]] = Counter()
        for entry in outputs["event"]:
            event = orjson.loads(entry.value or b"")
            wanted.update((event["eventId"], Position.from_wire(event["position"]), one) for one in assigned(event))
            where = Position.from_wire(event["position"])
            self._clean.setdefault(where, deque()).append(event)
        for entry in outputs["quarantine"]:
            found = quarantine_wire.decode(entry.value or b"")
            if found.kind == RESOLVED:
                assert found.by is not None
                self._resolved.setdefault(found.by, deque()).append(found)
            else:
                self._failed.setdefault(found.position, deque()).append(found)
        for entry in outputs["ledger"]:
            record = ledger_wire.decode(entry.value or b"")
            self._ledger.setdefault((record.topic_id, record.partition), []).append(record)

        _runs(outputs["run"], wanted)

    def run(self) -> int:
        """Raise `Violation` unless every rule holds; return the number of items that were checked."""
        count = 0
        for where in set(self._ledger) - set(self._raws):
            raise Violation("ledger", f"a partition that never was: {where}")
        for where, raw in self._raws.items():
            count += self._partition(where, raw)
        for name, left in (("clean", self._clean), ("quarantine", self._failed), ("resolved", self._resolved)):
            if extra := [str(at) for at, found in left.items() for _ in found]:
                raise Violation("exactly one outcome", f"{name} holds what the ledger does not: {extra}")
        return count

    def _partition(self, where: tuple[str, int], raw: RawLog) -> int:  # noqa: C901 one walk
        at, time_ms, count, records = 0, 0, 0, raw.records
        for ledger in self._ledger.get(where, ()):
            lost = {offset for start, end in ledger.lost for offset in range(start, end)}
            for start, end in ledger.lost:
                rewound = raw.cut is not None and (start, end) == (raw.cut, at)
                if rewound:
                    at, records = start, raw.after
                    lost -= set(range(start, end))
                elif end > raw.expired:
                    raise Violation("false loss", f"{where}: {start}..{end} lost, retention reached {raw.expired}")
            if ledger.first != at and not any(start == ledger.first for start, _ in ledger.lost):
                raise Violation("ledger contiguous", f"{where}: stood at {at}, next range begins at {ledger.first}")
            others = {(other.offset, other.item): other for other in ledger.others}
            sums: Counter[tuple[str, str, str]] = Counter()
            for offset in range(at, ledger.next_offset):
                if offset in lost:
                    continue
                record = records.get(offset)
                if record is None:
                    raise Violation("ledger contiguous", f"{where}: offset {offset} never was in the log")
                time_ms = max(time_ms, record.timestamp_ms)
                for known in record.posted.items:
                    place = Position(where[0], where[1], offset, known.number)
                    outcome = self._item(place, record, known, others.pop((offset, known.number), None), time_ms)
                    sums[outcome] += 1
                    count += 1
            if others:
                raise Violation("ledger", f"{where}: outcomes of items that are not there: {list(others)}")
            self._sums(where, ledger, sums)
            at = ledger.next_offset
        hidden = at < raw.expired == raw.end or (raw.cut is not None and raw.cut == raw.end < at)
        if raw.alive and at != raw.end and not hidden:  # a loss at the end of a log shows with the next record
            raise Violation("every item has an outcome", f"{where}: decided up to {at}, the log ends at {raw.end}")
        return count

    def _sums(self, where: tuple[str, int], ledger: Ledger, sums: Counter[tuple[str, str, str]]) -> None:
        told: Counter[tuple[str, str, str]] = Counter()
        for one in ledger.counts:
            told[one.source_id, one.event_type, one.outcome] += one.n
        if told != sums or ledger.items != sums.total():
            raise Violation("ledger sums", f"{where} from {ledger.first}: told {dict(told)}, found {dict(sums)}")

    def _item(
        self, place: Position, record: RawRecord, known: Known, other: Other | None, time_ms: int
    ) -> tuple[str, str, str]:
        """Check one item's outcome and remember what follows from it; return the ledger's (source, type, outcome)."""
        posted = record.posted
        known = _odd(known, place, posted) if posted.meta is None else known
        outcome = "clean" if other is None else other.outcome
        if other is None or outcome == "quarantined":
            pile = self._clean if other is None else self._failed
            if not pile.get(place):
                raise Violation("exactly one outcome", f"{place} is {outcome} in the ledger and in no other topic")
            found: Any = pile[place].popleft()
            if not pile[place]:
                del pile[place]
            event_id = found["eventId"] if other is None else found.event_id
        else:
            event_id = other.event_id or ""
        if other is not None and other.event_id != event_id:
            raise Violation("ledger", f"{place}: ledger says {other.event_id}, quarantine {event_id}")
        redrive = None if posted.meta is None else posted.meta.redrive
        row = None if redrive is None else redrive.row(known.number)
        self._judge(place, known, outcome, event_id, other, time_ms, row)
        if redrive is not None and row is not None and outcome == "duplicate":
            first = self._states.get(event_id)
            if first is not None and first.clean and redrive.named(known.number) not in (None, event_id):
                self._settle(first.at, event_id, {row})
        source = "" if posted.meta is None else posted.source
        kind = known.item.kind if known.fate in ("decide", "control") else "received"
        return source, kind, outcome

    def _judge(  # noqa: C901, PLR0912, PLR0915 one branch for each outcome
        self,
        place: Position,
        known: Known,
        outcome: str,
        event_id: str,
        other: Other | None,
        time_ms: int,
        row: Position | None,
    ) -> None:
        def wrong(why: str) -> Violation:
            return Violation("allowed outcomes", f"{place} {known.item.key or known.fate} is {outcome}: {why}")

        if known.fate in ("shed", "empty", "control"):
            if outcome != known.fate:
                raise wrong(f"it must be {known.fate}")
            return
        verdicts = {c.verdict(known.item.kind, known.item.a) for c in self._choices}
        if known.fate != "decide":
            verdicts = {known.fate}
        own = self._states.get(known.event_id)
        gone = own is None or not own.counts(time_ms, self._least)
        there = own is not None and own.counts(time_ms, self._most)
        if outcome == "dropped_denied":
            if outcome not in verdicts:
                raise wrong("no definition denies it")
        elif outcome == "dropped_unpinned":
            if outcome not in verdicts or (own is not None and own.clean and not gone):
                raise wrong(f"no definition drops it, or it is known: {own}")
        elif outcome == "clean":
            if "clean" not in verdicts:
                raise wrong(f"every definition says {verdicts}")
            if event_id != known.event_id:
                raise wrong(f"its id is {known.event_id}, not {event_id}")
            if own is not None and own.clean and not gone:
                raise Violation("no id clean twice", f"{place} {known.item.key} was clean at {own.at}")
            twin = self._states.get(known.distinct_id)
            same = twin is not None and twin.clean and twin.content == known.content
            if same and twin is not None and twin.counts(time_ms, self._least) and not gone:
                raise Violation("no content clean twice", f"{place} {known.item.key} is clean at {twin.at}")
            quarantined = own if there and own is not None and not own.clean else None
            settled = {at for at in (row, quarantined and quarantined.at) if at is not None}
            self._settle(place, event_id, settled)
            self._states[event_id] = State(True, time_ms, known.content, place, healed=bool(settled))
        elif outcome == "duplicate":
            first = self._duplicate(place, known, event_id, other, time_ms, row)
            if row is not None and first.clean:
                self._states[event_id] = first._replace(time_ms=time_ms, healed=True)
        elif outcome == "quarantined":
            reason = None if other is None else other.reason
            if event_id == known.event_id:
                if reason not in verdicts:
                    raise wrong(f"reason {reason}, definitions say {verdicts}")
                if not gone:
                    raise wrong(f"it is known: {own}")
            elif event_id == known.distinct_id:
                if not there or own is None or own.content == known.content:
                    raise wrong(f"no other content is known: {own}")
                if reason not in verdicts and not (reason == "id_conflict" and own.clean):
                    raise wrong(f"reason {reason}")
                before = self._states.get(event_id)
                if before is not None and before.counts(time_ms, self._least):
                    raise wrong(f"it is known: {before}")
            else:
                raise wrong(f"an id that is not its own: {event_id}")
            self._states[event_id] = State(False, time_ms, known.content, place)
        else:
            raise wrong("no such outcome")

    def _duplicate(
        self, place: Position, known: Known, event_id: str, other: Other | None, time_ms: int, row: Position | None
    ) -> State:
        first = self._states.get(event_id)
        of = None if other is None or other.of is None else (other.of.partition, other.of.offset, other.of.item)
        if row is not None and event_id == known.distinct_id and of == tuple(row)[1:]:
            return State(False, time_ms, known.content, row)  # another content stays until it is redriven as distinct
        if event_id not in (known.event_id, known.distinct_id) or first is None:
            raise Violation("orphan", f"{place} {known.item.key} is a duplicate of nothing ({event_id})")
        if not first.counts(time_ms, self._most):
            raise Violation("orphan", f"{place} {known.item.key} is a duplicate of {first.at}, which is expired")
        if first.content != known.content:
            raise Violation("orphan", f"{place}: another content than {first.at}")
        if of != tuple(first.at)[1:]:
            raise Violation("orphan", f"{place} is a duplicate of {first.at}, the ledger says {of}")
        return first

    def _settle(self, place: Position, event_id: str, rows: set[Position]) -> None:
        """Take the notes that `rows` are resolved by the clean copy at `place`; what nobody takes is too many."""
        notes = self._resolved.get(place, deque())
        for row in rows:
            note = next((one for one in notes if (one.position, one.event_id) == (row, event_id)), None)
            if note is None:
                raise Violation("resolved", f"{place} is clean and {row} is not resolved by it")
            notes.remove(note)
        if not notes:
            self._resolved.pop(place, None)


def _runs(entries: Iterable[Entry], wanted: Counter[tuple[str, Position, str]]) -> None:
    """Check that every clean event has one run for each assignment that takes it, and no run is of anything else."""
    found: Counter[tuple[str, Position, str]] = Counter()
    for entry in entries:
        run = orjson.loads(entry.value or b"")
        found[run["eventId"], Position.from_wire(run["position"]), run["assignmentId"]] += 1
    if found != wanted:
        odd = sorted((found - wanted) + (wanted - found))[:3]
        raise Violation("runs", f"{[(one, found[one], wanted[one]) for one in odd]}: (which, found, wanted)")


def _odd(known: Known, place: Position, posted: Posted) -> Known:
    """Work out the id of a record that nobody can read: its position."""
    text = f"{place.topic_id}/{place.partition}/{place.offset}"
    print_ = hashlib.blake2b(posted.body, digest_size=8).hexdigest()
    own, other = (ids.event_id("", IdKind.DELIVERY, made) for made in (text, f"{text}#{print_}"))
    return Known(known.number, own, other, known.content, known.item, known.fate)
