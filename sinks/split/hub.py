"""One consumer for all tables of a split stream: reads once, hands each record to the table of its type.

Lives here: reading, sorting, going back for a table that stands behind. Not here: which tables there are (tails.py).
A new type's table is made before any table is told of a position past that type's first record. So whatever a type's
table has not seen before its start was not of its type. Memory: what waits for the tables is bounded.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from schemas import logs
from schemas.ports import Clock
from sinks.rows import system
from sinks.rows.system import Record
from sinks.session import Again
from sinks.source import Expired, Reading, Topic, TopicMoved
from sinks.split.branch import Branch, Place
from sinks.table.state import Offsets

OWN = ""
"""The key of the stream's own table; a type's table has the type."""
POLL_S = 0.1
LOOK_S = 0.5
TELL_S = 0.5
BOUNDS_S = 0.4
PAUSE_S = 1.0
PATIENCE_S = 5.0
"""How long reading waits for tables that are not ready: later it goes back for them."""
BUDGET_BYTES = 32 << 20
"""Of records that wait for their tables."""
log = logs.logger(__name__)


class Sorter(Protocol):
    """Knows the stream's tables."""

    def route(self, event_type: str) -> str | None:
        """Return the key of the table of a type, None for one not selected; `KeyError`: not seen before."""

    def meet(self, event_types: Sequence[str], at: Offsets) -> None:
        """Decide where types that were not seen before go, durably; their tables begin at `at`."""

    def expected(self) -> Collection[str]:
        """Return the keys of the tables that are being made ready."""


