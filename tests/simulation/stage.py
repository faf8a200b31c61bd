"""One process of the stage, made of the product's own parts over the log in memory.

Lives here: what streams/app.py and Faust do around those parts: start, fetch, rebalance, end. The reader borrows the
methods of `BatchConsumer` and its base; Faust itself is not here (README.md).
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, KeysView, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, cast

from faust.types import TP

from schemas import topics
from schemas.contracts import Library
from schemas.definitions.view import EMPTY, Snapshot
from streams.agents.ingest import Ingest
from streams.emit import Decided, Limits
from streams.engine.agent import BatchAgent, Batches, Ledger
from streams.engine.consumer import BatchConsumer
from streams.engine.directory import LiveTopic
from streams.engine.holding import HoldingConsumer
from streams.engine.recovery import changelog, recover
from streams.engine.rounds import Rounds
from streams.engine.sizes import Sizes
from streams.engine.sweep import Sweep
from streams.engine.table import FirstSeenTable, Writes
from streams.engine.tails import Tails
from streams.engine.transaction import Transactions
from streams.roles import Roles, Target
from tests.fakes.store import Disk, MemoryStore
from tests.simulation.clients import Consumer, Producer
from tests.simulation.definitions import ROLES, RUN_PARTITIONS
from tests.simulation.log import Broker
from tests.simulation.loop import Loop
from tests.unit.streams.made import VENDOR

GROUP = "0"
TENANT = "acme"
CHANGELOG_PARTITIONS = 2
LEDGER_PARTITIONS = 2
INTERVAL_S, TIMEOUT_S = 0.25, 10.0
RESUME_S = 0.01
MOST_STALE = 5
"""A leader just elected knows its log's end within 3 s, six questions of the stage: that it may rely on."""
LIMITS = Limits(1 << 20, 1 << 20)
CONTRACTS = Library()
"""Compiled once for all histories: versions are immutable."""


class RunTopics:
    """The run topics of the tenant: there, always, so that nothing is asked."""

    _MADE = Roles(TENANT, 0, ROLES, {ROLES[0].topic: Target(ROLES[0].topic, RUN_PARTITIONS, RUN_PARTITIONS, 1 << 20)})

    @classmethod
    async def roles(cls, _snapshot: Snapshot, _topic: LiveTopic) -> Roles:
        return cls._MADE


class Died(BaseException):
    """The process ends itself (rule 10)."""


class View:
    """The registry as one process sees it: `now` may lag behind."""

    def __init__(self, newest: Callable[[], Snapshot]) -> None:
        self._newest, self.now = newest, EMPTY

    def current(self) -> Snapshot:
        return self.now

    async def refresh(self) -> Snapshot:
        self.now = self._newest()
        return self.now


class Parts:
    """Which classes a stage is made of; the mutations of tests/simulation/mutations.py put others in."""

    transactions: type[Transactions] = Transactions
    table: type[FirstSeenTable] = FirstSeenTable
    ingest: type[Ingest] = Ingest


