"""What the reader does with fetched batches: gaps, holes, logs that were cut, assignments, pause (rules 8, 9 and 11).

The reader's own code over a log in memory; Faust's part, fetching and the group, is replaced.
"""

import asyncio
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from confluent_kafka import KafkaError, KafkaException
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.engine.consumer import BatchConsumer
from streams.engine.table import Stand
from streams.engine.tails import END_ASKS
from streams.engine.tails import Tails as RealTails
from tests.unit.streams.test_ingest import TOPIC

RAW = TP(str(TOPIC.name), 0)
OTHER = TP(str(TOPIC.name), 1)
Did = tuple[Any, ...]


class EndedError(Exception):
    """The process would have ended."""


class Tails:
    """Answers what a test gives."""

    believed_end = RealTails.believed_end

    def __init__(self, reader: "Reader") -> None:
        self._consumer, self._did = reader, reader.did
        self.in_doubt, self.new_from, self.anew = False, dict[TP, int](), list[str]()
        self.trusted = list[TP]()
        self.away: Exception | None = None

    def doubtful(self, _tp: TP) -> bool:
        return self.in_doubt

    def trust(self, tps: list[TP]) -> None:
        self.trusted += tps

    async def rewritten(self, stands: Mapping[TP, Stand]) -> dict[TP, int]:
        return {tp: at for tp, at in self.new_from.items() if tp in stands}

    async def made_anew(self, *, again: bool = False) -> list[str]:
        if self.away is not None:
            raise self.away
        self._did.append(("recognised", again))
        return self.anew if again else []


class Reader(BatchConsumer):
    """Notes what it does, in order, in `did`."""

    def __init__(self, stands: dict[TP, int]) -> None:
        super().__init__()
        self.did: list[Did] = []
        self.stands = {(TOPIC.topic_id, tp.partition): Stand(at, 7) for tp, at in stands.items()}
        self.starts, self.ends = dict[TP, int](), dict[TP, list[int]]()
        self.while_deciding: Callable[[], Any] | None = None
        self._thread = SimpleNamespace(_consumer=None, highwater=lambda _tp: None)  # type: ignore[assignment]
        self.tails = self._tails = Tails(self)  # type: ignore[assignment]
        self._expected = dict(stands)
        self.flow_active, self.can_resume_flow = True, asyncio.Event()
        self._stopped, self._crashed = asyncio.Event(), asyncio.Event()  # type: ignore[assignment]
        self.app = SimpleNamespace(  # type: ignore[assignment]
            live={RAW.topic: TOPIC}, table=SimpleNamespace(stand=self.stands.get), process=self._decide, end=self._end,
            agent_of_topics=SimpleNamespace(lost=self._noted), consumer_generation_id=1,
            transactions=SimpleNamespace(commit=self._kept),
        )  # fmt: skip

    async def _decide(self, _topic: Any, partition: int, records: Any) -> None:
        self.did.append(("decided", *(record.offset for record in records)))
        if self.while_deciding is not None:
            await self.while_deciding()
        self.stands[TOPIC.topic_id, partition] = Stand(records[-1].offset + 1, 7)

    def _noted(self, _topic: Any, partition: int, start: int, end: int, next_offset: int) -> None:
        self.did.append(("lost", start, end, next_offset))
        self.stands[TOPIC.topic_id, partition] = Stand(next_offset, 7)

    def _end(self, why: str, _cause: BaseException | None) -> NoReturn:
        raise EndedError(why)

    async def _kept(self) -> None:
        self.did.append(("committed",))

    async def sleep(self, _seconds: Any) -> None:
        self.did.append(("waited",))

    async def wait(self, *coros: Any, **_more: Any) -> Any:
        self.did.append(("waited for the flow",))
        await coros[0].wait()

    def stop_flow(self) -> None:
        self.flow_active = False
        self.can_resume_flow.clear()

    def resume_flow(self) -> None:
        self.flow_active = True
        self.can_resume_flow.set()

    def assignment(self) -> Any:
        return {RAW}

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        self.did.extend(("sought", at) for at in partitions.values())

    async def earliest_offsets(self, *partitions: TP) -> Any:
        return {tp: self.starts.get(tp, 0) for tp in partitions}

    async def highwaters(self, *partitions: TP) -> Any:
        """Return the ends, the last of them again and again; a million where none is given."""
        ends = {tp: self.ends.get(tp, [1_000_000]) for tp in partitions}
        return {tp: told.pop(0) if len(told) > 1 else told[0] for tp, told in ends.items()}

    async def take(self, *offsets: int, generation: int = 1) -> list[Did]:
        """Take a fetched batch, up to the next fetch; return what was done but for looking at topic ids."""
        before = len(self.did)
        await self._take({RAW: fetched(*offsets)}, generation)
        await self._fetch_again()
        return [one for one in self.did[before:] if one != ("recognised", False)]


