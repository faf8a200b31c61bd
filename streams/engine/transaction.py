"""One Kafka transaction per interval: outputs, ledger, changelog, stands and marks, all or nothing (rules 6, 7, 10).

Lives here: the transactional producer, the open transaction and its commit in a thread while the next one fills.
Not here: what is decided (agents), where it is kept (table.py). Any error here ends the process.
KIP-98, KIP-447: https://kafka.apache.org/documentation/#semantics
"""

import asyncio
import contextlib
import os
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any
from zlib import crc32

from confluent_kafka import KafkaException, Producer

from schemas.logs import logger
from streams.emit import Record
from streams.engine import headed as headed_records
from streams.engine.exits import Die, die
from streams.engine.producer import producer_config
from streams.engine.recovery import CHANGELOG_PARTITIONS
from streams.engine.table import FirstSeenTable, Partition, Stand, Writes, mark_key, pack_stand, position_key

_SEQUENCE = struct.Struct("<q")
_RETRY_S = 40.0
_INIT_S = 120.0
_ASK_S = 10.0
_log = logger(__name__)


class Transaction:
    """The open transaction: what it will write to disk, how many records it holds, what waits for the one before."""

    __slots__ = ("after", "closing", "count", "held", "writes")

    def __init__(self) -> None:
        self.writes = Writes()
        self.count = 0
        self.held: list[Record] = []
        self.closing: list[Callable[[], Iterable[Record]]] = []
        self.after: list[Callable[[], None]] = []