class Stage:
    """A process from its start to its death; the scheduler moves its event loop and its one thread."""

    def __init__(
        self,
        name: str,
        broker: Broker,
        disk: Disk,
        newest: Callable[[], Snapshot],
        max_records: int,
        parts: type[Parts],
    ) -> None:
        self.name, self.broker, self.disk = name, broker, disk
        self.loop: Loop = cast("Any", Loop)(broker.clock, name)  # what it lacks is never asked for
        self.view = View(newest)
        self.view.now = newest()
        self.dead: str | None = None
        self.reader: Reader | None = None
        self.producer: Producer | None = None
        self.sweep: Sweep | None = None
        self._changelog: Consumer | None = None
        self._max_records, self._parts = max_records, parts
        self.loop.run_in_executor(None, self._boot).add_done_callback(self._booted)

    # ---- moved by the scheduler
    def go(self, steps: int) -> None:
        """Let the thread go on for some steps."""
        for _ in range(steps):
            if self.dead is not None or not self.loop.go_job() or self._starved():
                break

    def _starved(self) -> bool:
        """Tell whether the thread polls a log that has nothing for it: it would do so for ever."""
        reader = self._changelog
        return reader is not None and reader.starved > 1 and self.loop.job is not None and self.loop.job.at == "poll"

    def run(self) -> None:
        """Let the event loop come to rest."""
        if self.dead is None:
            self.loop.run_ready()

    def kill(self, why: str) -> None:
        """End it at once, wherever it stands."""
        if self.dead is None:
            self.dead = why
            self.disk.locked = False
        self.loop.stop()

    @property
    def done(self) -> bool:
        """Tell whether everything that is in the log is read, decided and committed."""
        reader = self.reader
        if (
            reader is None
            or not reader.settled
            or not reader.waiting
            or self.loop.job is not None
            or not reader.transactions.fresh
        ):
            return False
        return all(at == self.broker.log(*tp).end for tp, at in reader.at.items())

    @property
    def renewed(self) -> bool:
        """Tell whether one of its topics is another topic by now."""
        live = {} if self.reader is None else self.reader.live
        return any(self.broker.topics[name].id != topic.topic_id for name, topic in live.items())

    @property
    def stands(self) -> str:
        """Say where it stands, for people."""
        job, reader = self.loop.job, self.reader
        at = {} if reader is None else reader.at
        return f"thread at {None if job is None else job.at!r}, waiting {reader is not None and reader.waiting}, {at}"

    # ---- life
    def end(self, why: str, cause: BaseException | None = None) -> NoReturn:
        """Take the place of engine.exits.die."""
        if self.dead is None:
            self.dead = f"{why}: {cause!r}" if cause is not None else why
            self.loop.stopped = True
            self.disk.locked = False
        raise Died(why)

    def _pause(self, at: str) -> None:
        job = self.loop.job
        if job is None or self.dead is not None:
            raise Died("gone")
        job.pause(at)

    def _store(self, _folder: Path) -> MemoryStore:
        return PausingStore(self.disk, self._pause)

    def _boot(self) -> None:
        """Fence and recover, as streams/app.py does."""
        try:
            self._recover()
        except Exception as exc:  # noqa: BLE001 as streams/app.py
            self.end("the state could not be recovered", exc)

    def _recover(self) -> None:
        clock = self.broker.clock
        live = {name: made for name in self.broker.topics if (made := live_topic(self.broker, name)) is not None}
        table = self._parts.table("seen", Path(), self._store)
        self.producer = Producer(self.broker, f"hookberg-{GROUP}", self._pause)
        reader = self.reader = Reader(self, live, table)
        transactions = reader.transactions = self._parts.transactions(
            {}, GROUP, changelog(GROUP), table, interval_s=INTERVAL_S, max_records=self._max_records,
            timeout_s=TIMEOUT_S, on_commit=reader.on_commit, end=self.end, partitions=CHANGELOG_PARTITIONS,
            producer=lambda _config: self.producer, monotonic=clock.monotonic,
        )  # fmt: skip
        marks = transactions.fence()
        made_from = self.broker.topics[changelog(GROUP)].id
        recover(
            {}, table, GROUP, made_from, marks, monotonic=clock.monotonic,
            reader=self._open_changelog,
        )  # fmt: skip
        transactions.start()

    def _open_changelog(self, config: dict[str, Any]) -> Consumer:
        self._changelog = Consumer(self.broker, config, self._pause, 5)
        return self._changelog

    def _booted(self, future: "asyncio.Future[None]") -> None:
        if self.dead is not None or self.reader is None:
            return
        future.result()
        reader, transactions = self.reader, self.reader.transactions
        ledger = Ledger(transactions, group=GROUP, now_us=lambda: self.broker.clock.ms * 1000, count=lambda _sums: None)
        judge = self._parts.ingest(
            reader.table, self.view, lambda _platform: VENDOR, lambda: self.broker.clock.ms * 1000, CONTRACTS,
            runs=cast("Any", RunTopics),
        )  # fmt: skip

        judge._judge._most = self._max_records << 10  # a batch is decided in parts of as many items

        async def ingest(batches: Batches) -> AsyncIterator[list[Decided]]:
            async for decided in judge.agent(batches):
                yield decided

        reader.agent_of_topics = BatchAgent(
            "ingest", ingest, transactions=transactions, ledger=ledger, table=reader.table
        )
        self.sweep = Sweep(reader.table, transactions, lambda: self.view.now.sources)
        reader.tasks = [
            self.loop.create_task(transactions.run()),
            self.loop.create_task(reader.drain()),
        ]


