"""Ledger records -> tumbling minutes of event time by source: what became of each minute's events.

Lives here: counting, when a minute is closed, what is told, what is let go. Pure: no Kafka, no disk, no clock;
README.md, Minutes. Not here: where it is kept and to whom it is told (agents/stats.py).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from schemas.definitions.minute import MinuteCounts
from schemas.wire.ledger import Count, Ledger

Place = tuple[str, int]
"""A ledger partition: Kafka topic id, partition."""

MINUTE_US = 60_000_000
AHEAD_MINUTES = 10
"""An event may be so far ahead of the moment of its decision: vendors' clocks differ."""
IDLE_US = 120_000_000
"""A minute that is closed and told is let go after so long without a count."""
MAX_TYPE = 255
MAX_SOURCE = 36


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is kept apart, and for how long; `live` minutes are held at once before counting waits."""

    lateness_us: int
    retention_minutes: int
    types: int
    live: int = 100_000


class Key(NamedTuple):
    """A minute of a source, as one ledger partition tells it."""

    ledger: str
    partition: int
    source_id: str
    minute: int


@dataclass(slots=True)
class Minute:
    """Its counts; `first` and `last` are the offsets of the first and newest ledger records in it."""

    first: int
    last: int
    types: dict[str, dict[str, int]] = field(default_factory=dict)
    other_types: dict[str, int] = field(default_factory=dict)
    other_times: dict[str, int] = field(default_factory=dict)
    touched_us: int = 0

    def add(self, count: Count, bound: int, *, strange_time: bool) -> None:
        """Add to the outcome's number, under the event type while there is room for it."""
        if strange_time:
            outcomes = self.other_times
        else:
            found = self.types.get(count.event_type)
            if found is None and (len(self.types) >= bound or len(count.event_type) > MAX_TYPE):
                found = self.other_types
            elif found is None:
                found = self.types[count.event_type] = {}
            outcomes = found
        outcomes[count.outcome] = outcomes.get(count.outcome, 0) + count.n


@dataclass(slots=True)
class Stand:
    """How far a ledger partition is counted: the next offset, and its time in µs: everything before it is decided."""

    next_offset: int = 0
    time_us: int = 0


