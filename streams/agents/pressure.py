"""What waits for the stage is told on `_hookberg.pressure`, by source, once a second (spec section 9).

Lives here: what is asked of Kafka, beside the stage, and that nothing of it can stop the stage. Not here: what the
answers mean (streams/backlog.py), levels and when they are told (schemas/pressure.py).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]
from faust.types import TP

from schemas.definitions.view import EMPTY, Snapshot, SourceView
from schemas.logs import logger
from schemas.ports import Clock
from schemas.pressure import Measure, Pressures, Rate
from schemas.wire.pressure import Origin
from schemas.wire.pressure import Pressure as Record
from streams.backlog import Backlogs, Place, Standing
from streams.engine.sizes import UNKNOWN_BYTES

if TYPE_CHECKING:
    from streams.engine.app import App

EVERY_S = 1.0
ASK_S = 3.0
_LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_EARLIEST: Any = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_log = logger(__name__)


class Told(Protocol):
    """Where measures go. Implemented by schemas.backing.kafka.pressure.PressureTopic; never raises."""

    def tell(self, records: Iterable[Record], gone: Iterable[tuple[str, Origin]] = ()) -> None:
        """Send records, and tombstones of (source id, origin)."""


class Judged:
    """How many events of each source were judged, and how many went to quarantine: sums over transactions."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[int, int]] = {}
        self._rates: dict[str, tuple[Rate, Rate]] = {}

    def note(self, failures: Mapping[str, tuple[int, int]]) -> None:
        """Take how many events of each source became clean and went to quarantine in one transaction."""
        for source_id, (clean, failed) in failures.items():
            judged, before = self._sums.get(source_id, (0, 0))
            self._sums[source_id] = judged + clean + failed, before + failed

    def ratios(self, now_s: float, sources: Mapping[str, SourceView]) -> dict[str, float]:
        """Return the share that went to quarantine over the last half minute, by source; absent: nothing judged."""
        ratios = {}
        for source_id, (judged, failed) in list(self._sums.items()):
            if source_id not in sources:
                del self._sums[source_id]
                self._rates.pop(source_id, None)
                continue
            if source_id not in self._rates:
                self._rates[source_id] = _from_zero(now_s), _from_zero(now_s)
            of_judged, of_failed = self._rates[source_id]
            of_judged.add(now_s, judged)
            of_failed.add(now_s, failed)
            if of_judged.grown:
                ratios[source_id] = of_failed.grown / of_judged.grown
        return ratios


class Pressure:
    """Measures one group; `step` is called about once a second, and does nothing while the look before is under way."""

    def __init__(self, app: "App", told: Told, judged: Judged, snapshot: Callable[[], Snapshot], clock: Clock) -> None:
        self._app, self._told, self._judged, self._snapshot, self._clock = app, told, judged, snapshot, clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pressure")
        self._backlogs, self._pressures = Backlogs(), Pressures("stage")
        self._of_topics: tuple[Snapshot, dict[str, list[str]]] = EMPTY, {}

    async def step(self) -> None:
        """Measure and tell; Kafka is asked in a thread of its own."""
        snapshot = self._snapshot()
        if snapshot.revision < 0:
            return
        try:
            standing = self._standing()
            sizes = dict(self._app.batch_consumer.sizes.look())
            ratios = self._judged.ratios(self._clock.monotonic(), snapshot.sources)
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, self._look, snapshot, standing, sizes, ratios)
        except Exception as error:  # noqa: BLE001 measuring never stops the stage
            _log.warning("pressure_not_measured", error=repr(error)[:300])

    def _standing(self) -> dict[Place, Standing]:
        """Return where every live partition stands; what fetches say of a paused one is old."""
        app, consumer = self._app, self._app.batch_consumer
        stands, held, standing = app.table.stands, consumer.held, {}
        for name, topic in app.live.items():
            for number in range(topic.partitions):
                stand = stands.get((topic.topic_id, number))
                end = None if name in held else consumer.end(TP(name, number))
                standing[name, number] = Standing(*(stand or (0, 0)), end)
        return standing

    def _look(
        self,
        snapshot: Snapshot,
        standing: Mapping[Place, Standing],
        sizes: Mapping[str, float],
        ratios: Mapping[str, float],
    ) -> None:
        """Ask Kafka and tell. In the thread."""
        ask, backlogs, clock = self._app.directory, self._backlogs, self._clock
        ends = ask.offsets({place: place for place in backlogs.ends(standing)}, _LATEST, ASK_S)
        now_ms, now_s = clock.time_ns() // 1_000_000, clock.monotonic()
        younger = ask.after(backlogs.ages(now_s, standing, ends), ASK_S)
        firsts = ask.offsets({place: place for place in backlogs.expired(standing, younger)}, _EARLIEST, ASK_S)
        found: dict[str, Measure] = {}
        of_topics = self._sources(snapshot)
        for topic, backlog, drained in backlogs.topics(
            now_ms, now_s, standing, younger, firsts, sizes, unknown_bytes=UNKNOWN_BYTES
        ):
            for source_id in of_topics.get(topic, ()):
                found[source_id] = Measure(backlog, drained, ratios.get(source_id, 0.0))
        records = self._pressures.take(now_ms, snapshot.sources, found)
        self._told.tell(records, [(source_id, "stage") for source_id in self._pressures.gone(snapshot.sources)])

    def _sources(self, snapshot: Snapshot) -> dict[str, list[str]]:
        """Return the sources of each raw topic, worked out once per snapshot."""
        if self._of_topics[0] is not snapshot:
            made: dict[str, list[str]] = {}
            for source in snapshot.sources.values():
                made.setdefault(source.topic, []).append(source.id)
            self._of_topics = snapshot, made
        return self._of_topics[1]


def _from_zero(now_s: float) -> Rate:
    rate = Rate()
    rate.add(now_s, 0)
    return rate
