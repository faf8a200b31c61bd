"""What one table of a split stream reads: its part of what the stream's one consumer has read.

Lives here: a `Reading` (sinks/source.py) without a consumer. Positions move past everything that the hub has read, so
a table without records of its own goes on by the rule that holds for all (rule 18).
"""

import threading
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from schemas.tracing import Seen
from sinks.rows.system import Record
from sinks.source import Expired, Topic
from sinks.table.state import Offsets

if TYPE_CHECKING:
    from sinks.split.hub import Hub

Place = tuple[str, int]
"""(topic's name, partition)."""
IDLE_POLL_S = 1.0
"""How long a table without records waits at a time: hundreds of such must cost little."""


class Branch:
    """One session's reading. `take` and `fail` are the hub's, under its lock; the rest is the table's own thread's."""

    def __init__(self, hub: "Hub", key: str, start: Offsets | None, patient_after_s: float) -> None:
        self._hub, self.key, self._start, self._patient_after_s = hub, key, start, patient_after_s
        self.topics: dict[str, Topic] = {}
        self.positions: dict[Place, int] = {}
        self.read_us: int | None = None
        self.traces: Seen | None = None
        self.news = threading.Condition(hub.lock)
        self._queue: deque[tuple[list[Record], int, Mapping[Place, int]]] = deque()
        self._latest: Mapping[Place, int] = {}
        self._failure: Exception | None = None
        self._stirred = self._taken = 0.0

    # ---- the table's
    def look(self) -> dict[str, Topic]:
        """Return the stream's topics that exist."""
        return self._hub.look()

    def check(self) -> None:
        """Raise `Again` unless the topics are still those that were read, as of a look since the last records."""
        self._hub.check(self._taken, self.topics)

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return a partition's first offset and the next one after its last."""
        return self._hub.bounds(topic, partition)

    def start(self, topic: str, partition: int, start_from: str | datetime) -> int:
        """Return where the table begins: where its type first came, or the stream's start for the stream's own."""
        if self._start is None:
            return self._hub.start(topic, partition, start_from)
        known = self._start.get(self.look()[topic].id, {}).get(str(partition))
        if known is None:  # a topic or partition that came later
            since = start_from if isinstance(start_from, datetime) else "earliest"
            return self._hub.start(topic, partition, since)
        return known

    def assign(self, topics: Mapping[str, Topic], at: Mapping[Place, int]) -> None:
        """Take part from these offsets on."""
        self.topics, self.positions, self._latest = dict(topics), dict(at), dict(at)
        self._stirred = self._hub.clock.monotonic()
        self._hub.join(self)

    def poll(self, timeout_s: float) -> tuple[list[Record], int]:
        """Return the next records of this table; raises what ended the hub's reading, after all that came before."""
        hub = self._hub
        if hub.clock.monotonic() - self._stirred > self._patient_after_s:
            timeout_s = max(timeout_s, IDLE_POLL_S)
        with hub.lock:
            if not self._queue and self._failure is None:
                self.news.wait(timeout_s)
            if self._queue:
                records, size, positions = self._queue.popleft()
                hub.taken(size)
                self._stirred = hub.clock.monotonic()
            elif self._failure is not None:
                raise self._failure
            else:
                records, size, positions = [], 0, self._latest
            self.read_us = hub.read_us
        self.positions = dict(positions)
        return records, size

    def lag(self) -> int:
        """Return how many offsets lie ahead of the stream's consumer, of all types."""
        return self._hub.ahead

    def ends(self) -> Offsets:
        """Return the positions by topic id."""
        made: Offsets = {}
        for (topic, partition), position in self.positions.items():
            made.setdefault(self.topics[topic].id, {})[str(partition)] = position
        return made

    def close(self) -> None:
        """Take no further part."""
        self._hub.leave(self)

    # ---- the hub's
    def beyond(self, at: Mapping[Place, int]) -> dict[Place, int]:
        """Return where this table stands further than `at`: earlier records are in it already."""
        return {place: own for place, own in self._latest.items() if own > at.get(place, 0)}

    def behind(self, at: Mapping[Place, int]) -> bool:
        """Tell whether this table needs records before `at`: it must be gone back for, and takes none until then."""
        return any(own < at.get(place, own) for place, own in self._latest.items())

    def least(self, at: dict[Place, int]) -> None:
        """Lower `at` to where this table stands."""
        for place, own in self._latest.items():
            at[place] = min(at.get(place, own), own)

    def take(self, records: list[Record], size: int, positions: Mapping[Place, int], now: float) -> None:
        """Take records, none perhaps, and where reading is behind them."""
        stand = self._latest
        further = {place: max(own, positions.get(place, own)) for place, own in stand.items()}
        self._latest = further
        if records:
            self._queue.append((records, size, further))
            self._taken = now
            self.news.notify()
        elif self._queue:
            held, held_size, _positions = self._queue[-1]
            self._queue[-1] = (held, held_size, further)

    def fail(self, error: Exception) -> None:
        """End this reading once what came before is taken."""
        self._failure = self._failure or error
        self.news.notify()

    def drop(self) -> int:
        """Forget what was not taken; return its bytes."""
        size = sum(one[1] for one in self._queue)
        self._queue.clear()
        return size

    def expired(self, error: Expired) -> Expired | None:
        """Return what to tell this table of a place that the log has lost; None when it stands past the loss."""
        at = self._latest.get(error.place)
        held = at is None or error.low <= at <= error.high
        return None if at is None or held else Expired(*error.place, at, error.low, error.high)
