"""Ledger records are counted by minute, kept in a Faust table, and told to the registry (spec section 5, stats).

Lives here: the order of counting, keeping, telling and letting go, and that a registry that is away is told later. Not
here: what a minute is (streams/windows.py), how the table is written (engine/journal.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from faust.types import TP

from schemas.definitions.minute import Complete
from schemas.errors import Poison
from schemas.logs import logger
from schemas.ports import Clock, MinuteBook
from schemas.wire import ledger
from schemas.wire.ledger import Ledger
from streams.engine.journal import Journal
from streams.engine.ledgers import LedgerTopic
from streams.engine.links import Links
from streams.windows import MINUTE_US, Place, Windows

MAX_ROWS = 1_000
"""Of one telling."""
_PRUNE_S = 3_600.0
_log = logger(__name__)
Taken = Callable[[], Awaitable[Mapping[TP, tuple[int, int, int | None]]]]
"""Of each ledger partition: where fetching stands, where it ends now, the newest offset handed to the agent."""


class Heard(Protocol):
    """Who is told what was decided, each ledger record once."""

    def note(self, record: Ledger) -> None:
        """Take it; on the event loop."""


class Heards:
    """Tells several."""

    def __init__(self, *heard: Heard) -> None:
        self._heard = heard

    def note(self, record: Ledger) -> None:
        """Take it."""
        for one in self._heard:
            one.note(record)


class Stats:
    """The minutes of all tenants: `count` is the agent's, `tell` the timer's; both run on one event loop.

    `late_us` is how long a decision may wait to be visible at most: a transaction's time limit.
    """

    def __init__(
        self,
        windows: Windows,
        journal: Journal,
        book: MinuteBook,
        heard: Heard,
        live: Callable[[], Mapping[str, LedgerTopic]],
        taken: Taken,
        clock: Clock,
        links: Links,
        *,
        late_us: int,
        retention_minutes: int,
    ) -> None:
        self._windows, self._journal, self._book, self._heard = windows, journal, book, heard
        self._live, self._taken, self._clock = live, taken, clock
        self._links = links
        self._late_us, self._retention = late_us, retention_minutes
        self._loaded = False
        self._complete: dict[str, int] = {}
        self._ended: dict[TP, int] = {}
        self._prune_at = 0.0
        self._room = asyncio.Event()

    def load(self) -> None:
        """Take what the table holds, at the first assignment; later ones find it in memory, which is never behind."""
        if not self._loaded:
            self._windows.load(self._journal.read())
            self._loaded = True
            _log.info("minutes_recovered", minutes=len(self._windows))

    def next_offset(self, tp: TP) -> int | None:
        """Return where a ledger partition is counted to; None = not at all."""
        topic = self._live().get(tp.topic)
        return None if topic is None else self._windows.next_offset((topic.topic_id, tp.partition))

    async def count(self, events: Sequence[Any]) -> None:
        """Count records and keep what changed; waits while too many minutes are still to be told.

        Raises GapError when a record was lost on its way: what is counted by offset must be counted in order.
        """
        while self._windows.full:
            self._room.clear()
            await self._room.wait()
        live = self._live()
        for event in events:
            message = event.message
            topic = live.get(message.topic)
            if topic is None:  # its tenant went
                continue
            if not self._links.taken(message.tp, message.offset):  # comes again
                continue
            try:
                record = ledger.decode(event.value)
            except Poison:
                _log.exception("ledger_record_unreadable", topic=message.topic, offset=message.offset)
                continue
            if self._windows.count((topic.topic_id, message.partition), message.offset, record):
                self._heard.note(record)
        self._journal.write(self._windows.changed())

    async def tell(self) -> None:
        """Tell the registry what is new; what it does not take is told with a later call."""
        if not self._loaded:
            return
        try:
            await self._tell()
        except Exception as error:  # noqa: BLE001 the data plane outlives the control plane
            _log.warning("minutes_not_stored", error=str(error)[:300], held=len(self._windows))
            await self._let_go()

    async def look(self) -> None:
        """Let time go on in partitions that are counted to their end, by the clock, less what may still be on its way.

        What was fetched at the last look has reached the agent by now; the moment of that look is what counts.
        """
        if not self._loaded:
            return
        now_us = self._clock.time_ns() // 1000
        live, before, self._ended = self._live(), self._ended, {}
        for tp, (position, end, handed) in (await self._taken()).items():
            topic = live.get(tp.topic)
            if topic is None:
                continue
            place: Place = topic.topic_id, tp.partition
            counted = self._windows.next_offset(place) or 0
            if tp in before and (handed is None or counted > handed):
                self._windows.quiet(place, before[tp] - self._late_us)
            if position >= end:
                self._ended[tp] = now_us

    async def _tell(self) -> None:
        live = {topic.topic_id: topic for topic in self._live().values()}
        complete = {one: self._windows.complete(one, topic.partitions) for one, topic in live.items()}
        while rows := self._windows.rows(MAX_ROWS):
            await self._journal.stored()  # first in Kafka: what was told must not be counted otherwise after a crash
            await asyncio.to_thread(self._book.tell, rows)
            self._windows.told(rows)
            if not self._windows.closed_untold():
                break
        news = {one: at for one, at in complete.items() if at is not None and at > self._complete.get(one, 0)}
        if news:
            marks = [Complete(one, live[one].tenant, at) for one, at in news.items()]
            await asyncio.to_thread(self._book.tell, (), marks)
            self._complete |= news
        if news or self._windows.full:
            await self._let_go()
        now = self._clock.monotonic()
        if now >= self._prune_at:
            oldest = self._clock.time_ns() // 1000 // MINUTE_US - self._retention
            await asyncio.to_thread(self._book.prune, oldest)
            self._prune_at = now + _PRUNE_S

    async def _let_go(self) -> None:
        self._journal.delete(self._windows.let_go(topic.topic_id for topic in self._live().values()))
        self._room.set()
