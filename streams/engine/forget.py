"""What the stage remembers of a deleted tenant goes: states of its events and the stands of its partitions (rule 25).

Lives here: the request of a job's thread, and the event loop's work on it, a portion a transaction: tombstones in the
changelog, then the disk. Not here: who asks (streams/jobs/forget.py), whether topics are still read (the caller tells).
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice

from streams import seen
from streams.engine.table import FirstSeenTable
from streams.engine.transaction import Transactions

PORTION = 5_000
"""States a transaction; between two of them other sources are decided."""
_LOOK_S = 0.5
_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much went: states of events, and stands of partitions."""

    states: int
    stands: int


@dataclass(slots=True)
class _Request:
    prefixes: list[bytes]
    topic_ids: frozenset[str]
    told: "Future[Forgotten]" = field(default_factory=Future)
    states: int = 0
    given_up: bool = False


class Forgetting:
    """Hands requests from job threads to the event loop; one at a time."""

    def __init__(self) -> None:
        self._requests: deque[_Request] = deque()
        self._lock = threading.Lock()
        self._busy = False

    # ---- job threads
    def ask(
        self, sources: Sequence[str], topic_ids: Collection[str], alive: Callable[[int], None], look_s: float = _LOOK_S
    ) -> Forgotten:
        """Forget sources and topics; blocks. `alive` is told how many states are gone, and may raise to end it."""
        prefixes = [seen.PREFIX + seen.source_prefix(source) for source in sources]
        request = _Request(prefixes, frozenset(topic_ids))
        with self._lock:
            self._requests.append(request)
        try:
            while True:
                try:
                    return request.told.result(look_s)
                except TimeoutError:
                    alive(request.states)
        finally:
            request.given_up = True

    @property
    def asked(self) -> bool:
        """Tell whether something waits to be forgotten."""
        return any(not (request.given_up or request.told.done()) for request in tuple(self._requests))

    # ---- the event loop
    async def step(
        self, table: FirstSeenTable, transactions: Transactions, reads: Callable[[Collection[str]], bool]
    ) -> None:
        """Do what is asked for, but for requests about topics of which `reads` says that one is read still.

        What is forgotten while its topic is read would be decided anew: a topic is let go of first.
        """
        if self._busy or not self._requests:
            return
        self._busy = True
        try:
            with self._lock:
                waiting = [request for request in self._requests if not (request.given_up or request.told.done())]
                self._requests = deque(waiting)
            for request in waiting:
                if not reads(request.topic_ids):
                    await self._forget(request, table, transactions)
        finally:
            self._busy = False

    async def _forget(self, request: _Request, table: FirstSeenTable, transactions: Transactions) -> None:
        for prefix in request.prefixes:
            while not request.given_up:
                if not (keys := list(islice(table.under(prefix), PORTION))):
                    break
                transactions.remove(keys)
                await transactions.commit()  # when it returns they are gone from the disk: the next portion follows
                request.states += len(keys)
                await asyncio.sleep(_PAUSE_S)
        stands = [partition for partition in table.stands if partition[0] in request.topic_ids]
        transactions.drop(stands)
        await transactions.commit()
        if not request.given_up:
            request.told.set_result(Forgotten(request.states, len(stands)))