def fetched(*offsets: int) -> list[Any]:
    return [SimpleNamespace(partition=0, offset=at, value=b"", timestamp=1, headers=()) for at in offsets]


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Return a reader that stands at offset 5 of a log that begins with 0."""
    monkeypatch.setattr(driver.Consumer, "__init__", lambda _self: None)
    return Reader({RAW: 5})


async def test_what_follows_is_decided(reader: Reader) -> None:
    assert await reader.take(5, 6) == [("decided", 5, 6)]
    assert await reader.take(7) == [("decided", 7)]


# ---- gaps, holes, what was fetched before
async def test_a_gap_is_read_once_more_before_it_is_believed(reader: Reader) -> None:
    assert await reader.take(8, 9) == [("sought", 5)]
    assert await reader.take(5, 6, 7, 8) == [("decided", 5, 6, 7, 8)]


async def test_a_gap_that_is_there_again_is_lost_with_its_range_and_what_follows_is_decided(reader: Reader) -> None:
    await reader.take(8, 9)
    assert await reader.take(8, 9) == [("lost", 5, 8, 8), ("decided", 8, 9)]


async def test_another_gap_is_read_once_more_too(reader: Reader) -> None:
    await reader.take(8)
    assert await reader.take(9) == [("sought", 5)]
    assert await reader.take(9) == [("lost", 5, 9, 9), ("decided", 9)]


async def test_records_are_decided_up_to_a_hole_and_the_rest_is_read_again(reader: Reader) -> None:
    assert await reader.take(5, 6, 9) == [("decided", 5, 6), ("sought", 7)]


async def test_records_that_were_decided_before_are_passed_over(reader: Reader) -> None:
    assert await reader.take(3, 4, 5, 6) == [("decided", 5, 6)]
    assert await reader.take(5, 6) == []


async def test_where_the_stage_stands_counts_when_it_was_sought_while_a_batch_was_decided(reader: Reader) -> None:
    reader._expected[RAW] = 3
    assert await reader.take(5) == [("decided", 5)]
    reader._expected[RAW] = 3
    assert await reader.take(8) == [("sought", 6)]


async def test_nothing_is_decided_while_it_is_not_known_whether_topics_were_made_anew(reader: Reader) -> None:
    reader.tails.away = KafkaException(KafkaError(KafkaError._TRANSPORT))
    assert await reader.take(5) == [("waited",), ("sought", 5)]
    reader.tails.away = None
    assert await reader.take(5) == [("decided", 5)]


async def test_whatever_fails_while_a_batch_is_taken_ends_the_process(reader: Reader) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def next_records(_timeout: float) -> Any:
        return {RAW: fetched(5)}, None

    reader.while_deciding = fail
    reader._wait_next_records = next_records  # type: ignore[method-assign, assignment]
    with pytest.raises(EndedError, match="the stage failed"):
        await reader._drain_messages(SimpleNamespace(_stopped=asyncio.Event()))


# ---- what was fetched and not decided is fetched again: it may be the last of its log, and nothing else tells of it
async def test_what_came_between_the_seek_of_an_assignment_and_its_resumption_is_fetched_again(reader: Reader) -> None:
    reader.stop_flow()
    await reader.perform_seek()
    await reader._take({RAW: fetched(5)}, 1)
    assert reader.did[-1] == ("sought", 5)
    again = asyncio.create_task(reader._fetch_again())
    await asyncio.sleep(0)
    assert reader.did.pop() == ("waited for the flow",)
    reader.resume_flow()
    await again
    assert reader.did[-2:] == [("sought", 5), ("sought", 5)]
    assert await reader.take(5) == [("decided", 5)]


async def test_what_came_before_the_reader_knows_where_it_stands_is_fetched_again_when_it_does(reader: Reader) -> None:
    del reader._expected[RAW]
    async with reader._seeking:  # as an assignment's seek does, up to its end
        await reader._take({RAW: fetched(5)}, 1)
        again = asyncio.create_task(reader._fetch_again())
        await asyncio.sleep(0)
        reader._expected[RAW] = 5
    await again
    assert reader.did[-1] == ("sought", 5)


async def test_a_batch_of_another_assignment_is_not_decided_but_fetched_again(reader: Reader) -> None:
    assert await reader.take(5, generation=0) == [("sought", 5)]


async def test_what_a_stop_leaves_of_a_batch_is_fetched_again(reader: Reader) -> None:
    async def stop() -> None:
        reader.stop_flow()

    reader.while_deciding = stop
    await reader._take({RAW: fetched(*range(5, 305))}, 1)
    reader.resume_flow()
    await reader._fetch_again()
    assert reader.did[-1] == ("sought", 205)


async def test_nothing_of_a_topic_that_was_paused_meanwhile_is_decided_and_it_is_fetched_again(reader: Reader) -> None:
    reader._held = frozenset({RAW.topic})
    assert await reader.take(5) == [("sought", 5)]


async def test_nothing_is_sought_in_partitions_that_went(reader: Reader) -> None:
    await reader._take({RAW: fetched(5)}, 0)
    del reader._expected[RAW]
    await reader._fetch_again()
    assert ("sought", 5) not in reader.did


async def test_what_was_not_decided_is_sought_before_the_next_fetch_and_nothing_once_all_was(reader: Reader) -> None:
    fetches = [{RAW: fetched(6)}, {RAW: fetched(5, 6)}, {}]

    async def next_records(_timeout: float) -> Any:
        reader.did.append(("fetched",))
        if not fetches:
            reader._stopped.set()
        return fetches.pop(0) if fetches else {}, None

    reader._wait_next_records = next_records  # type: ignore[method-assign, assignment]
    await reader._drain_messages(SimpleNamespace(_stopped=asyncio.Event()))
    assert [one for one in reader.did if one[0] != "recognised"] == [
        ("fetched",), ("sought", 5), ("fetched",), ("decided", 5, 6), ("fetched",), ("fetched",),
    ]  # fmt: skip


# ---- logs that lost their tail
async def test_what_comes_over_another_connection_is_looked_at_before_it_is_decided(reader: Reader) -> None:
    reader.tails.in_doubt, reader.tails.new_from = True, {RAW: 3}
    assert await reader.take(5, 6) == [("recognised", True), ("committed",), ("lost", 3, 5, 3), ("sought", 3)]
    reader.tails.in_doubt = False
    assert await reader.take(3, 4) == [("decided", 3, 4)]


async def test_records_from_before_the_position_tell_that_the_log_was_cut(reader: Reader) -> None:
    reader.ends[RAW] = [4]
    assert [one for one in await reader.take(3) if one != ("waited",)] == [
        ("recognised", True), ("committed",), ("lost", 4, 5, 4), ("sought", 4),
    ]  # fmt: skip


async def test_an_end_before_the_position_is_not_believed_at_once(reader: Reader) -> None:
    reader.tails.in_doubt, reader.ends[RAW] = True, [2, 2, 2, 2, 2, 6]
    assert await reader.take(5) == [("waited",)] * 5 + [("decided", 5)]


async def test_of_the_ends_that_were_told_the_highest_is_believed(reader: Reader) -> None:
    """Found by the simulation (seed 13727): the last answer was a stale one, and what is there was written off."""
    reader.tails.in_doubt, reader.ends[RAW] = True, [2, 4, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]
    assert [one for one in await reader.take(5) if one[0] == "lost"] == [("lost", 4, 5, 4)]


async def test_a_topic_made_anew_is_not_taken_for_a_log_that_was_cut(reader: Reader) -> None:
    reader.tails.in_doubt, reader.tails.new_from, reader.tails.anew = True, {RAW: 0}, [RAW.topic]
    with pytest.raises(EndedError, match="made anew"):
        await reader.take(5)
    assert not [one for one in reader.did if one[0] == "lost"]


async def test_a_partition_that_nothing_was_read_of_is_trusted(reader: Reader) -> None:
    reader.stands.clear()
    reader._expected[RAW], reader.tails.in_doubt = 0, True
    assert await reader.take(0) == [("decided", 0)]
    assert reader.tails.trusted == [RAW]


# ---- assignments
async def test_an_assignment_commits_first_and_goes_on_where_the_stage_stands(reader: Reader) -> None:
    reader._expected, reader._reread[RAW] = {RAW: 1}, 9
    await reader.perform_seek()
    assert reader.did == [("committed",), ("recognised", True), ("sought", 5)]
    assert (reader._expected, reader._reread) == ({RAW: 5}, {})
    assert await reader.seek_to_committed() == {RAW: 5}


async def test_what_expired_before_an_assignment_is_lost(reader: Reader) -> None:
    reader.starts[RAW] = 8
    await reader.perform_seek()
    assert reader.did[2:] == [("lost", 5, 8, 8), ("sought", 8)]


async def test_a_position_beyond_the_end_is_lost_and_the_end_asked_for_again_and_again(reader: Reader) -> None:
    reader.ends[RAW] = [3]
    await reader.perform_seek()
    assert reader.did.count(("waited",)) == END_ASKS
    assert reader.did[-3:] == [("recognised", True), ("lost", 3, 5, 3), ("sought", 3)]


async def test_a_log_that_is_past_the_position_again_is_found_cut_at_an_assignment(reader: Reader) -> None:
    reader.tails.new_from = {RAW: 2}
    await reader.perform_seek()
    assert reader.did[-2:] == [("lost", 2, 5, 2), ("sought", 2)]


async def test_a_topic_made_anew_ends_the_process_at_an_assignment_before_anything_is_lost(reader: Reader) -> None:
    reader.tails.anew, reader.starts[RAW] = [RAW.topic], 8
    with pytest.raises(EndedError, match="made anew"):
        await reader.perform_seek()
    assert not [one for one in reader.did if one[0] == "lost"]


# ---- standing still
async def test_standing_still_ends_the_running_batch_commits_and_takes_no_more(reader: Reader) -> None:
    deciding, go = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        deciding.set()
        await go.wait()

    reader.while_deciding = wait
    taking = asyncio.create_task(reader._take({RAW: fetched(*range(5, 305))}, 1))
    await deciding.wait()
    still = asyncio.create_task(reader.commit_all())
    for _ in range(10):
        await asyncio.sleep(0)
    assert ("committed",) not in reader.did
    go.set()
    await taking
    await still
    assert [one[0] for one in reader.did] == ["recognised", "decided", "committed"]
    assert reader._expected[RAW] == 205


async def test_partitions_that_go_are_committed_first_and_forgotten(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def revoked(self: Reader, _tps: set[TP]) -> None:
        self.did.append(("revoked",))

    monkeypatch.setattr(driver.Consumer, "on_partitions_revoked", revoked)
    reader.committed({RAW: 5, OTHER: 1})
    await reader.on_partitions_revoked({RAW})
    assert reader.did == [("committed",), ("revoked",)]
    assert (reader._expected, list(reader._filter_tps_with_pending_acks())) == ({}, [OTHER])


def test_paused_topics_stay_paused_when_faust_resumes_all(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    def paused(self: Reader, tps: Any) -> None:
        self.did.append(("paused", set(tps)))

    def resumed(self: Reader, tps: Any) -> None:
        self.did.append(("resumed", set(tps)))

    monkeypatch.setattr(driver.Consumer, "pause_partitions", paused)
    monkeypatch.setattr(driver.Consumer, "resume_partitions", resumed)
    elsewhere = TP("another", 0)
    reader.hold([RAW.topic])
    reader.resume_partitions({RAW, elsewhere})
    reader.hold([RAW.topic])
    reader.hold([])
    assert reader.did == [
        ("paused", {RAW}), ("resumed", set()), ("resumed", {elsewhere}), ("paused", set()), ("resumed", {RAW}),
    ]  # fmt: skip
