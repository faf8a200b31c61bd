"""Whatever ends the process that counts, and wherever: the minutes that are told sum to what the ledger says."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from schemas.definitions.minute import MinuteCounts
from schemas.wire.ledger import Count, Ledger
from streams.windows import MINUTE_US, Bounds, Place, Windows

BOUNDS = Bounds(lateness_us=MINUTE_US, retention_minutes=60, types=2, live=4)
PLACES: tuple[Place, ...] = (("one", 0), ("one", 1), ("two", 0))
START = 1_000_000


class World:
    """What outlives a process: the ledger, the table's changelog as far as Kafka has it, and the registry."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.logs: dict[Place, list[tuple[int, Ledger]]] = {place: [] for place in PLACES}
        self.now_us = START * MINUTE_US
        self.stored: dict[bytes, bytes] = {}
        self.pending: list[tuple[bytes, bytes | None]] = []
        self.told: dict[tuple[object, ...], MinuteCounts] = {}
        self.start()

    def start(self) -> None:
        self.pending.clear()
        self.windows = Windows(BOUNDS)
        self.windows.load(self.stored.items())
        self.at = {place: self.windows.next_offset(place) or 0 for place in PLACES}

    def write(self) -> None:
        """Let the stage write a record; offsets have gaps, where markers of transactions stand."""
        place, draw = draw_of(self.draw, PLACES), self.draw
        self.now_us += draw.choice((0, 1, 20, 200)) * 1_000_000
        log = self.logs[place]
        offset = log[-1][0] + draw.choice((1, 2, 3)) if log else 0
        minute = self.now_us // MINUTE_US
        counts = tuple(
            Count(draw.choice("st"), draw.choice("abc"), minute - draw.choice((0, 0, 2, 3, 90, -40)), outcome, 1 + n)
            for n, outcome in enumerate(draw.sample(("clean", "duplicate", "quarantined"), draw.randrange(1, 4)))
        )
        log.append((offset, Ledger("t", "id", 0, 0, 1, "0", self.now_us, 0, counts, ())))

    def count(self) -> None:
        """Take what is there from one place, some of it twice, and keep what changed."""
        place = draw_of(self.draw, PLACES)
        for offset, record in self.logs[place]:
            if offset >= self.at[place] - self.draw.choice((0, 0, 4)):
                self.windows.count(place, offset, record)
                self.at[place] = max(self.at[place], offset + 1)
        self.pending += self.windows.changed()

    def store(self, most: int) -> None:
        """Let Kafka have the next records of the changelog."""
        for key, value in self.pending[:most]:
            if value is None:
                self.stored.pop(key, None)
            else:
                self.stored[key] = value
        del self.pending[:most]

    def tell(self) -> None:
        rows = self.windows.rows(self.draw.choice((1, 5, 100)))
        self.store(len(self.pending))
        if self.draw.random() < 0.3:  # while the registry is asked
            self.count()
        for row in rows:
            key = (row.source_id, row.minute, row.ledger, row.partition, row.first)
            if key not in self.told or row.last > self.told[key].last:
                self.told[key] = row
        if self.draw.random() < 0.8:  # else the process ends before it knows
            self.windows.told(rows)

    def let_go(self) -> None:
        for place in PLACES:
            if self.at[place] > (self.logs[place][-1][0] if self.logs[place] else -1):
                self.windows.quiet(place, self.now_us)
        self.pending += [(key, None) for key in self.windows.let_go(["one", "two"])]

    def kill(self) -> None:
        """End the process; Kafka has some of what it wrote, in order."""
        self.store(self.draw.randrange(8))
        self.start()

    def some_stored(self) -> None:
        self.store(self.draw.randrange(8))

    def settled(self) -> bool:
        """Tell whether everything is counted and told."""
        counted = all(self.at[place] > log[-1][0] for place, log in self.logs.items() if log)
        return counted and not self.windows.rows(1)


def draw_of(draw: random.Random, places: tuple[Place, ...]) -> Place:
    return places[draw.randrange(len(places))]


STEPS = (World.write, World.write, World.count, World.tell, World.let_go, World.some_stored, World.kill)


@given(st.integers(0, 1 << 32), st.integers(1, 150))
def test_the_sums_told_are_the_sums_of_the_ledger(seed: int, steps: int) -> None:
    draw = random.Random(seed)
    world = World(draw)
    for _ in range(steps):
        draw.choice(STEPS)(world)
    world.kill()
    for _ in range(300):
        if world.settled():
            break
        world.count()
        world.tell()
    expected, found = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for log in world.logs.values():
        for _, record in log:
            for count in record.counts:
                expected[count.source_id, count.outcome] += count.n
    for row in world.told.values():
        for outcomes in (*row.types.values(), row.other_types, row.other_times):
            found.update({(row.source_id, outcome): n for outcome, n in outcomes.items()})
    assert found == expected