class Transactions:
    """The transactional producer of a group and the rhythm of its commits. Event-loop side unless said otherwise.

    `producer` makes a client of a configuration, `monotonic` is the clock in seconds: seams of tests/simulation.
    `headed`: records may have headers (headed.py).
    """

    def __init__(
        self,
        kafka: Mapping[str, Any],
        group: str,
        changelog: str,
        table: FirstSeenTable,
        *,
        interval_s: float,
        max_records: int,
        timeout_s: float,
        on_commit: Callable[[float, Writes], None],
        end: Die = die,
        partitions: int = CHANGELOG_PARTITIONS,
        producer: Callable[[dict[str, Any]], Any] = Producer,
        monotonic: Callable[[], float] = time.monotonic,
        headed: bool = False,
    ) -> None:
        self._producer = producer(producer_config(kafka, group, timeout_s))
        self._monotonic = monotonic
        self._changelog, self._partitions = changelog, partitions
        self._table, self._end, self._on_commit, self._headed = table, end, on_commit, headed
        self._interval_s, self._max_records = interval_s, max_records
        self._me, self._sequence = os.urandom(16), 0
        self._now = Transaction()
        self._before: Transaction | None = None
        self._begun = False
        self._wake, self._lock = asyncio.Event(), asyncio.Lock()

    # ---- before the group is joined; blocks
    def fence(self) -> dict[int, int]:
        """Fence the predecessor and commit one mark per changelog partition; return the marks' offsets."""
        started = self._monotonic()
        while True:
            try:
                self._producer.init_transactions(_ASK_S * 3)
                break
            except KafkaException as exc:
                if not exc.args[0].retriable() or self._monotonic() - started > _INIT_S:
                    self._end("the transactional producer cannot start", exc)
        try:
            self._producer.begin_transaction()
            marks = self._produce_marks()
            self._commit_now()
        except (KafkaException, BufferError) as exc:
            self._end("the first marks could not be committed", exc)
        return self._delivered(marks)

    def republish(self, entries: Iterable[tuple[bytes, bytes]]) -> dict[int, int]:
        """Write a whole state into the changelog and mark its end; return the marks' offsets (reseed.py)."""
        left = iter(entries)
        try:
            while chunk := list(islice(left, self._max_records)):
                self._producer.begin_transaction()
                for key, value in chunk:
                    self._producer.produce(self._changelog, value, key, self.changelog_partition(key))
                self._commit_now()
            self._producer.begin_transaction()
            marks = self._produce_marks()
            self._commit_now()
        except (KafkaException, BufferError) as exc:
            self._end("the changelog could not be written anew", exc)
        return self._delivered(marks)

    def know(self, topics: Iterable[str]) -> None:
        """Let the producer learn of topics that are new or have grown, else it refuses the partitions. Blocks.

        Raises KafkaException when Kafka cannot tell.
        """
        for name in topics:
            self._producer.list_topics(name, _ASK_S)

    # ---- filling
    def add(
        self, partition: Partition, stand: Stand, states: Mapping[bytes, bytes], records: list[Record], listed: int = 0
    ) -> None:
        """Take one decided batch, all or nothing: `states` by key, `records`, and where the stage stands after it.

        `listed`: items that the ledger will name; they count as records, for that one record must not grow for ever.
        """
        now = self._now
        now.count += listed
        now.writes.states.update(states)
        now.writes.stands[partition] = stand
        log, place = self._changelog, self.changelog_partition
        records.extend([Record(log, place(key), key, value) for key, value in states.items()])
        self._produce(records)

    def remove(self, keys: Iterable[bytes]) -> None:
        """Remove expired states: tombstones in this transaction (rule 12)."""
        records = []
        for key in keys:
            self._now.writes.states[key] = None
            records.append(Record(self._changelog, self.changelog_partition(key), key, None))
        self._produce(records)

    def drop(self, partitions: Iterable[Partition]) -> None:
        """Remove the stands of partitions that nothing is read of any more."""
        gone = list(partitions)
        self._now.writes.gone.extend(gone)
        self.remove(position_key(partition) for partition in gone)

    def at_close(self, make: Callable[[], Iterable[Record]]) -> None:
        """Call `make` when this transaction closes and let it hold what that returns (the ledger)."""
        self._now.closing.append(make)

    def after_commit(self, tell: Callable[[], None]) -> None:
        """Call `tell` when this transaction is committed."""
        self._now.after.append(tell)

    @property
    def fresh(self) -> bool:
        """Tell whether the open transaction holds nothing yet."""
        return not self._now.writes.stands

    @property
    def left(self) -> int:
        """Return how many records the open transaction takes until it is full."""
        return self._max_records - self._now.count

    @property
    def committing(self) -> bool:
        """Tell whether a commit runs now."""
        return self._before is not None

    async def room(self) -> None:
        """Wait until the open transaction may take another batch: at most one is full behind the committing one."""
        while self.left <= 0:
            self._wake.set()
            await asyncio.sleep(0.001)

    def changelog_partition(self, key: bytes) -> int:
        """Return the changelog partition of a key."""
        return crc32(key) % self._partitions

    # ---- the rhythm
    async def run(self) -> None:
        """Commit once an interval, or earlier when the transaction is full; never returns."""
        due = self._monotonic()
        while True:
            due = max(due + self._interval_s, self._monotonic())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(0.001, due - self._monotonic()))
            self._wake.clear()
            due = self._monotonic()
            await self.commit()

    async def commit(self) -> None:
        """Commit what is open and write it to disk; returns when both are done."""
        async with self._lock:
            now = self._now
            if not now.writes.stands and not now.writes.states:
                return
            if not self._begun:
                self._begin()
            self._produce([record for make in now.closing for record in make()])
            self._now, self._before, self._begun = Transaction(), now, False
            self._table.open_writes = (self._now.writes, now.writes)
            took = await asyncio.get_running_loop().run_in_executor(None, self._finish, now)
            self._table.committed(now.writes)
            self._before = None
            self._table.open_writes = (self._now.writes,)
            self._on_commit(took, now.writes)
            for tell in now.after:
                tell()
            if self._now.held:
                self._begin()

    def start(self) -> None:
        """Let look-ups see the open transaction; once, after recovery."""
        self._table.open_writes = (self._now.writes,)

    def _produce(self, records: list[Record]) -> None:
        now = self._now
        now.count += len(records)
        if not self._begun and self._before is None:
            self._begin()
        if self._begun:
            self._send(records)
        else:
            now.held.extend(records)
        if now.count >= self._max_records:
            self._wake.set()

    def _begin(self) -> None:
        try:
            self._producer.begin_transaction()
        except KafkaException as exc:
            self._end("a transaction could not begin", exc)
        self._begun = True
        held, self._now.held = self._now.held, []
        self._send(held)

    def _send(self, records: list[Record]) -> None:
        produce = self._producer.produce
        try:
            if self._headed:
                headed_records.produce(produce, records)
            else:
                for topic, partition, key, value in records:
                    produce(topic, value, key, partition)
            self._producer.poll(0)
        except (KafkaException, BufferError) as exc:
            self._end("a record could not be produced", exc)

    # ---- thread side
    def _finish(self, done: Transaction) -> float:
        started = self._monotonic()
        try:
            for partition, stand in done.writes.stands.items():
                key = position_key(partition)
                self._producer.produce(self._changelog, pack_stand(stand), key, self.changelog_partition(key))
            marks = self._produce_marks()
            self._commit_now()
            self._table.apply(done.writes, {n: offset + 1 for n, offset in self._delivered(marks).items()})
        except Exception as exc:  # noqa: BLE001 whatever it is, nothing more may be written (rule 10)
            self._end("a transaction could not be committed", exc)
        return self._monotonic() - started

    def _produce_marks(self) -> dict[int, int | None]:
        """Produce the last record of each changelog partition; its delivery report tells how far the commit reaches."""
        self._sequence += 1
        value = self._me + _SEQUENCE.pack(self._sequence)
        marks: dict[int, int | None] = {}

        def delivered(error: Any, message: Any) -> None:  # noqa: ANN401 confluent_kafka is untyped
            marks[message.partition()] = None if error else message.offset()

        for number in range(self._partitions):
            self._producer.produce(self._changelog, value, mark_key(number), number, on_delivery=delivered)
        return marks

    def _delivered(self, marks: Mapping[int, int | None]) -> dict[int, int]:
        found = {number: offset for number, offset in marks.items() if offset is not None}
        if len(found) != self._partitions:
            self._end(f"a commit without delivered marks: {dict(marks)}", None)
        return found

    def _commit_now(self) -> None:
        started, committed = self._monotonic(), False
        while not committed:
            try:
                self._producer.commit_transaction(_ASK_S)
                committed = True
            except KafkaException as exc:  # only a timeout may be asked again; fenced, abortable and fatal end it
                if not exc.args[0].retriable() or self._monotonic() - started > _RETRY_S:
                    raise
