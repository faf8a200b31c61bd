"""Kafka's log in memory: partitions, transactions, control records, compaction, retention, truncation.

Lives here: what a broker keeps and its transaction coordinator. Not here: what clients do with it (clients.py). What is
modelled and what is not: README.md. KIP-98: https://cwiki.apache.org/confluence/display/KAFKA/KIP-98
"""

from bisect import bisect_left
from collections.abc import Iterator

PLAIN, OPEN, COMMITTED, ABORTED, CONTROL = "plain", "open", "committed", "aborted", "control"
Header = tuple[str, bytes]
EPOCH_MS = 1_773_828_000_000


class Clock:
    """The time of everything: seconds for loops, milliseconds for the broker, which a jump may put back."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.skew_ms = 0

    @property
    def ms(self) -> int:
        return EPOCH_MS + int(self.now * 1000) + self.skew_ms

    def time_ns(self) -> int:
        return self.ms * 1_000_000

    def monotonic(self) -> float:
        return self.now


class Fenced(Exception):
    """Another producer of this id has begun, or the coordinator has given up on this transaction."""


class Entry:
    """One record as it lies in the log."""

    __slots__ = ("headers", "key", "kind", "offset", "timestamp_ms", "value")

    def __init__(
        self, offset: int, key: bytes | None, value: bytes | None, headers: tuple[Header, ...], ms: int, kind: str
    ) -> None:
        self.offset, self.key, self.value, self.headers = offset, key, value, headers
        self.timestamp_ms, self.kind = ms, kind


class Log:
    """One partition. Offsets never go back but by `truncate`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.entries: list[Entry] = []
        self.start = self.end = 0
        self.firsts: dict[int, int] = {}
        """First offset of each transaction without a marker here, by its number."""

    def append(
        self, key: bytes | None, value: bytes | None, headers: tuple[Header, ...] = (), kind: str = PLAIN
    ) -> Entry:
        """Append one record with the broker's time (LogAppendTime)."""
        entry = Entry(self.end, key, value, headers, self._clock.ms, kind)
        self.entries.append(entry)
        self.end += 1
        return entry

    @property
    def stable(self) -> int:
        """Return the last stable offset: nothing before it can change."""
        return min(self.firsts.values(), default=self.end)

    def read(self, offset: int, limit: int, *, committed: bool) -> tuple[list[Entry], int]:
        """Return up to `limit` records from `offset` on, and the position after them; control records are skipped."""
        end = self.stable if committed else self.end
        found: list[Entry] = []
        at = max(offset, self.start)
        for entry in self._from(at):
            if entry.offset >= end or len(found) >= limit:
                break
            at = entry.offset + 1
            if entry.kind != CONTROL and not (committed and entry.kind == ABORTED):
                found.append(entry)
        else:
            at = max(at, end)
        return found, at

    def _from(self, offset: int) -> Iterator[Entry]:
        first = bisect_left(self.entries, offset, key=lambda entry: entry.offset)
        for index in range(first, len(self.entries)):
            yield self.entries[index]

    def expire(self, start: int) -> list[Entry]:
        """Drop records before `start`, as retention does; return them."""
        self.start = max(self.start, min(start, self.stable))
        gone = [entry for entry in self.entries if entry.offset < self.start]
        self.entries = [entry for entry in self.entries if entry.offset >= self.start]
        return gone

    def truncate(self, end: int) -> list[Entry]:
        """Lose the tail, as an unclean election does; return it. Only for topics without transactions."""
        gone = [entry for entry in self.entries if entry.offset >= end]
        self.entries = [entry for entry in self.entries if entry.offset < end]
        self.end = min(self.end, max(end, self.start))
        return gone

    def compact(self, *, tombstones: bool) -> None:
        """Keep the newest committed record of each key below the stable offset; `tombstones`: drop those too."""
        stable = self.stable
        newest = {
            entry.key: entry.offset
            for entry in self.entries
            if entry.offset < stable and entry.kind in (PLAIN, COMMITTED)
        }
        self.entries = [
            entry
            for entry in self.entries
            if entry.offset >= stable
            or (
                (entry.kind in (PLAIN, COMMITTED) and newest[entry.key] == entry.offset)
                and not (tombstones and entry.value is None)
            )
        ]


