"""Partitions read from the end to the beginning, in bounded steps, newest record first.

Lives here: the walk and its cursor. Order: time, topic, partition, offset, each falling. Raw topics are stamped by the
broker (rule 3), so within a partition time does not fall but where a leader's clock went back.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import Message

from schemas.errors import Refused
from schemas.reasons import Reason
from sinks.read.deliveries.budget import Budget
from sinks.read.deliveries.log import Log, Place

FIRST_STEP, GROWTH, MAX_STEP = 2, 16, 4_096
"""Records of a partition: few at first, for they may be large."""
_MOST = 1 << 53


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: a record's time, place and offset; `sub`: the raw offset in a ledger record, else -1."""

    ms: int
    place: Place
    offset: int
    sub: int = -1

    def text(self) -> str:
        """Return the opaque text."""
        parts = [self.ms, *self.place, self.offset, self.sub]
        return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode()

    @classmethod
    def read(cls, text: str, topics: Sequence[str]) -> "Cursor":
        """Read a cursor over `topics`; raise `Refused(bad_request)` for what this list never gave."""
        try:
            ms, topic, partition, offset, sub = json.loads(base64.urlsafe_b64decode(text))
            made = cls(int(ms), (str(topic), int(partition)), int(offset), int(sub))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise _refused() from error
        numbers = (made.ms, made.place[1], made.offset, made.sub + 1)
        if made.place[0] not in topics or min(numbers) < 0 or max(numbers) >= _MOST:
            raise _refused()
        return made

    def ends(self, log: Log, places: Sequence[Place], *, own: int) -> dict[Place, int]:
        """Return where each partition's part of the next page ends; `own`: that of the cursor's partition at most."""
        after = log.since([place for place in places if place < self.place], self.ms + 1)
        before = log.since([place for place in places if place > self.place], self.ms)
        here = log.ends([place for place in places if place == self.place])
        return after | before | {place: min(own, end) for place, end in here.items()}


def _refused() -> Refused:
    return Refused(Reason.BAD_REQUEST, "cursor: not one that this list gave; begin without a cursor")


class Walk:
    """Iterates over messages, newest first; `cut` when the budget ended it before the beginning."""

    def __init__(self, log: Log, ends: Mapping[Place, int], budget: Budget) -> None:
        self._log, self._budget = log, budget
        self._lows = log.lows(ends)
        self._starts = dict(ends)
        self._steps = dict.fromkeys(ends, FIRST_STEP)
        self._waiting: dict[Place, list[Message]] = {place: [] for place in ends}
        self.cut = False

    def __iter__(self) -> Iterator[Message]:
        """Yield until the beginning or until the budget is spent."""
        while True:
            self._fill()
            if self.cut:
                return
            place = max((one for one, held in self._waiting.items() if held), key=self._newest, default=None)
            if place is None:
                return
            yield self._waiting[place].pop()

    def finish(self, place: Place) -> None:
        """Read no further back in a partition."""
        self._lows[place] = self._starts[place]
        self._waiting[place] = []

    def _newest(self, place: Place) -> tuple[int, Place, int]:
        message = self._waiting[place][-1]
        return message.timestamp()[1], place, int(message.offset() or 0)

    def _fill(self) -> None:
        """Read on backwards in every partition of which nothing is held."""
        while True:
            empty = [
                place for place, held in self._waiting.items() if not held and self._starts[place] > self._lows[place]
            ]
            if not empty:
                return
            spans = {}
            for place in empty:
                start = max(self._lows[place], self._starts[place] - self._steps[place])
                spans[place] = (start, self._starts[place])
                self._starts[place] = start
                self._steps[place] = min(MAX_STEP, self._steps[place] * GROWTH)
            for message in self._log.read(spans, self._budget):
                self._waiting[message.topic() or "", int(message.partition() or 0)].append(message)
            if self._budget.spent:
                self.cut = True
                return


def cursor_at(message: Message, sub: int = -1) -> Cursor:
    """Return the cursor that goes on behind a message."""
    place = (message.topic() or "", int(message.partition() or 0))
    return Cursor(message.timestamp()[1], place, int(message.offset() or 0), sub)
