"""What a stage remembers of a deleted tenant goes, in changelog and on disk, and nothing else does (rule 25)."""

import asyncio
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from streams import seen
from streams.engine import forget
from streams.engine.forget import Forgetting, Forgotten
from streams.engine.table import FirstSeenTable, Stand, Writes, position_key
from tests.unit.streams.made import TOPIC_ID
from tests.unit.streams.test_table import state
from tests.unit.streams.test_transaction import Producer, transactions

OTHER_TOPIC = "B" * 22
GONE, STAYS = (TOPIC_ID, 0), (OTHER_TOPIC, 0)


def event(number: int) -> str:
    return f"00000000-0000-5000-8000-{number:012d}"


@pytest.fixture
def table(tmp_path: Path) -> Iterator[FirstSeenTable]:
    """A table with eleven states of the source "goes", three of "stays", and a stand of either's topic."""
    made = FirstSeenTable("seen", tmp_path)
    made.open()
    writes = Writes()
    for source, count in (("goes", 11), ("stays", 3)):
        writes.states |= {seen.key(source, event(number)): state(1).pack() for number in range(count)}
    writes.stands = {GONE: Stand(5, 1), STAYS: Stand(7, 1)}
    made.apply(writes, {})
    made.committed(writes)
    yield made
    made.close()


async def run(table: FirstSeenTable, forgetting: Forgetting, reads: list[bool]) -> Producer:
    made, producer = transactions(table)
    producer.calls.clear()

    def still(topic_ids: Collection[str]) -> bool:
        assert set(topic_ids) == {TOPIC_ID}
        return reads.pop() if reads else False

    while forgetting.asked:
        await forgetting.step(table, made, still)
        await asyncio.sleep(0)
    return producer


async def test_states_and_stands_go_in_portions_from_changelog_and_disk(
    table: FirstSeenTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "PORTION", 4)
    forgetting, told = Forgetting(), list[int]()
    asked = asyncio.create_task(asyncio.to_thread(forgetting.ask, ["goes", "never"], [TOPIC_ID], told.append, 0.01))
    while not forgetting.asked:
        await asyncio.sleep(0)
    producer = await run(table, forgetting, reads=[True, True])
    assert await asked == Forgotten(states=11, stands=1)
    left = {key for key, _ in table.everything()}
    assert left == {seen.key("stays", event(number)) for number in range(3)} | {position_key(STAYS)}
    assert table.stands == {STAYS: Stand(7, 1)}
    assert set(producer.buried) == {seen.key("goes", event(number)) for number in range(11)} | {position_key(GONE)}
    assert producer.calls.count("commit") == 4, "eleven states in portions of four, then the stands"
    table.close()
    table.open()
    assert table.stands == {STAYS: Stand(7, 1)}


async def test_nothing_is_forgotten_while_its_topic_is_read(table: FirstSeenTable) -> None:
    forgetting, asked = Forgetting(), threading.Event()

    def alive(_states: int) -> None:
        asked.set()
        raise RuntimeError("given up")

    waiting = asyncio.create_task(asyncio.to_thread(forgetting.ask, ["goes"], [TOPIC_ID], alive, 0.01))
    made, producer = transactions(table)
    producer.calls.clear()
    while not asked.is_set():
        await forgetting.step(table, made, lambda _topic_ids: True)
        await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="given up"):
        await waiting
    await forgetting.step(table, made, lambda _topic_ids: False)
    assert producer.calls == [], "who has given up is not served any more"
    assert not forgetting.asked
    assert table.stands == {GONE: Stand(5, 1), STAYS: Stand(7, 1)}


def test_a_stand_that_was_buried_is_gone_when_the_changelog_is_read_back(table: FirstSeenTable) -> None:
    table.restore([(position_key(GONE), None)], {0: 9})
    assert table.stands == {STAYS: Stand(7, 1)}
    table.close()
    table.open()
    assert table.stands == {STAYS: Stand(7, 1)}
