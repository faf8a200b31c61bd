"""The transaction protocol on a real broker: fencing, committing beside the next batch, what a crash leaves.

Rules 6 to 8 and 10.
"""

import asyncio
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from streams.engine.recovery import CHANGELOG_PARTITIONS, changelog
from streams.engine.table import FirstSeenTable, Stand, Writes
from streams.engine.transaction import Transactions
from tests.house.polling import wait_until
from tests.integration.streams.ground import RAW, EndedError, World


@pytest.fixture
def world(kafka_bootstrap: str, tmp_path: Path) -> World:
    return World(kafka_bootstrap, tmp_path)


async def test_a_zombies_transaction_cannot_commit_after_its_successor_began(world: World) -> None:
    zombie, successor = world.worker("a"), world.worker("b")
    await asyncio.to_thread(zombie.begin)
    zombie.add(0)
    await zombie.transactions.commit()
    zombie.add(1)
    await asyncio.to_thread(successor.begin)
    with pytest.raises(EndedError) as caught:
        await zombie.transactions.commit()
    assert "_FENCED" in repr(caught.value.__cause__) or "FENCED" in str(caught.value.__cause__)
    assert zombie.table.stands[RAW] == successor.table.stands[RAW] == Stand(1, 0)
    successor.add(1)
    await successor.transactions.commit()
    assert await asyncio.to_thread(world.written) == [b"0", b"1"]


class Slow(Transactions):
    """Commits when it is told to."""

    go, began = threading.Event(), threading.Event()

    def _commit_now(self) -> None:
        if self._sequence > 1:
            self.began.set()
            assert self.go.wait(60)
        super()._commit_now()


async def test_the_next_batch_is_decided_while_a_commit_runs_and_sees_what_it_writes(world: World) -> None:
    worker = world.worker(make=Slow)
    await asyncio.to_thread(worker.begin)
    worker.add(0)
    committing = asyncio.create_task(worker.transactions.commit())
    assert await asyncio.to_thread(Slow.began.wait, 60)
    assert worker.transactions.committing
    worker.add(1)
    assert worker.known(0, 1, 2) == [True, True, False]
    assert worker.table.stand(RAW) == Stand(2, 1)
    assert worker.table.stands == {}
    Slow.go.set()
    await committing
    assert worker.table.stands == {RAW: Stand(1, 0)}
    await worker.transactions.commit()
    assert worker.known(0, 1) == [True, True]
    assert await asyncio.to_thread(world.written) == [b"0", b"1"]


class Torn(FirstSeenTable):
    """Loses power between the commit and the disk."""

    def apply(self, *_: Any) -> None:
        raise OSError("no disk")


async def test_a_crash_between_commit_and_disk_is_healed_from_the_changelog(world: World) -> None:
    torn = world.worker()
    await asyncio.to_thread(torn.begin)
    torn.add(0)
    await torn.transactions.commit()
    torn.add(1)
    torn.table.__class__ = Torn
    with pytest.raises(EndedError):
        await torn.transactions.commit()
    torn.table.close()
    disk = FirstSeenTable("seen", world.folder / "disk")
    disk.open()
    assert disk.stands == {RAW: Stand(1, 0)}
    disk.close()
    again = world.worker()
    await asyncio.to_thread(again.begin)
    assert again.table.stands == {RAW: Stand(2, 1)}
    assert again.known(0, 1, 2) == [True, True, False]
    assert await asyncio.to_thread(world.written) == [b"0", b"1"]


async def test_an_open_transaction_of_a_dead_worker_leaves_nothing(world: World) -> None:
    dead = world.worker()
    await asyncio.to_thread(dead.begin)
    dead.add(0)
    dead.transactions._producer.flush(10)
    dead.table.close()
    again = world.worker()
    await asyncio.to_thread(again.begin)
    assert (again.table.stands, again.known(0)) == ({}, [False])
    assert await asyncio.to_thread(world.written) == []


async def test_a_wiped_disk_is_read_back_from_the_changelog(world: World) -> None:
    first = world.worker()
    await asyncio.to_thread(first.begin)
    for number in range(20):
        first.add(number)
        await first.transactions.commit()
    first.table.close()
    shutil.rmtree(world.folder / "disk")
    again = world.worker()
    assert await asyncio.to_thread(again.begin) >= 21
    assert again.table.stands == {RAW: Stand(20, 19)}
    assert again.known(0, 19, 20) == [True, True, False]


async def test_a_changelog_made_anew_is_written_from_the_disk_and_nothing_is_decided_twice(world: World) -> None:
    first = world.worker()
    await asyncio.to_thread(first.begin)
    for number in range(20):
        first.add(number)
    await first.transactions.commit()
    first.table.close()
    name = changelog(world.group)
    world.admin.delete_topics([name])[name].result(20)
    wait_until(lambda: name not in world.admin.list_topics(timeout=10).topics, 20, what="the changelog's end")
    world.changelog()
    again = world.worker()
    await asyncio.to_thread(again.begin)
    assert again.table.stands == {RAW: Stand(20, 19)}
    again.table.close()
    shutil.rmtree(world.folder / "disk")
    third = world.worker()
    assert await asyncio.to_thread(third.begin) >= 20 + CHANGELOG_PARTITIONS
    assert third.table.stands == {RAW: Stand(20, 19)}
    assert third.known(0, 19, 20) == [True, True, False]


async def test_a_changelog_that_lost_its_tail_is_written_from_the_disk(world: World) -> None:
    first = world.worker()
    await asyncio.to_thread(first.begin)
    first.add(0)
    await first.transactions.commit()
    lost = Writes()
    lost.stands[RAW] = Stand(9, 9)
    first.table.apply(lost, {0: 1_000_000})  # committed once, and the broker has no trace of it
    first.table.close()
    again = world.worker()
    await asyncio.to_thread(again.begin)
    assert (again.table.stands, again.known(0)) == ({RAW: Stand(9, 9)}, [True])
