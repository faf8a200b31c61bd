"""The order of counting, keeping, telling and letting go; a registry that is away is told later."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from schemas.definitions.minute import Complete, MinuteCounts
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire import ledger
from schemas.wire.ledger import Count, Ledger
from streams.agents.stats import Stats
from streams.engine.ledgers import LedgerTopic
from streams.engine.links import GapError, Links
from streams.windows import MINUTE_US, Bounds, Windows
from tests.fakes.clock import ManualClock

NAME = "acme.ledger"
HERE = TP(NAME, 0)
LATE_US = 10_000_000


@dataclass
class World:
    """The table, Kafka and the registry of a Stats; `did` is what happened in which order."""

    did: list[str] = field(default_factory=list)
    table: dict[bytes, bytes] = field(default_factory=dict)
    rows: list[MinuteCounts] = field(default_factory=list)
    marks: list[Complete] = field(default_factory=list)
    ends: dict[TP, tuple[int, int, int | None]] = field(default_factory=dict)
    away: bool = False
    live: dict[str, LedgerTopic] = field(default_factory=lambda: {NAME: LedgerTopic("L", 1, "acme")})
    noted: int = 0

    def __post_init__(self) -> None:
        self.clock, self.links = ManualClock(), Links()
        self.windows = Windows(Bounds(MINUTE_US, 60, 5, live=3))
        self.stats = Stats(
            self.windows, cast("Any", self), cast("Any", self), cast("Any", self),
            live=lambda: self.live, taken=self.taken, clock=self.clock, links=self.links, late_us=LATE_US,
            retention_minutes=60,
        )  # fmt: skip

    @property
    def minute(self) -> int:
        return self.clock.time_ns() // 1000 // MINUTE_US

    # the journal
    def read(self) -> Iterable[tuple[bytes, bytes]]:
        return list(self.table.items())

    def write(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        self.did.append("kept")
        self.table |= dict(items)

    def delete(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            self.did.append("let go")
            del self.table[key]

    async def stored(self) -> None:
        self.did.append("stored")

    # the registry
    def tell(self, rows: Sequence[MinuteCounts], complete: Sequence[Complete] = ()) -> None:
        if self.away:
            raise Refused(Reason.REGISTRY_AWAY, "gone")
        self.did.append("told" if rows else "complete")
        self.rows += rows
        self.marks += complete

    def prune(self, before: int) -> int:
        self.did.append(f"pruned {self.minute - before}")
        return 0

    # silence and Kafka
    def note(self, _record: Ledger) -> None:
        self.noted += 1

    async def taken(self) -> Mapping[TP, tuple[int, int, int | None]]:
        return self.ends

    async def count(self, *offsets: int, topic: str = NAME, value: bytes | None = None) -> None:
        for offset in offsets:
            self.links.handed(TP(topic, 0), offset)
        await self.arrive(*offsets, topic=topic, value=value)

    async def arrive(self, *offsets: int, topic: str = NAME, value: bytes | None = None) -> None:
        events = [
            SimpleNamespace(
                message=SimpleNamespace(topic=topic, partition=0, offset=offset, tp=TP(topic, 0)),
                value=value or self.record(offset),
            )
            for offset in offsets
        ]
        await self.stats.count(events)

    def record(self, offset: int) -> bytes:
        counts = (Count("s", "push", self.minute, "clean", offset + 1),)
        now_us = self.clock.time_ns() // 1000
        return ledger.encode(Ledger("t", "id", 0, offset, offset + 1, "0", now_us, 1, counts, ()))

    def told(self) -> int:
        newest = {(row.minute, row.first): row for row in sorted(self.rows, key=lambda row: row.last)}
        return sum(row.types["push"]["clean"] for row in newest.values())


def loaded() -> World:
    world = World()
    world.stats.load()
    return world


async def test_what_is_counted_is_kept_then_stored_then_told() -> None:
    world = loaded()
    await world.count(0, 1)
    await world.stats.tell()
    assert world.did == ["kept", "stored", "told", "complete", "pruned 60"]
    assert (world.told(), world.noted) == (3, 2)
    assert world.stats.next_offset(HERE) == 2
    assert world.stats.next_offset(TP("other.ledger", 0)) is None
    world.did.clear()
    await world.stats.tell()
    assert world.did == []


async def test_before_the_table_is_read_nothing_is_told_and_it_is_read_once() -> None:
    world = loaded()
    await world.count(4)
    again = World(table=world.table)
    await again.stats.tell()
    assert again.did == []
    again.stats.load()
    again.table = {}
    again.stats.load()
    assert again.stats.next_offset(HERE) == 5
    await again.stats.tell()
    assert again.told() == 5


async def test_a_registry_that_is_away_is_told_later_and_a_bound_makes_counting_wait() -> None:
    world = loaded()
    world.away = True
    for offset in range(3):
        await world.count(offset)
        world.clock.advance(60)
    await world.stats.tell()
    assert world.rows == []
    assert world.windows.full
    waiting = asyncio.create_task(world.count(3))
    await asyncio.sleep(0)
    assert world.stats.next_offset(HERE) == 3
    world.away = False
    world.ends = {HERE: (3, 3, 2)}
    for _ in range(2):
        world.clock.advance(60)
        await world.stats.look()
    await world.stats.tell()
    assert world.told() == 1 + 2 + 3
    await waiting
    await world.stats.tell()
    assert world.told() == 1 + 2 + 3 + 4


async def test_a_quiet_ledger_goes_on_only_when_all_that_was_fetched_is_counted() -> None:
    world = loaded()
    await world.count(0)
    minute = world.minute
    await world.stats.tell()
    first = world.marks.pop().minute
    for ends, moves in (({HERE: (1, 3, 0)}, False), ({HERE: (3, 3, 2)}, False), ({HERE: (3, 3, 0)}, True)):
        world.ends = cast("dict[TP, tuple[int, int, int | None]]", ends)
        for _ in range(2):
            world.clock.advance(60 + LATE_US / 1_000_000)
            await world.stats.look()
        await world.stats.tell()
        assert bool(world.marks) is moves, ends
    assert world.marks[-1].minute > minute > first
    assert world.did[-1] == "let go"  # long closed, told, and nothing came for it
    assert [key[:4] for key in world.table] == [b'["p"']


async def test_what_nobody_can_read_and_ledgers_that_went_stop_nothing() -> None:
    world = loaded()
    await world.count(0, value=b"\x00")
    await world.count(0, topic="gone.ledger")
    await world.count(1)
    await world.stats.tell()
    assert world.told() == 2


async def test_a_record_that_was_handed_on_and_did_not_arrive_ends_counting() -> None:
    world = loaded()
    await world.count(0)
    for offset in (2, 4):
        world.links.handed(HERE, offset)
    with pytest.raises(GapError, match="2 was handed on before 4"):
        await world.arrive(4)
    assert world.stats.next_offset(HERE) == 1, "what was not counted is not passed over"


async def test_what_was_handed_on_before_a_seek_is_not_counted_and_comes_again() -> None:
    world = loaded()
    await world.count(0)
    world.links.handed(HERE, 2)
    world.links.handed(HERE, 4)
    world.links.clear()
    await world.arrive(4)
    assert world.stats.next_offset(HERE) == 1
    await world.count(2, 4)
    await world.stats.tell()
    assert (world.stats.next_offset(HERE), world.told()) == (5, 9)
