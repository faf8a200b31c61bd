"""Outcomes of the deliveries of one page: named, not counted, from as little of the ledger as will do.

Lives here: what a ledger record says of one raw offset. It lists what is not clean and counts what is, so whether a
delivery has clean items besides others is nearly always told by arithmetic; else the clean topic is asked.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from schemas.reasons import Outcome
from schemas.wire.ledger import Ledger
from schemas.wire.position import Position
from sinks.read.deliveries import book, ordered, records
from sinks.read.deliveries.ground import Ground, Platform
from sinks.read.deliveries.log import Place
from sinks.read.deliveries.walk import Walk

AHEAD = 5_000
BEHIND = 2_000
MAX_ASKED = 20
_HINT_MS = 1_000


@dataclass(frozen=True, slots=True)
class Said:
    """What became of a delivery: `names` of outcomes, None: not decided yet, or (`known` False) not told."""

    names: tuple[str, ...] | None
    known: bool = True


PENDING, UNKNOWN = Said(None), Said(None, known=False)


def names(record: Ledger, offset: int) -> tuple[set[str], bool | None]:
    """Return the outcomes that are listed for a raw offset, and whether it has clean items too (None: not told)."""
    others = {other.outcome for other in record.others if other.offset == offset}
    clean = record.items - len(record.others)
    if not others:
        lost = any(low <= offset < high for low, high in record.lost)
        return ({Outcome.LOST.value} if lost else set()), not lost and clean > 0
    if clean == 0:
        return others, False
    odd = {other.offset for other in record.others}
    lost_offsets = sum(high - low for low, high in record.lost)
    pure = record.next_offset - record.first - lost_offsets - len(odd)
    return others, False if pure == clean else None


class Outcomes:
    """Asks for the outcomes of raw records of the tenant's platforms."""

    def __init__(self, ground: Ground, platforms: Mapping[str, Platform]) -> None:
        self._ground = ground
        self._platforms = {one.raw.id: one for one in platforms.values()}
        self._asked = 0

    def of(self, wanted: Sequence[tuple[Position, int]]) -> dict[Position, Said]:
        """Return what became of raw records, each with the time (ms) at which it was stored."""
        ledger, log = self._ground.ledger, self._ground.log
        if ledger is None or not wanted:
            return dict.fromkeys((at for at, _ in wanted), UNKNOWN)
        places = [(ledger.name, number) for number in range(ledger.partitions)]
        times = dict(wanted)
        starts = log.since(places, min(times.values()) - book.CLOCKS_MS)
        ends = log.ends(places)
        covering, reached, ended = self._forward(places, starts, ends, set(times))
        left = [at for at in times if at not in covering]
        if left and not ended:
            self._backward(ends, reached)
        elif left and any(low > 0 and starts[place] <= low for place, low in log.lows(places).items()):
            ended = False  # retention removed ledger records of that time
        made = {at: self.said(record, at, times[at]) for at, record in covering.items()}
        for at in left:
            up_to = reached.get(at[:2])
            waits = (up_to is None or at.offset >= up_to) if ended else (up_to is not None and at.offset >= up_to)
            made[at] = PENDING if waits else UNKNOWN
        if UNKNOWN in made.values():
            self._ground.budget.cut("outcomes that stand further on in the ledger than one request reads, or are gone")
        return made

    def said(self, record: Ledger, at: Position, stored_ms: int) -> Said:
        """Return what a ledger record says of one raw record in its range."""
        found, clean = names(record, at.offset)
        if clean is None:
            clean = self._ask(record, at, stored_ms)
        if clean is None:
            return UNKNOWN
        return Said(tuple(sorted(found | ({Outcome.CLEAN.value} if clean else set()))))

    def _forward(
        self, places: Iterable[Place], starts: Mapping[Place, int], ends: Mapping[Place, int], wanted: set[Position]
    ) -> tuple[dict[Position, Ledger], dict[tuple[str, int], int], bool]:
        covering: dict[Position, Ledger] = {}
        reached: dict[tuple[str, int], int] = {}
        spans, budget = {place: (starts[place], ends[place]) for place in places}, self._ground.budget
        left = set(wanted)
        with closing(self._ground.log.read(spans, budget)) as reading:
            for count, message in enumerate(reading):
                record = book.read(message.value() or b"")
                if record is not None:
                    slot = (record.topic_id, record.partition)
                    reached[slot] = max(reached.get(slot, 0), record.next_offset)
                    took = {at for at in left if at[:2] == slot and record.first <= at.offset < record.next_offset}
                    covering |= dict.fromkeys(took, record)
                    left -= took
                if not left:
                    return covering, reached, True
                if count >= AHEAD:
                    return covering, reached, False
        return covering, reached, not budget.spent

    def _backward(self, ends: Mapping[Place, int], reached: dict[tuple[str, int], int]) -> None:
        """Raise `reached` to what the newest ledger records say."""
        for count, message in enumerate(Walk(self._ground.log, ends, self._ground.budget)):
            record = book.read(message.value() or b"")
            if record is not None:
                slot = (record.topic_id, record.partition)
                reached[slot] = max(reached.get(slot, 0), record.next_offset)
            if count >= BEHIND:
                return

    def _ask(self, record: Ledger, at: Position, stored_ms: int) -> bool | None:
        """Look into the clean topic, for 20 deliveries a request at most."""
        platform = self._platforms.get(at.topic_id)
        self._asked += 1
        if platform is None or platform.event is None or self._asked > MAX_ASKED or record.topic_id != at.topic_id:
            return None
        log, place = self._ground.log, (platform.event.name, at.partition)
        span = (log.lows([place])[place], log.ends([place])[place])
        hint = log.since([place], stored_ms - _HINT_MS)[place]
        found = ordered.find(
            log, place, span, at.offset, records.clean_key(at.topic_id), hint, self._ground.budget
        )  # fmt: skip
        return None if found.first_kept else bool(found.messages)