class Windows:
    """The minutes that may still change or are not told yet. Not thread-safe."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._minutes: dict[Key, Minute] = {}
        self._stands: dict[Place, Stand] = {}
        self._changed: dict[Key, None] = {}
        self._moved: dict[Place, None] = {}
        self._untold: dict[Key, None] = {}
        self._ahead: set[Key] = set()

    # ---- counting
    def count(self, place: Place, offset: int, record: Ledger) -> bool:
        """Count a record; False when it was counted before: a replay adds nothing."""
        stand = self._stands.setdefault(place, Stand())
        if offset < stand.next_offset:
            return False
        stand.next_offset = offset + 1
        stand.time_us = max(stand.time_us, record.decided_at_us)
        self._moved[place] = None
        for key, counts in self._by_minute(place, record).items():
            minute = self._minutes.get(key)
            if minute is None:
                minute = self._minutes[key] = Minute(offset, offset)
            elif minute.last >= offset:  # kept before its place was: the writer ended between the two
                continue
            minute.last, minute.touched_us = offset, stand.time_us
            for count, strange_time in counts:
                minute.add(count, self._bounds.types, strange_time=strange_time)
            self._changed[key] = self._untold[key] = None
        return True

    def _by_minute(self, place: Place, record: Ledger) -> dict[Key, list[tuple[Count, bool]]]:
        """Return a record's counts by minute; too old or too new ones go to the minute of their decision."""
        decided = record.decided_at_us // MINUTE_US
        oldest, newest = decided - self._bounds.retention_minutes, decided + AHEAD_MINUTES
        found: dict[Key, list[tuple[Count, bool]]] = {}
        for count in record.counts:
            if not 0 < len(count.source_id) <= MAX_SOURCE:  # of no source: the ledger has it, nobody asks for it
                continue
            strange_time = not oldest < count.minute <= newest
            key = Key(*place, count.source_id, decided if strange_time else count.minute)
            found.setdefault(key, []).append((count, strange_time))
        return found

    def quiet(self, place: Place, time_us: int) -> None:
        """Take that everything decided before `time_us` is counted, though no record said so."""
        stand = self._stands.setdefault(place, Stand())
        stand.time_us = max(stand.time_us, time_us)

    def next_offset(self, place: Place) -> int | None:
        """Return the next offset to count; None of a place that nothing was counted of."""
        stand = self._stands.get(place)
        return None if stand is None or not stand.next_offset else stand.next_offset

    # ---- keeping
    def load(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Take what was kept; all of it is to be told again."""
        places: dict[Key, Minute] = {}
        for raw_key, raw_value in items:
            what, *rest = orjson.loads(raw_key)
            value = orjson.loads(raw_value)
            if what == "p":
                self._stands[rest[0], rest[1]] = Stand(value["n"], value["t"])
            else:
                places[Key(*rest)] = _minute(value)
        for key, minute in places.items():
            minute.touched_us = self._time(key)
            self._minutes[key] = minute
            self._untold[key] = None
        self._ahead = {key for key in self._minutes if self._is_ahead(key)}

    def changed(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield what is to be kept since the last call: minutes, then how far they are counted, in this order."""
        changed, self._changed = self._changed, {}
        moved, self._moved = self._moved, {}
        for key in changed:
            if (minute := self._minutes.get(key)) is not None:
                yield _key(key), _value(minute)
        for place in moved:
            stand = self._stands[place]
            yield orjson.dumps(("p", *place)), orjson.dumps({"n": stand.next_offset, "t": stand.time_us})

    @property
    def full(self) -> bool:
        """Tell whether counting must wait until minutes are told and let go; some wait for counting themselves."""
        return len(self._minutes) >= self._bounds.live + len(self._ahead)

    # ---- telling
    def complete(self, ledger: str, partitions: int) -> int | None:
        """Return the minute before which all of a ledger are closed; None while a partition's time is unknown."""
        stands = [self._stands.get((ledger, number)) for number in range(partitions)]
        times = [stand.time_us for stand in stands if stand is not None and stand.time_us]
        return self._closed_before(min(times)) if times and len(times) == partitions else None

    def rows(self, limit: int) -> list[MinuteCounts]:
        """Return what is to be told, at most `limit`: closed minutes first, then open ones, as far as they are."""
        closed = [key for key in self._untold if self._closed(key)]
        if len(closed) < limit:
            closed += [key for key in self._untold if not self._closed(key)]
        return [_row(key, self._minutes[key]) for key in closed[:limit]]

    def told(self, rows: Iterable[MinuteCounts]) -> None:
        """Take that rows were stored; those that changed meanwhile are told again."""
        for row in rows:
            key = Key(row.ledger, row.partition, row.source_id, row.minute)
            minute = self._minutes.get(key)
            if minute is not None and (minute.first, minute.last) == (row.first, row.last):
                self._untold.pop(key, None)

    def closed_untold(self) -> bool:
        """Tell whether a closed minute is still to be told."""
        return any(self._closed(key) for key in self._untold)

    # ---- letting go
    def let_go(self, ledgers: Iterable[str]) -> list[bytes]:
        """Forget minutes that are closed, told and idle, and all of ledgers that are no more; return their keys.

        A later count of such a minute begins a row of its own, so nothing that was told changes. One that was kept
        before its place was is held until the place has come past it: what it has counted already is counted again.
        """
        alive = set(ledgers)
        self._ahead = {key for key in self._ahead if self._is_ahead(key)}
        gone = [
            key
            for key, minute in self._minutes.items()
            if key.ledger not in alive
            or (
                key not in self._untold
                and key not in self._ahead
                and self._closed(key)
                and (self.full or self._time(key) >= minute.touched_us + IDLE_US)
            )
        ]
        for key in gone:
            del self._minutes[key]
            self._untold.pop(key, None)
            self._changed.pop(key, None)
            self._ahead.discard(key)
        dead = [place for place in self._stands if place[0] not in alive]
        for place in dead:
            del self._stands[place]
            self._moved.pop(place, None)
        return [*(_key(key) for key in gone), *(orjson.dumps(("p", *place)) for place in dead)]

    def __len__(self) -> int:
        """Return how many minutes are held."""
        return len(self._minutes)

    def _time(self, key: Key) -> int:
        stand = self._stands.get((key.ledger, key.partition))
        return 0 if stand is None else stand.time_us

    def _is_ahead(self, key: Key) -> bool:
        """Tell whether a minute has counted what is yet to be counted of its place."""
        return self._minutes[key].last >= (self.next_offset((key.ledger, key.partition)) or 0)

    def _closed_before(self, time_us: int) -> int:
        return (time_us - self._bounds.lateness_us) // MINUTE_US

    def _closed(self, key: Key) -> bool:
        return key.minute < self._closed_before(self._time(key))


def _key(key: Key) -> bytes:
    return orjson.dumps(("m", *key))


def _value(minute: Minute) -> bytes:
    value: dict[str, Any] = {"f": minute.first, "l": minute.last, "c": minute.types}
    if minute.other_types:
        value["o"] = minute.other_types
    if minute.other_times:
        value["s"] = minute.other_times
    return orjson.dumps(value)


def _minute(value: Mapping[str, Any]) -> Minute:
    return Minute(value["f"], value["l"], value["c"], value.get("o", {}), value.get("s", {}))


def _row(key: Key, minute: Minute) -> MinuteCounts:
    """Return a minute as it is told: copies, for it may change while it is stored."""
    return MinuteCounts(
        key.source_id,
        key.minute,
        key.ledger,
        key.partition,
        minute.first,
        minute.last,
        {event_type: dict(outcomes) for event_type, outcomes in minute.types.items()},
        dict(minute.other_types),
        dict(minute.other_times),
    )
