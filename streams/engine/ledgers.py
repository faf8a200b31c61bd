"""A second Faust app, stock but for its consumer: it reads ledgers, committed records only, from where it stands.

Lives here: following the tenants' ledgers, seeking, the settings of the app. Not here: what is counted
(streams/agents/stats.py), the table that is written (journal.py). Private names of Faust: README.md beside this file.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import faust
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]
from faust.transport.conductor import Conductor
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, Message
from mode import Service

from schemas.definitions.view import Snapshot
from schemas.logs import logger
from schemas.settings import StreamsSettings
from schemas.topics import Kind
from streams.engine import thread
from streams.engine.app import faust_settings
from streams.engine.directory import Directory
from streams.engine.exits import Die, die
from streams.engine.links import Links
from streams.engine.watch import Alive

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

_FOLLOW_S = 0.5
_LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_log = logger(__name__)


class LedgerTopic(NamedTuple):
    """A tenant's ledger in Kafka."""

    topic_id: str
    partitions: int
    tenant: str


def ledgers(snapshot: Snapshot) -> dict[str, LedgerTopic]:
    """Return the ledgers of all tenants by topic name."""
    return {
        topic.name: LedgerTopic(topic.topic_id, topic.partitions, topic.tenant)
        for topic in snapshot.topics.values()
        if topic.kind == Kind.LEDGER
    }


class LedgerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread whose consumer reads committed records only: else aborted transactions are counted."""

    def _create_worker_consumer(self, transport: driver.Transport) -> "AIOKafkaConsumer":
        self.consumer.in_transaction = True  # what makes Faust ask for read_committed; put back at once
        try:
            return super()._create_worker_consumer(transport)
        finally:
            self.consumer.in_transaction = False


class LedgerConsumer(driver.Consumer):
    """Faust's consumer, going on where the table stands: offsets of the group may be ahead of what was kept."""

    app: "LedgerApp"
    _seeks = 0
    _placed = False
    _wanted: Mapping[TP, int] = MappingProxyType({})

    def _new_consumer_thread(self) -> LedgerThread:
        return LedgerThread(self, loop=self.loop, beacon=self.beacon)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Hand nothing on before the seek that follows: until then Faust fetches from elsewhere."""
        self._placed = False
        await super().on_partitions_assigned(assigned, generation_id)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109 Faust's signature
        """Yield what came; of ledgers only what was fetched where the table stands, each record noted.

        Nobody can tell whether a fetch that was under way during a seek was made before or after it: what it brought
        is not handed on and the seek is made again, for Faust makes one fetch at a time. Its mark of what was read is
        taken from Faust: a record in hand while partitions went would move it past others.
        """
        seeks, doubtful = self._seeks, False
        async for tp, message in super().getmany(timeout):
            if tp.topic in self.app.live:
                if not self._placed or seeks != self._seeks:
                    doubtful = True
                    continue
                self.app.links.handed(tp, message.offset)
                self._read_offset[tp] = None
            yield tp, message
        if doubtful and self._placed:
            await thread.seek(self._thread, self._wanted)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every ledger partition to where it is counted, else to its first record."""
        self._seeks += 1  # what is fetched before or beside the seek is not what follows
        try:
            return await self._seek_all()
        finally:
            self._seeks += 1

    async def _seek_all(self) -> Mapping[TP, int]:
        self.app.load()
        self.app.links.clear()
        assigned = [tp for tp in self.assignment() if tp.topic in self.app.live]
        if not assigned:
            return {}
        starts = await self.earliest_offsets(*assigned)
        wanted: dict[TP, int] = {}
        for tp in assigned:
            at, start = self.app.next_offset(tp), int(starts.get(tp) or 0)
            if at is not None and at < start:
                _log.error("ledger_expired_uncounted", topic=tp.topic, partition=tp.partition, first=at, to=start - 1)
            wanted[TP(tp.topic, tp.partition)] = max(at or 0, start)
        await thread.seek(self._thread, wanted)
        self.app.links.clear()
        self._placed, self._wanted = True, wanted
        _log.info("ledgers_taken", partitions=len(wanted))
        return {tp: offset - 1 for tp, offset in wanted.items()}  # what Faust takes for the newest it handed on

    async def taken_to(self) -> dict[TP, tuple[int, int, int | None]]:
        """Return (position, end, newest offset handed on or None) of the ledgers."""
        wanted = {(tp.topic, tp.partition): tp for tp in self.assignment() if tp.topic in self.app.live}
        ends = await asyncio.to_thread(
            self.app.directory.offsets, wanted, _LATEST
        )  # first: what comes after is not meant
        positions = await thread.positions(self._thread, ends)
        return {tp: (at, ends[tp], self._read_offset.get(tp)) for tp, at in positions.items()}

    async def evict(self, members: Iterable[str]) -> None:
        """Take dead predecessors out of the group."""
        await thread.evict(self._thread, self.app.conf.id, members)