class Hub:
    """Reads for `Branch`es. `run` is one thread's; branches join and leave from theirs."""

    def __init__(self, opened: Callable[[], Reading], sorter: Sorter, clock: Clock) -> None:
        self._opened, self._sorter, self.clock = opened, sorter, clock
        self.lock = threading.RLock()
        self._change = threading.Condition(self.lock)
        self._looking, self._asking = threading.Lock(), threading.Lock()
        self._bounds: dict[Place, tuple[tuple[int, int], float]] = {}
        self._seen: tuple[dict[str, Topic], float] = ({}, float("-inf"))
        self._branches: dict[str, Branch] = {}
        self._topics: dict[str, Topic] = {}
        self._at: dict[Place, int] = {}
        self._waiting = 0
        self._behind = self._moved = self._stopped = False
        self.source = opened()
        self.ahead = 0
        self.read_us: int | None = None

    # ---- the branches'
    def look(self) -> dict[str, Topic]:
        """Return the stream's topics that exist."""
        return self.source.look()

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return a partition's first and next offset, as of `BOUNDS_S` ago at most: many tables ask when they begin."""
        with self._asking:
            now = self.clock.monotonic()
            known = self._bounds.get((topic, partition))
            if known is None or now - known[1] > BOUNDS_S:
                known = self._bounds[topic, partition] = self.source.bounds(topic, partition), now
            return known[0]

    def start(self, topic: str, partition: int, start_from: str | datetime) -> int:
        """Resolve where a partition begins."""
        with self._asking:
            return self.source.start(topic, partition, start_from)

    def check(self, since: float, topics: Mapping[str, Topic]) -> None:
        """Raise `Again` unless these are the topics, by a look begun after `since`; tables share looks."""
        with self._looking:
            now = self.clock.monotonic()
            if not (self._seen[1] > since and now - self._seen[1] < LOOK_S):
                self._seen = self.source.look(), now
            moved = self._seen[0] != topics
        if moved:
            with self.lock:
                self._moved |= self._seen[0] != self._topics
            raise Again

    def join(self, branch: Branch) -> None:
        """Let a branch take part, from where it stands."""
        with self.lock:
            self._branches[branch.key] = branch
            self._moved |= bool(self._at) and branch.topics != self._topics
            lowest = dict(self._at)
            branch.least(lowest)
            self._behind |= lowest != self._at
            self._change.notify_all()

    def leave(self, branch: Branch) -> None:
        """Let a branch go; what it has not taken is dropped, its table says where to go on."""
        with self.lock:
            if self._branches.get(branch.key) is branch:
                del self._branches[branch.key]
            self.taken(branch.drop())

    def taken(self, size: int) -> None:
        """Take note that bytes no longer wait; under the lock."""
        self._waiting -= size
        if size:
            self._change.notify_all()

    def joined(self, keys: Collection[str], timeout_s: float) -> bool:
        """Wait until the tables of `keys`, as far as they are still expected, have joined."""
        until = self.clock.monotonic() + timeout_s
        with self.lock:
            while not self._stopped and (left := until - self.clock.monotonic()) > 0:
                if set(keys) & set(self._sorter.expected()) <= self._branches.keys():
                    return True
                self._change.wait(min(left, POLL_S))
        return False

    # ---- its thread
    def run(self) -> None:
        """Read until stopped."""
        while not self._stopped:
            try:
                self._era(self.source)
            except Expired as error:
                self._end(partial(_expired, error))
            except TopicMoved:
                self._end(_again)
            except Exception as error:  # noqa: BLE001 each table begins again from what it holds
                log.warning("split_reading_ends", error=f"{type(error).__name__}: {error}"[:500])
                self._end(_again)
                self._pause()
            with self._asking:
                self.source.close()
                if not self._stopped:
                    self.source = self._opened()

    def stop(self) -> None:
        """Read no more; never blocks for long."""
        with self.lock:
            self._stopped = True
            for branch in self._branches.values():
                branch.news.notify()
            self._change.notify_all()

    def _pause(self) -> None:
        until = self.clock.monotonic() + PAUSE_S
        with self.lock:
            while not self._stopped and (left := until - self.clock.monotonic()) > 0:
                self._change.wait(left)

    def _era(self, source: Reading) -> None:
        """Read from the lowest position of all tables until something moves."""
        while not self.joined([OWN], PATIENCE_S):
            if self._stopped:
                return
        self.joined(self._sorter.expected(), PATIENCE_S)
        with self.lock:
            own = self._branches.get(OWN)
            if own is None:
                return
            self._topics, self._behind, self._moved = dict(own.topics), True, False
            self._moved = any(branch.topics != self._topics for branch in self._branches.values())
        tell_at = 0.0
        while not self._stopped:
            self._room()
            if self._moved:
                raise TopicMoved("a topic was made, deleted or changed")
            if self._behind:
                self._seek(source)
            records, _size = source.poll(POLL_S)
            self._hand_out(records, dict(source.positions))
            if (now := self.clock.monotonic()) >= tell_at:
                tell_at = now + TELL_S
                self.ahead, self.read_us = source.lag(), source.read_us

    def _room(self) -> None:
        with self.lock:
            while self._waiting > BUDGET_BYTES and not self._stopped and not self._behind:
                self._change.wait(POLL_S)

    def _seek(self, source: Reading) -> None:
        """Go to the lowest position; what is ahead of it keeps its own."""
        with self.lock:
            at: dict[Place, int] = dict(self._at)
            for branch in self._branches.values():
                branch.least(at)
            self._at, self._behind = at, False
            source.assign(self._topics, at)

    def _hand_out(self, records: Sequence[Record], positions: dict[Place, int]) -> None:
        kinds = system.kinds(records)
        routes, fresh = self._routes(kinds)
        if fresh:
            self._sorter.meet(fresh, self._offsets())
            routes, _none = self._routes(kinds)
        groups: dict[str, list[Record]] = {}
        for record, kind in zip(records, kinds, strict=True):
            if (key := routes[kind]) is not None:
                groups.setdefault(key, []).append(record)
        now = self.clock.monotonic()
        topic_names = {topic.id: name for name, topic in self._topics.items()}
        with self.lock:
            for key, branch in self._branches.items():
                if branch.behind(self._at):
                    continue
                mine = groups.get(key, [])
                if mine and (beyond := branch.beyond(self._at)):
                    mine = [
                        one for one in mine if one.offset >= beyond.get((topic_names[one.topic_id], one.partition), 0)
                    ]
                size = sum([len(one.value) for one in mine])
                self._waiting += size
                branch.take(mine, size, positions, now)
            self._at = positions

    def _routes(self, kinds: Sequence[str]) -> tuple[dict[str, str | None], list[str]]:
        routes: dict[str, str | None] = {}
        fresh = []
        for kind in dict.fromkeys(kinds):
            try:
                routes[kind] = self._sorter.route(kind)
            except KeyError:
                fresh.append(kind)
        return routes, fresh

    def _offsets(self) -> Offsets:
        made: Offsets = {}
        for (name, partition), at in self._at.items():
            made.setdefault(self._topics[name].id, {})[str(partition)] = at
        return made

    def _end(self, why: Callable[[Branch], Exception]) -> None:
        """Send all tables back to what they hold, each with its own reason."""
        with self.lock:
            for branch in self._branches.values():
                branch.fail(why(branch))
            self._branches, self._at = {}, {}


def _again(_branch: Branch) -> Exception:
    return Again()


def _expired(error: Expired, branch: Branch) -> Exception:
    return branch.expired(error) or Again()