class Topic:
    """A topic: Kafka's id and its partitions."""

    def __init__(self, name: str, number: int, partitions: int, clock: Clock) -> None:
        self.name, self.id = name, f"{number:02d}".ljust(22, "A")
        self.logs = [Log(clock) for _ in range(partitions)]


class _Transaction:
    """A transaction: entries by (topic, partition), and where markers are still to be written."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.parts: dict[tuple[str, int], list[Entry]] = {}
        self.state = OPEN
        self.since = 0.0


class _Producer:
    """What the coordinator knows of a transactional id."""

    def __init__(self) -> None:
        self.epoch = -1
        self.open: _Transaction | None = None
        self.ending: _Transaction | None = None
        self.last = ""


class Broker:
    """Topics and the transaction coordinator."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.topics: dict[str, Topic] = {}
        self._producers: dict[str, _Producer] = {}
        self._number = 0
        self.renewed = 0
        """How often a topic was made in the place of another."""

    def create(self, name: str, partitions: int) -> Topic:
        """Make a topic, in place of the one of that name."""
        self._number += 1
        self.renewed += name in self.topics
        topic = self.topics[name] = Topic(name, self._number, partitions, self.clock)
        return topic

    def log(self, topic: str, partition: int) -> Log:
        return self.topics[topic].logs[partition]

    # ---- transactions
    def init(self, producer: str) -> int:
        """Fence whoever had this id, abort what it left open, and return the new epoch."""
        known = self._producers.setdefault(producer, _Producer())
        self._abort(known)
        known.epoch += 1
        known.last = ""
        return known.epoch

    def send(self, producer: str, epoch: int, topic: str, partition: int, key: bytes, value: bytes | None) -> int:
        """Append one record of the transaction, which begins with its first record; return its offset."""
        known = self._known(producer, epoch)
        if known.open is None:
            self.settle(producer)  # the coordinator answers CONCURRENT_TRANSACTIONS until then
            self._number += 1
            known.open = _Transaction(self._number)
            known.open.since = self.clock.now
        log = self.log(topic, partition)
        entry = log.append(key, value, kind=OPEN)
        known.open.parts.setdefault((topic, partition), []).append(entry)
        log.firsts.setdefault(known.open.number, entry.offset)
        return entry.offset

    def end(self, producer: str, epoch: int, *, commit: bool) -> None:
        """Decide the open transaction; markers follow partition by partition (`settle`). Asked again: the same."""
        known = self._known(producer, epoch)
        wanted = COMMITTED if commit else ABORTED
        if known.open is None:
            if known.last not in ("", wanted):
                raise Fenced("decided otherwise")
            return
        known.open.state = known.last = wanted
        known.ending, known.open = known.open, None

    def settle(self, producer: str, most: int = 1_000) -> None:
        """Write up to `most` of the markers that a decided transaction still owes."""
        known = self._producers.get(producer)
        if known is None or known.ending is None:
            return
        done = known.ending
        for where in list(done.parts)[:most]:
            log = self.log(*where)
            for entry in done.parts.pop(where):
                entry.kind = done.state
            log.append(None, None, kind=CONTROL)
            log.firsts.pop(done.number, None)
        if not done.parts:
            known.ending = None

    def give_up(self, producer: str) -> bool:
        """Abort an open transaction for its age, as the coordinator does; its producer is fenced by that."""
        known = self._producers.get(producer)
        if known is None or known.open is None:
            return False
        self._abort(known)
        known.epoch += 1
        return True

    def init_epoch(self, producer: str) -> int:
        """Return the epoch that counts now."""
        return self._producers[producer].epoch

    def open_since(self, producer: str) -> float | None:
        known = self._producers.get(producer)
        return None if known is None or known.open is None else known.open.since

    def _known(self, producer: str, epoch: int) -> _Producer:
        known = self._producers[producer]
        if epoch != known.epoch:
            raise Fenced(f"epoch {epoch}, now {known.epoch}")
        return known

    def _abort(self, known: _Producer) -> None:
        name = next(name for name, one in self._producers.items() if one is known)
        self.settle(name)
        if known.open is not None:
            known.open.state, known.ending, known.open = ABORTED, known.open, None
            self.settle(name)