class LedgerConductor(Conductor):
    """Faust's conductor, subscribing to `app.live`, which follows the registry; a change is one rebalance."""

    app: "LedgerApp"
    _resubscribe_sleep_lock_seconds = 0.1
    _followed: frozenset[str] | None = None

    async def _update_indices(self) -> Iterable[str]:
        if self._followed is None:
            await self.app.ledger_consumer.evict(await asyncio.to_thread(self.app.directory.members, self.app.conf.id))
        self._followed = frozenset(self.app.live)
        for channel in self._topics:
            if channel.topics and channel.topics[0] not in self.app.tables.changelog_topics:
                channel.topics = sorted(self._followed)
        return await super()._update_indices()

    @Service.task
    async def _follow(self) -> None:
        while not self.should_stop:
            await self.sleep(_FOLLOW_S)
            if self._followed is None or self.app.rebalancing:
                continue
            self.app.look()
            if frozenset(self.app.live) != self._followed:
                self._flag_changes()


class LedgerTransport(driver.Transport):
    """Faust's aiokafka transport with the two."""

    Consumer, Conductor = LedgerConsumer, LedgerConductor


class LedgerApp(faust.App):
    """A Faust app over the ledgers of all tenants; `live` is what it subscribes to, `topics_of` what there is."""

    def __init__(
        self,
        settings: StreamsSettings,
        name: str,
        *,
        topics_of: Callable[[], Mapping[str, LedgerTopic]],
        directory: Directory,
        end: Die = die,
    ) -> None:
        self.live, self.topics_of, self.directory, self.end = dict(topics_of()), topics_of, directory, end
        self.links = Links()
        self.load: Callable[[], None] = lambda: None
        self.next_offset: Callable[[TP], int | None] = lambda _tp: None
        super().__init__(f"hookberg-{name}", **faust_settings(name, settings) | {"store": "rocksdb://"})
        self.transport = LedgerTransport(self.conf.broker_consumer, self)
        self.service(cast("Any", Alive(self, settings.stage_stall_s, lambda: self.ledger_consumer._thread)))  # noqa: SLF001

    @property
    def ledger_consumer(self) -> LedgerConsumer:
        """Return the consumer as ours."""
        return cast("LedgerConsumer", self.consumer)

    def ledgers(self) -> Any:  # noqa: ANN401 a Faust topic
        """Return the live set of ledgers as a topic."""
        return self.raw_topic(*sorted(self.live))

    def raw_topic(self, *names: str) -> Any:  # noqa: ANN401 a Faust topic
        """Return a topic of bytes; positions are the table's, so Faust acknowledges nothing."""
        return self.topic(
            *names, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw", acks=False
        )

    def look(self) -> None:
        """Take over the registry's ledgers; one made anew under its name ends the process, and so does the last one."""
        found = dict(self.topics_of())
        anew = [name for name, topic in found.items() if self.live.get(name, topic).topic_id != topic.topic_id]
        if anew or not found:
            self.end(f"ledgers made anew: {anew}" if anew else "no ledger is left", None)
        self.live = found
