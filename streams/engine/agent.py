"""The batch agent: an async generator over batches of one partition, whose yields go into the open transaction.

Lives here: handing batches to the agent, taking what it yields, all or nothing a raw record. Not here: what it decides.
The idiom is Faust's (https://faust-streaming.github.io/faust/userguide/agents.html), by the batch instead of the event.
"""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from schemas.definitions.view import EMPTY, Snapshot
from schemas.reasons import Outcome
from schemas.topics import range_partition
from schemas.tracing import OFF, Tracer
from schemas.wire import ledger as ledger_wire
from schemas.wire.raw import RawRecord
from streams.account import Account
from streams.emit import Decided, Place, Record
from streams.engine import headed
from streams.engine.directory import LiveTopic
from streams.engine.table import FirstSeenTable, Partition, Stand
from streams.engine.transaction import Transactions
from streams.roles import Roles

_MOST_WRITTEN = 4
"""What one decision adds at most beside runs: the clean event, two that it resolves, its state; its ledger entry."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one raw partition in order; `time_ms` is partition time before the first of them.

    `roles`: what its clean events meet, None for nothing.
    """

    topic: LiveTopic
    place: Place
    records: tuple[RawRecord, ...]
    time_ms: int
    roles: Roles | None = None

    @property
    def partition(self) -> Partition:
        """Return (topic id, partition)."""
        return self.place.topic_id, self.place.partition

    @property
    def stand(self) -> Stand:
        """Return where the stage stands after this batch."""
        newest = max(record.timestamp_ms for record in self.records)
        return Stand(self.records[-1].offset + 1, max(self.time_ms, newest))


Agent = Callable[["Batches"], AsyncIterator[list[Decided]]]
"""Yields what became of a batch, a list each, or several for its parts, whole records each. Lists are taken over."""