class PausingStore(MemoryStore):
    """A store before whose writes a process may die."""

    def __init__(self, disk: Disk, pause: Callable[[str], None]) -> None:
        super().__init__(disk)
        self._pause = pause

    def write(self, entries: Any) -> None:
        self._pause("write state")
        super().write(entries)


def live_topic(broker: Broker, name: str) -> LiveTopic | None:
    """Return what the directory would say of a raw topic, None of another one."""
    where = topics.parse(name)
    if where is None or where.kind != "webhook":
        return None
    topic = broker.topics[name]
    return LiveTopic(
        where, topic.id, len(topic.logs), topics.event(TENANT, where.target), topics.quarantine(TENANT, where.target),
        topics.ledger(TENANT), LEDGER_PARTITIONS, LIMITS,
    )  # fmt: skip


class Reader:
    """Stands in for Faust's consumer and for the app that it asks; what decides is the product's."""

    perform_seek: Callable[[], Awaitable[None]]
    commit_all: Callable[[], Awaitable[None]]
    committed: Callable[[Mapping[TP, int]], None]
    _drain_messages: Callable[[Any], Awaitable[None]]
    consumer_stopped_errors = ()
    should_stop = False

    def __init__(self, stage: Stage, live: Mapping[str, LiveTopic], table: FirstSeenTable) -> None:
        self._stage, self.live, self.table, self.broker = stage, dict(live), table, stage.broker
        self.app = self
        self.consumer_generation_id, self.flow_active = 0, False
        self.can_resume_flow = asyncio.Event()
        self._expected: dict[TP, int] = {}
        self._reread: dict[TP, int] = {}
        self._undecided: set[TP] = set()
        self._held: frozenset[str] = frozenset()
        self._decided: dict[TP, int] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._seeking = asyncio.Lock()
        self._tails: Any = SimulatedTails(cast("Any", self))
        self._rounds = Rounds(lambda _tp: None, lambda: None)
        self.sizes = Sizes()
        self.connections: dict[TP, object] = {}
        """What stands for the connection to a partition's leader; another one after a truncation."""
        self._stopped = SimpleNamespace(is_set=lambda: False, _stopped=None)
        self._fetched: asyncio.Future[Any] | None = None
        self.at: dict[TP, int] = {}
        self._assigned: dict[TP, None] = {}
        self.stale_ends = 0
        self._stale_in_turn = 0
        self.settled = False
        self.tasks: list[asyncio.Task[Any]] = []
        self.transactions: Any = None
        self.agent_of_topics: Any = None

    @property
    def end(self) -> Callable[..., NoReturn]:
        return self._stage.end

    # ---- the app's side
    async def process(self, topic: LiveTopic, partition: int, records: Any) -> None:
        await self.agent_of_topics.process(topic, partition, records)

    def on_commit(self, _took_s: float, writes: Writes) -> None:
        names = {topic.topic_id: name for name, topic in self.live.items()}
        self.committed(
            {
                TP(names[one], number): stand.next_offset
                for (one, number), stand in writes.stands.items()
                if one in names
            }
        )

    # ---- Faust's side
    async def drain(self) -> None:
        """Be assigned everything, then read for ever."""
        await self._resume()
        await self._drain_messages(SimpleNamespace(_stopped=SimpleNamespace(is_set=lambda: False)))

    async def _resume(self) -> None:
        self.settled = False
        self._assigned = {TP(name, n): None for name, topic in self.live.items() for n in range(topic.partitions)}
        await self.perform_seek()
        await asyncio.sleep(RESUME_S)  # Faust has its own to do before it resumes us, and fetches come meanwhile
        self.flow_active = self.settled = True
        self.can_resume_flow.set()

    async def rebalance(self) -> None:
        """Give everything back and get it again, as a change of the subscription does."""
        self.settled = False
        await self.commit_all()
        self._decided.clear()
        self._expected.clear()
        self.consumer_generation_id += 1
        await self._resume()

    def stop_flow(self) -> None:
        self.flow_active = False
        self.can_resume_flow.clear()

    async def wait(self, event: asyncio.Event) -> None:
        await event.wait()

    def assignment(self) -> KeysView[TP]:
        """Return the partitions in one order, that of a set being another in every process."""
        return self._assigned.keys()

    async def earliest_offsets(self, *tps: TP) -> dict[TP, int]:
        return {tp: self._log(tp).start for tp in tps}

    async def highwaters(self, *tps: TP) -> dict[TP, int]:
        stale = self.stale_ends > 0
        self.stale_ends -= stale
        self._stale_in_turn = self._stale_in_turn + 1 if stale else 0
        return {tp: self._log(tp).end // 2 if stale else self._log(tp).end for tp in tps}

    def tell_stale_ends(self, times: int) -> None:
        """Let the next answers be those of a leader just elected, though never more in turn than the stage believes."""
        self.stale_ends = max(0, min(times, MOST_STALE - self._stale_in_turn))

    async def seek_wait(self, wanted: Mapping[TP, int]) -> None:
        self.at.update(wanted)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _wait_next_records(self, _timeout: float) -> tuple[Any, Any]:
        self._fetched = asyncio.get_running_loop().create_future()
        return await self._fetched, None

    def _log(self, tp: TP) -> Any:
        return self.broker.log(tp.topic, tp.partition)

    def first_since(self, tp: TP, ms: int) -> Any:
        """Return what Kafka says of a time: the first record that is not older."""
        return next(
            (SimpleNamespace(offset=one.offset) for one in self._log(tp).entries if one.timestamp_ms >= ms), None
        )

    @property
    def waiting(self) -> bool:
        """Tell whether the reader waits for records."""
        return self._fetched is not None and not self._fetched.done()

    def fetch(self, number: int, most: int) -> int:
        """Let one fetch come back: up to `most` records of one partition; return how many."""
        if not self.waiting or not self.at:
            return 0
        tps = sorted(self.at)
        tp = tps[number % len(tps)]
        log = self._log(tp)
        at = self.at[tp]
        if not log.start <= at <= log.end:
            at = log.start  # auto.offset.reset is earliest
        entries, self.at[tp] = log.read(at, most, committed=False)
        if entries:
            assert self._fetched is not None
            self._fetched.set_result({tp: [_fetched(tp, entry) for entry in entries]})
        return len(entries)


for _name, _made in (vars(HoldingConsumer) | vars(BatchConsumer)).items():
    if inspect.isfunction(_made) and not hasattr(Reader, _name):
        setattr(Reader, _name, _made)


class SimulatedTails(Tails):
    """Asks the log in memory, where a question takes no time."""

    async def made_anew(self, *, again: bool = False) -> list[str]:
        reader: Any = self._consumer
        broker: Broker = reader.broker
        if broker.renewed == self._recognised and not again:
            return []
        self._recognised = broker.renewed
        return [name for name, topic in reader.live.items() if broker.topics[name].id != topic.topic_id]

    async def _ask(self, times: dict[TP, int]) -> dict[TP, Any]:
        reader: Any = self._consumer
        return {tp: reader.first_since(tp, ms) for tp, ms in times.items()}

    def _connection(self, tp: TP) -> object:
        reader: Any = self._consumer
        return reader.connections.setdefault(tp, object())


def _fetched(tp: TP, entry: Any) -> Any:
    return SimpleNamespace(
        topic=tp.topic, partition=tp.partition, offset=entry.offset, timestamp=entry.timestamp_ms,
        value=entry.value, headers=entry.headers,
    )  # fmt: skip
