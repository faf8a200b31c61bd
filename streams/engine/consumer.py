"""Faust's consumer with a batch path: whole fetched batches go to the agent, positions come from the changelog.

Lives here: draining, gaps and losses (rule 9), seeking at every assignment (rule 8), pause and resume. Not here: which
topics (conductor.py), when transactions end (transaction.py). Private names of Faust: README.md beside this file.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from schemas.logs import logger
from streams.engine import thread
from streams.engine.chunks import chunks, contiguous
from streams.engine.directory import LiveTopic
from streams.engine.rounds import Rounds
from streams.engine.sizes import Sizes
from streams.engine.table import Stand
from streams.engine.tails import Tails

if TYPE_CHECKING:
    from streams.engine.app import App

_log = logger(__name__)
_WAIT_S = 1.0
_END_ASKS = 6
_END_PAUSE_S = 0.5


class BatchConsumer(driver.Consumer):
    """Reads batches; `app` is our App. Everything runs on the event loop, aiokafka in Faust's consumer thread."""

    app: "App"

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 Faust's signature
        super().__init__(*args, **kwargs)
        self._expected: dict[TP, int] = {}
        self._reread: dict[TP, int] = {}
        self._decided: dict[TP, int] = {}
        self._held: frozenset[str] = frozenset()
        self._tails = Tails(self)
        self.sizes = Sizes()
        self._rounds = Rounds(self.highwater, lambda: self._thread._consumer)  # noqa: SLF001 engine/README.md
        self._idle = asyncio.Event()
        self._idle.set()
        self._seeking = asyncio.Lock()

    async def _drain_messages(self, fetcher: Any) -> None:  # noqa: ANN401 Faust's Fetcher
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):  # noqa: SLF001 engine/README.md
                records, _ = await self._wait_next_records(_WAIT_S)
                generation = self.app.consumer_generation_id
                await asyncio.sleep(0)
                if records and not self.should_stop:
                    self._rounds.begin()
                    await self._take(records, generation)
                    await asyncio.sleep(self._rounds.over(records, len(self._expected)))
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise
        except Exception as exc:  # noqa: BLE001 a bug: nothing of this batch was written
            self.app.end("the stage failed", exc)

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ANN401, ASYNC109 Faust's signature
        return await thread.take(self._thread, active_partitions or (), self._rounds.share, timeout)

    async def _take(self, records: Mapping[Any, list[Any]], generation: int) -> None:
        if not self.flow_active:  # dropped: the next assignment seeks to where we stand, else the gap is read again
            return
        try:
            await self._recognise()
        except (KafkaException, TimeoutError) as exc:  # fetched again: a gap is read once more before it is believed
            _log.warning("topics_not_recognised", error=str(exc))
            return
        for found, batch in sorted(records.items(), key=lambda entry: len(entry[1])):  # a backlog waits for a few
            if not self.flow_active or generation != self.app.consumer_generation_id:
                break
            await self._batch(TP(found.topic, found.partition), batch)

    async def _batch(self, tp: TP, records: list[Any]) -> None:
        topic = self.app.live.get(tp.topic)
        expected = self._expected.get(tp)
        if topic is None or expected is None:
            return
        stand = self.app.table.stand((topic.topic_id, tp.partition))
        if stand is not None and stand.next_offset > expected:  # sought while a batch was decided: that one counts
            expected = stand.next_offset
        if (records[0].offset < expected or self._tails.doubtful(tp)) and await self._cut(topic, tp):
            return
        if records[0].offset < expected:
            records = [record for record in records if record.offset >= expected]
            if not records:
                return
        if records[0].offset > expected:
            first = records[0].offset
            if self._reread.get(tp) != first:  # ask once more before believing a gap
                self._reread[tp] = first
                await self.seek_wait({tp: expected})
                return
            self._lost(topic, tp, expected, first, first)
        self.sizes.note(tp.topic, records)
        whole = contiguous(records)
        await self._process(topic, tp, records[:whole])
        if whole < len(records) and self.flow_active:  # a hole: what follows it is fetched again, a gap by then
            await self.seek_wait({tp: self._expected[tp]})

    async def _process(self, topic: LiveTopic, tp: TP, records: list[Any]) -> None:
        self._idle.clear()
        try:
            for chunk in chunks(records):
                await self.app.process(topic, tp.partition, chunk)
                self._expected[tp] = chunk[-1].offset + 1
                await asyncio.sleep(0)
                if not self.flow_active:
                    break
        finally:
            self._idle.set()

    async def perform_seek(self) -> None:
        """Commit what is open, then seek every assigned partition to where the changelog says the stage stands.

        Faust asks for it after each assignment, before anything of it is taken.
        """
        async with self._seeking:
            await self._seek_assigned()

    async def _recognise(self, *, again: bool = False) -> None:
        """End the process when a topic was made anew under its name: what is fetched is not what we stand in."""
        if changed := await self._tails.made_anew(again=again):
            await self.app.transactions.commit()
            self.app.end(f"topics made anew: {changed}", None)

    async def _seek_assigned(self) -> None:
        await self.app.transactions.commit()
        assigned = [tp for tp in self.assignment() if tp.topic in self.app.live]
        if not assigned:
            return
        await self._recognise(again=True)
        stands = {tp: self.app.table.stand((self.app.live[tp.topic].topic_id, tp.partition)) for tp in assigned}
        starts = await self.earliest_offsets(*assigned)
        ends = await self.highwaters(*assigned)  # before the times: what comes in between must not hide a cut
        rewritten = await self._tails.rewritten({tp: stand for tp, stand in stands.items() if stand is not None})
        wanted: dict[TP, int] = {}
        for tp in assigned:
            topic = self.app.live[tp.topic]
            stand = stands[tp]
            at, start = 0 if stand is None else stand.next_offset, int(starts.get(tp) or 0)
            if at < start:
                self._lost(topic, tp, at, start, start)
                at = start
            elif stand is not None and (at > int(ends.get(tp) or 0) or tp in rewritten):
                end = await self._end_of(tp, stand)
                if end < at:
                    self._lost(topic, tp, end, at, end)
                    at = end
            wanted[tp] = at
        await self.seek_wait(wanted)
        self._expected = dict(wanted)
        self._rounds.tell()  # a consumer may be new
        self._decided.update(wanted)  # what was not told before partitions went is told now
        self._reread.clear()
        _log.info("positions_taken", partitions=len(wanted))

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek what is assigned; without an assignment nothing is: the one that is being made seeks anew.

        Look and seek are one step of the consumer's thread, where a subscription to other topics drops the assignment.
        """
        await thread.seek(self._thread, partitions)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek as `perform_seek` does: the group's offsets are for lag tools only."""
        await self.perform_seek()
        return dict(self._expected)

    async def _cut(self, topic: LiveTopic, tp: TP) -> bool:
        """Write off what a log has lost of what was decided, and go back to where it is new; tell whether it was so."""
        async with self._seeking:
            stand = self.app.table.stand((topic.topic_id, tp.partition))
            if stand is None:
                self._tails.trust([tp])
                return False
            at, end = stand.next_offset, await self._end_of(tp, stand)
            if end >= at:
                return False
            await self.app.transactions.commit()
            self._lost(topic, tp, end, at, end)
            await self.seek_wait({tp: end})
            return True

    async def _end_of(self, tp: TP, stand: Stand) -> int:
        """Return where the log that was read ends now: what is younger than it is asked last, for it may just come."""
        end = await self._believed_end(tp, stand.next_offset)
        end = min(end, (await self._tails.rewritten({tp: stand})).get(tp, stand.next_offset))
        if end < stand.next_offset:  # a topic made anew meanwhile looks like one that was cut
            await self._recognise(again=True)
        return end

    async def _believed_end(self, tp: TP, at: int) -> int:
        """Ask for the end of a log again and again: a new leader may tell a stale, lower one for a moment."""
        end = 0
        for _ in range(_END_ASKS):
            end = max(end, int((await self.highwaters(tp)).get(tp) or 0))
            if end >= at:
                break
            await self.sleep(_END_PAUSE_S)
        return end

    def _lost(self, topic: LiveTopic, tp: TP, start: int, end: int, next_offset: int) -> None:
        where = {"topic": tp.topic, "topic_id": topic.topic_id, "partition": tp.partition}
        _log.error("records_lost", first=start, next=end, goes_on_at=next_offset, **where)
        self.app.agent_of_topics.lost(topic, tp.partition, start, end, next_offset)
        self._expected[tp] = next_offset

    # ---- group offsets: decoration for lag tools, written by Faust's own commit timer
    def committed(self, offsets: Mapping[TP, int]) -> None:
        """Tell which offsets a transaction has committed."""
        self._decided.update(offsets)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:  # noqa: ANN401 Faust's signature
        yield from (tp for tp in list(self._decided) if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._decided.pop(tp, None)

    async def evict(self, members: Iterable[str]) -> None:
        """Take dead predecessors out of the group before joining it, which would wait out their session otherwise.

        The group has one process: whoever is a member now was fenced when our transactions began (rule 8).
        """
        await thread.evict(self._thread, self.app.conf.id, members)

    # ---- standing still
    async def commit_all(self) -> None:
        """Take nothing more, let the running batch end, commit its transaction."""
        self.stop_flow()
        await self._idle.wait()
        await self.app.transactions.commit()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit before partitions go."""
        await self.commit_all()
        for tp in revoked:
            self._decided.pop(tp, None)
            self._expected.pop(tp, None)
        await super().on_partitions_revoked(revoked)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Resume partitions but those of paused topics: Faust resumes all after a rebalance."""
        super().resume_partitions({tp for tp in tps if tp.topic not in self._held})

    @property
    def expected(self) -> Mapping[TP, int]:
        """Return the next offset of each partition that is assigned."""
        return self._expected

    @property
    def held(self) -> frozenset[str]:
        """Return the topics that are paused."""
        return self._held

    def hold(self, paused: Iterable[str]) -> None:
        """Pause exactly these topics, without a rebalance."""
        before, self._held = self._held, frozenset(paused)
        if before == self._held:
            return
        _log.info("topics_held", topics=sorted(self._held))
        assigned = self.assignment()
        self.pause_partitions({tp for tp in assigned if tp.topic in self._held})
        super().resume_partitions({tp for tp in assigned if tp.topic in before - self._held})

    def lag(self) -> int:
        """Return the records not yet decided, by the high watermarks that fetches have told."""
        ends = ((self.end(tp), at) for tp, at in self._expected.items())
        return sum(max(0, end - at) for end, at in ends if end is not None)

    def end(self, tp: TP) -> int | None:
        """Return the end of a log as the last fetch told it; None: none did, or it is not assigned just now."""
        try:
            told = self.highwater(tp)
        except AssertionError:  # aiokafka's way to say that it is not assigned
            return None
        return None if told is None else int(told)
