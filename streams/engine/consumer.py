"""Faust's consumer with a batch path: whole fetched batches go to the agent, positions come from the changelog.

Lives here: draining, gaps and losses (rule 9), seeking at every assignment (rule 8). Not here: pause and resume
(holding.py), which topics (conductor.py), when transactions end (transaction.py). Private names of Faust: README.md.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from confluent_kafka import KafkaException
from faust.types import TP

from schemas.logs import logger
from streams.engine import thread
from streams.engine.chunks import chunks, contiguous
from streams.engine.directory import LiveTopic
from streams.engine.holding import HoldingConsumer
from streams.engine.rounds import Rounds
from streams.engine.sizes import Sizes
from streams.engine.table import Stand
from streams.engine.tails import Tails

if TYPE_CHECKING:
    from streams.engine.app import App

_log = logger(__name__)
_WAIT_S = 1.0


class BatchConsumer(HoldingConsumer):
    """Reads batches; `app` is our App. Everything runs on the event loop, aiokafka in Faust's consumer thread."""

    app: "App"

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 Faust's signature
        super().__init__(*args, **kwargs)
        self._expected: dict[TP, int] = {}
        self._reread: dict[TP, int] = {}
        self._undecided: set[TP] = set()
        self._tails = Tails(self)
        self.sizes = Sizes()
        self._rounds = Rounds(self.highwater, lambda: self._thread._consumer)  # noqa: SLF001 engine/README.md
        self._idle = asyncio.Event()
        self._idle.set()
        self._seeking = asyncio.Lock()

    async def _drain_messages(self, fetcher: Any) -> None:  # noqa: ANN401 Faust's Fetcher
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):  # noqa: SLF001 engine/README.md
                await self._fetch_again()
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
        """Decide what was fetched; partitions of which not all was decided are noted for `_fetch_again`."""
        going = self.flow_active and await self._recognised()
        for found, batch in sorted(records.items(), key=lambda entry: len(entry[1])):  # a backlog waits for a few
            tp = TP(found.topic, found.partition)
            going = going and self.flow_active and generation == self.app.consumer_generation_id
            if not going or not await self._batch(tp, batch):
                self._undecided.add(tp)

    async def _fetch_again(self) -> None:
        """Go back to where we stand in partitions of which something was fetched and not decided.

        A fetch that waits while partitions change brings what was sought in the new assignment, maybe before Faust
        resumes us: nothing else would seek that again, and a record that is the last of its log would wait for ever.
        """
        if not self._undecided:
            return
        if not self.flow_active:
            await self.wait(cast("Any", self.can_resume_flow))  # asyncio's Event, which mode takes
            if self.should_stop:
                return
        async with self._seeking:
            undecided, self._undecided = self._undecided, set()
            await self.seek_wait({tp: self._expected[tp] for tp in undecided if tp in self._expected})

    async def _recognised(self) -> bool:
        try:
            await self._recognise()
        except (KafkaException, TimeoutError) as exc:
            _log.warning("topics_not_recognised", error=str(exc))
            await self.sleep(_WAIT_S)
            return False
        return True

    async def _batch(self, tp: TP, records: list[Any]) -> bool:
        """Decide the records of a partition; False when some are not, and have to be fetched again."""
        topic = self.app.live.get(tp.topic)
        expected = self._expected.get(tp)
        if topic is None or expected is None or tp.topic in self._held:
            return False
        stand = self.app.table.stand((topic.topic_id, tp.partition))
        if stand is not None and stand.next_offset > expected:  # sought while a batch was decided: that one counts
            expected = self._expected[tp] = stand.next_offset
        if (records[0].offset < expected or self._tails.doubtful(tp)) and await self._cut(topic, tp):
            return False
        if records[0].offset < expected:
            records = [record for record in records if record.offset >= expected]
            if not records:
                return True
        if records[0].offset > expected:
            first = records[0].offset
            if self._reread.get(tp) != first:  # ask once more before believing a gap
                self._reread[tp] = first
                return False
            self._lost(topic, tp, expected, first, first)
        self.sizes.note(tp.topic, records)
        whole = contiguous(records)
        decided = await self._process(topic, tp, records[:whole])
        return decided and whole == len(records)  # what follows a hole is a gap by then

    async def _process(self, topic: LiveTopic, tp: TP, records: list[Any]) -> bool:
        self._idle.clear()
        at = 0
        try:
            for chunk in chunks(records):
                await self.app.process(topic, tp.partition, chunk)
                self._expected[tp] = at = chunk[-1].offset + 1
                await asyncio.sleep(0)
                if not self.flow_active:
                    break
        finally:
            self._idle.set()
        return bool(at > records[-1].offset)

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
        """Write off what a log has lost of what was decided; tell whether it was so: we stand where it is new then."""
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
            return True

    async def _end_of(self, tp: TP, stand: Stand) -> int:
        """Return where the log that was read ends now: what is younger than it is asked last, for it may just come."""
        end = await self._tails.believed_end(tp, stand.next_offset)
        end = min(end, (await self._tails.rewritten({tp: stand})).get(tp, stand.next_offset))
        if end < stand.next_offset:  # a topic made anew meanwhile looks like one that was cut
            await self._recognise(again=True)
        return end

    def _lost(self, topic: LiveTopic, tp: TP, start: int, end: int, next_offset: int) -> None:
        where = {"topic": tp.topic, "topic_id": topic.topic_id, "partition": tp.partition}
        _log.error("records_lost", first=start, next=end, goes_on_at=next_offset, **where)
        self.app.agent_of_topics.lost(topic, tp.partition, start, end, next_offset)
        self._expected[tp] = next_offset

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

    @property
    def expected(self) -> Mapping[TP, int]:
        """Return the next offset of each partition that is assigned."""
        return self._expected

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
