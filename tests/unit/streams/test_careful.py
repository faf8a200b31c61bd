"""Rule 13 in the worker: what is in hand while it decides, which records a child tries first, what its death means."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.reasons import Outcome, Reason
from schemas.vendors.base import Facts, Vendor
from streams.agents.careful import Careful
from streams.agents.ingest import Ingest
from streams.emit import Decided
from streams.engine.agent import Batch
from streams.engine.table import FirstSeenTable, Stand
from streams.hand import Hand, Held
from streams.poison import STARTS, note
from streams.trial import Tried
from tests.unit.streams.made import PLACE, TOPIC_ID, VENDOR, record, snapshot, source
from tests.unit.streams.test_ingest import TOPIC, Registry

KEY = (TOPIC_ID, 1)
STANDS = {KEY: Stand(5, 0)}


class Trial:
    """Stands in for the child: dies of the offsets in `deadly`."""

    def __init__(self) -> None:
        self.deadly: dict[int, Tried] = {}
        self.tried: list[int] = []
        self.found_trying: list[bool] = []
        self.fails: Exception | None = None
        self.careful: Careful | None = None

    def decide(self, made: Any, *_: Any) -> Tried:
        assert self.careful is not None
        self.found_trying.append(self.careful.trying)
        self.tried.append(made.offset)
        if self.fails is not None:
            raise self.fails
        return self.deadly.get(made.offset, Tried(None))

    def close(self) -> None:
        """Nothing to end."""


def in_hand(folder: Path) -> Held | None:
    """Return what a successor would find."""
    other = Hand(folder / "in_hand")
    other.close()
    return other.left


class World:
    """A worker that starts after some deaths, with the records of a batch from offset 5."""

    def __init__(self, folder: Path, table: FirstSeenTable) -> None:
        self.folder, self.table, self.trial = folder, table, Trial()
        self.held: list[Held | None] = []

    def start(self, *died: tuple[int, int]) -> Careful:
        """Count the deaths inside offsets `first`..`end`-1, then start once more."""
        for first, end in died[:-1]:
            note(self.folder / "starts.json", Held(KEY, first, end), {KEY: 5})
        if died:
            hand = Hand(self.folder / "in_hand")
            hand.take(KEY, *died[-1])
            hand.close()
        made = Careful(self.folder, self.trial)  # type: ignore[arg-type]
        self.trial.careful = made
        made.begin(STANDS)
        return made

    def batch(self, count: int = 4) -> Batch:
        bodies = (record(b'{"id":"%d"}' % n, n, delivery_id=str(n)) for n in range(5, 5 + count))
        return Batch(TOPIC, PLACE, tuple(bodies), 0)

    async def decide(self, careful: Careful, batch: Batch) -> list[Decided]:
        def facts(item: Any, headers: Any) -> Facts:
            self.held.append(in_hand(self.folder))
            return VENDOR.facts(item, headers)

        async def batches() -> AsyncIterator[Batch]:
            yield batch

        vendor = Vendor(name="shop", title="", docs="", auth=None, facts=facts)
        made = Ingest(
            self.table, Registry(snapshot(source())), lambda _platform: vendor, lambda: 5, careful=careful
        )  # fmt: skip
        given: Any = batches()
        return [one async for decided in made.agent(given) for one in decided]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    table = FirstSeenTable("seen", tmp_path)
    table.open()
    made = World(tmp_path, table)
    yield made
    if made.trial.careful is not None:
        made.trial.careful.close()
    table.close()


async def test_a_batch_is_in_hand_while_it_is_decided_and_not_before_or_after(world: World) -> None:
    careful = world.start((5, 8))
    assert in_hand(world.folder) is None
    assert len(await world.decide(careful, world.batch())) == 4
    assert set(world.held) == {Held(KEY, 5, 9)}
    assert in_hand(world.folder) is None
    assert world.trial.tried == []


async def test_only_suspect_records_are_tried_and_each_is_in_hand_alone(world: World) -> None:
    careful = world.start(*[(6, 8)] * STARTS)
    found = await world.decide(careful, world.batch())
    assert [one.decision.outcome for one in found] == [Outcome.CLEAN] * 4
    assert world.trial.tried == [6, 7]
    assert world.held == [Held(KEY, n, n + 1) for n in range(5, 9)]
    assert in_hand(world.folder) is None


async def test_two_starts_are_not_enough(world: World) -> None:
    careful = world.start(*[(6, 8)] * (STARTS - 1))
    await world.decide(careful, world.batch())
    assert world.trial.tried == []


async def test_starts_from_another_position_are_forgotten(world: World) -> None:
    for _ in range(STARTS):
        note(world.folder / "starts.json", Held(KEY, 5, 8), {KEY: 4})
    careful = world.start()
    assert not careful.suspects(world.batch())


async def test_a_batch_without_a_suspect_is_decided_as_always(world: World) -> None:
    careful = world.start(*[(9, 12)] * STARTS)
    await world.decide(careful, world.batch())
    assert set(world.held) == {Held(KEY, 5, 9)}


@pytest.mark.parametrize("headers_read", [True, False])
async def test_a_record_that_its_trial_dies_of_is_poison_and_the_others_are_decided(
    world: World, *, headers_read: bool
) -> None:
    careful = world.start(*[(5, 9)] * STARTS)
    world.trial.deadly = {6: Tried("SIGSEGV", headers_read)}
    found = [one.decision for one in await world.decide(careful, world.batch())]
    assert [one.outcome for one in found] == [Outcome.CLEAN, Outcome.QUARANTINED, Outcome.CLEAN, Outcome.CLEAN]
    fault, delivery = found[1].fault, found[1].event.delivery
    assert fault is not None
    assert (fault.reason, "SIGSEGV" in fault.message) == (Reason.POISON_CRASH, True)
    assert (delivery.meta is not None) is headers_read
    assert [held.first for held in world.held if held is not None] == [5, 7, 8]


async def test_a_record_that_lived_in_its_trial_and_ended_three_more_starts_is_poison_untried(world: World) -> None:
    careful = world.start(*[(5, 9)] * STARTS, *[(6, 7)] * STARTS)
    found = [one.decision for one in await world.decide(careful, world.batch())]
    assert [one.outcome for one in found] == [Outcome.CLEAN, Outcome.QUARANTINED, Outcome.CLEAN, Outcome.CLEAN]
    assert found[1].fault is not None
    assert found[1].fault.reason is Reason.POISON_CRASH
    assert world.trial.tried == [5, 7, 8]


async def test_a_running_trial_is_told_so_that_nothing_is_taken_for_stuck(world: World) -> None:
    careful = world.start(*[(5, 6)] * STARTS)
    await world.decide(careful, world.batch())
    assert (world.trial.found_trying, careful.trying) == ([True], False)
    world.trial.fails = RuntimeError("no child")
    with pytest.raises(RuntimeError, match="no child"):
        await asyncio.wait_for(world.decide(careful, world.batch()), 60)
    assert not careful.trying