class Batches:
    """What a batch agent iterates over; asking for the next batch says that the one before is decided."""

    def __init__(self, write: Callable[[Batch], Awaitable[None]]) -> None:
        self._write = write
        self._batch: Batch | None = None
        self._next: asyncio.Future[Batch] | None = None
        self._done: asyncio.Future[None] | None = None

    def __aiter__(self) -> "Batches":
        """Return itself."""
        return self

    async def __anext__(self) -> Batch:
        """Wait for the next batch."""
        if self._batch is not None and self._done is not None:
            batch, self._batch = self._batch, None
            await self._write(batch)
            self._done.set_result(None)
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        self._batch = await self._next
        self._next = None
        return self._batch

    @property
    def batch(self) -> Batch | None:
        """Return the batch that is being decided."""
        return self._batch

    async def hand(self, batch: Batch) -> None:
        """Hand over a batch and return when it is decided."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        done = self._done = asyncio.get_running_loop().create_future()
        self._next.set_result(batch)
        await done


class Ledger:
    """The accounts of the open transaction, one a raw partition; written when it closes (rule 14)."""

    def __init__(
        self,
        transactions: Transactions,
        *,
        group: str,
        now_us: Callable[[], int],
        count: Callable[[dict[str, int]], None],
        note: Callable[[dict[str, tuple[int, int]]], None] = lambda _failures: None,
        reasons: Callable[[dict[str, int]], None] = lambda _reasons: None,
        registry: Callable[[], Snapshot] = lambda: EMPTY,
    ) -> None:
        self._transactions, self._group, self._registry = transactions, group, registry
        self._now_us, self.count, self._note, self._reasons = now_us, count, note, reasons
        self._open: dict[Partition, Account] = {}

    def account(self, topic: LiveTopic, partition: int, first: int) -> Account:
        """Return the open account of a raw partition, opened at offset `first` when there is none."""
        key = (topic.topic_id, partition)
        account = self._open.get(key)
        if account is None:
            account = self._open[key] = Account(first)
            self._transactions.at_close(lambda: self._close(key, topic, partition))
        return account

    def _close(self, key: Partition, topic: LiveTopic, partition: int) -> list[Record]:
        account = self._open.pop(key)
        self.count(account.outcomes())
        self._note(account.failures())
        self._reasons(account.reasons())
        record = account.record(str(topic.name), topic.topic_id, partition, self._group, self._now_us())
        where = f"{topic.name}:{partition}".encode()
        number = range_partition(where, *ledger_range(self._registry(), topic), topic.ledger_partitions)
        return [Record(topic.ledger, number, where, ledger_wire.encode(record))]


class BatchAgent:
    """Runs one agent for the life of the process; `process` is called by the consumer, one batch at a time."""

    def __init__(
        self,
        name: str,
        fun: Agent,
        *,
        transactions: Transactions,
        ledger: Ledger,
        table: FirstSeenTable,
        runs: Callable[[str], int] = lambda _tenant: 0,
        tracer: Tracer = OFF,
    ) -> None:
        self.name, self._runs, self._tracer = name, runs, tracer
        self._began = 0.0
        self._fun, self._transactions, self._ledger, self._table = fun, transactions, ledger, table
        self._batches = Batches(self._write)
        self._yielded: list[Decided] = []
        self._rest: Batch | None = None
        self._task: asyncio.Task[None] | None = None

    async def process(self, topic: LiveTopic, partition: int, records: tuple[RawRecord, ...]) -> None:
        """Decide records and put everything about them into the open transaction. An error ends the process."""
        await self._transactions.room()
        if self._tracer.enabled:
            self._began = self._tracer.moment()
        stand = self._table.stand((topic.topic_id, partition))
        batch = Batch(topic, topic.place(partition), records, stand.time_ms if stand else 0)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"agent-{self.name}")
        handed = asyncio.ensure_future(self._batches.hand(batch))
        await asyncio.wait({handed, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            handed.cancel()
            self._task.result()
            raise RuntimeError(f"agent {self.name} ended")

    def lost(self, topic: LiveTopic, partition: int, start: int, end: int, next_offset: int) -> None:
        """Write offsets `start`..`end`-1 off as lost and go on from `next_offset` (rule 9)."""
        key = (topic.topic_id, partition)
        stand = self._table.stand(key)
        self._ledger.account(topic, partition, min(start, next_offset)).lose(start, end, next_offset)
        self._ledger.count({Outcome.LOST.value: end - start})
        self._transactions.add(key, Stand(next_offset, stand.time_ms if stand else 0), {}, [])

    async def _run(self) -> None:
        async for decided in self._fun(self._batches):
            self._yielded.extend(decided)
            decided.clear()  # else this name and the agent's keep a batch alive while the next is decided
            if (batch := self._rest or self._batches.batch) is not None and self._yielded:
                last = self._yielded[-1].decision.event.delivery.record.offset
                if last < batch.records[-1].offset:  # a part of the batch: what is large must not pile up
                    cut = bisect_right(batch.records, last, key=lambda record: record.offset)
                    part = replace(batch, records=batch.records[:cut])
                    await self._fit(part)
                    self._rest = replace(batch, records=batch.records[cut:], time_ms=part.stand.time_ms)

    async def _write(self, batch: Batch) -> None:
        """Put what is left of a batch into the open transaction: all of it, unless parts were written before."""
        rest, self._rest = self._rest, None
        await self._fit(rest or batch)

    async def _fit(self, batch: Batch) -> None:
        """Put what became of a batch into the open transaction; what it has no room for goes into the next (rule 6)."""
        decided, self._yielded = self._yielded, []
        await self._transactions.room()
        most = _MOST_WRITTEN + self._runs(batch.topic.name.tenant)
        while (end := fitting(decided, self._transactions.left, most)) < len(decided):
            next_offset = decided[end].decision.event.delivery.record.offset
            cut = bisect_left(batch.records, next_offset, key=lambda record: record.offset)
            part = replace(batch, records=batch.records[:cut])
            self._put(part, decided[:end])
            batch = replace(batch, records=batch.records[cut:], time_ms=part.stand.time_ms)
            decided = decided[end:]
            await self._transactions.room()
        self._put(batch, decided)

    def _put(self, batch: Batch, decided: Sequence[Decided]) -> None:
        """Put a batch into the open transaction, all or nothing: no await in here."""
        before = self._table.stand(batch.partition)
        expected, first = 0 if before is None else before.next_offset, batch.records[0].offset
        if first != expected:  # deciding twice or passing over must be impossible, whatever the reader did
            raise RuntimeError(f"{batch.topic.name}:{batch.place.partition} stands at {expected}, not at {first}")
        decisions = [one.decision for one in decided]
        states = {decision.key: decision.write.pack() for decision in decisions if decision.write is not None}
        if self._tracer.enabled and (traced := headed.trace(self._tracer, batch.place, decided, self._began)):
            records, ended = traced
            self._transactions.after_commit(ended)
        else:
            records = [record for one in decided for record in one.records]
        stand = batch.stand
        account = self._ledger.account(batch.topic, batch.place.partition, batch.records[0].offset)
        before_listed = account.listed
        account.add(decisions, stand.next_offset)
        self._transactions.add(batch.partition, stand, states, records, account.listed - before_listed)


def ledger_range(snapshot: Snapshot, topic: LiveTopic) -> tuple[int, int]:
    """Return which range of the ledger a raw topic's group has: its number there, and how many partitions (rule 9)."""
    raw, ledger = snapshot.topics.get(str(topic.name)), snapshot.topics.get(topic.ledger)
    span = 0 if ledger is None else ledger.span
    return 0 if raw is None else raw.slot, span or topic.ledger_partitions


def fitting(decided: Sequence[Decided], left: int, most: int = _MOST_WRITTEN) -> int:
    """Return how many of `decided` go into a transaction that takes `left` more records or ledger entries, at least 1.

    `most`: what one of them writes at most. It ends after the raw record that reaches them: a delivery is never in two
    transactions (rule 6).
    """
    if len(decided) * most <= left:
        return len(decided)
    count, before = 0, None
    for index, one in enumerate(decided):
        offset = one.decision.event.delivery.record.offset
        if count >= left and offset != before:
            return index
        before = offset
        decision = one.decision
        count += len(one.records) + (decision.write is not None) + (decision.outcome is not Outcome.CLEAN)
    return len(decided)
