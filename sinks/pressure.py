"""What waits for the tables is told on `_hookberg.pressure`, by source, once a second (spec section 9).

Lives here: who tells which source, the thread that does, what is asked of Kafka and of the registry. Not here: what
counts (lagging.py), levels and when they are told (schemas/pressure.py). Nothing of it delays or ends a writer.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from schemas import logs, topics
from schemas.definitions.view import Snapshot, SourceView
from schemas.ports import Clock
from schemas.pressure import Pressures
from schemas.wire.pressure import Origin, Pressure
from sinks.lagging import Lagging, Place
from sinks.status import StreamState

ASK_S = 3.0
MOST_ASKED = 1_000
_LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
log = logs.logger(__name__)


class Told(Protocol):
    """Where measures go. Implemented by schemas.backing.kafka.pressure.PressureTopic; never raises."""

    def tell(self, records: Iterable[Pressure], gone: Iterable[tuple[str, Origin]] = ()) -> None:
        """Send records, and tombstones of (source id, origin)."""


class Round(NamedTuple):
    """What a writers' process knew at one moment: the states of the streams that it owns."""

    snapshot: Snapshot
    owned: Collection[int]
    partitions: int
    states: Sequence[StreamState]


Others = Callable[[Collection[str]], Mapping[str, StreamState]]
"""The states of other writers' streams by id, from the registry; may raise, and block."""
Ends = Callable[[Sequence[Place]], Mapping[Place, int]]


def ends_by(admin: AdminClient) -> Ends:
    """Return what asks Kafka for ends of logs; those it does not tell are left out."""

    def ends(places: Sequence[Place]) -> Mapping[Place, int]:
        found: dict[Place, int] = {}
        asked = {TopicPartition(*place): _LATEST for place in places[:MOST_ASKED]}
        for place, future in (admin.list_offsets(asked, request_timeout=ASK_S) if asked else {}).items():
            try:
                found[place.topic, place.partition] = future.result(ASK_S).offset
            except (KafkaException, TimeoutError):
                continue
        return found

    return ends


class TablePressure:
    """Tells the sources whose raw topic hashes to an ownership partition of this process: each has one teller."""

    def __init__(self, told: Told, others: Others, ends: Ends, clock: Clock) -> None:
        self._told, self._others, self._ends, self._clock = told, others, ends, clock
        self._lagging, self._pressures = Lagging(), Pressures("tables")
        self._mine: set[str] = set()
        self._latest: Round | None = None
        self._ended = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="pressure", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def note(self, now: Round) -> None:
        """Take the states of the moment; returns at once. What comes meanwhile replaces what waits."""
        with self._news:
            self._latest = now
            self._news.notify()

    def end(self) -> None:
        """Tell nothing more; a question that is under way is waited for, a few seconds at most."""
        with self._news:
            self._ended = True
            self._news.notify()
        self._thread.join(2 * ASK_S)

    def _run(self) -> None:
        while True:
            with self._news:
                while self._latest is None and not self._ended:
                    self._news.wait()
                now, self._latest = self._latest, None
                if self._ended or now is None:
                    return
            try:
                self.look(now)
            except Exception as error:  # noqa: BLE001 measuring ends no writer
                log.warning("pressure_not_measured", error=repr(error)[:300])

    def look(self, now: Round) -> None:
        """Measure and tell once; may block on Kafka and the registry."""
        sources = now.snapshot.sources
        mine = {source.id: source for source in sources.values() if _partition(source, now.partitions) in now.owned}
        self._pressures.forget((self._mine - mine.keys()) & sources.keys())
        self._mine = set(mine)
        streams = {one.id for source in mine.values() for one in self._lagging.readers(now.snapshot, source)}
        states = {state.stream_id: state for state in now.states if state.stream_id in streams}
        if others := streams - states.keys():
            states |= self._others(others)
        ends = self._ends(self._lagging.ask(now.snapshot, states))
        now_ms, now_s = self._clock.time_ns() // 1_000_000, self._clock.monotonic()
        found = self._lagging.measures(now_ms, now_s, now.snapshot, mine.values(), states, ends)
        records = self._pressures.take(now_ms, sources, found)
        self._told.tell(records, [(source_id, "tables") for source_id in self._pressures.gone(sources)])


def _partition(source: SourceView, count: int) -> int:
    return topics.partition(source.topic.encode(), count)
