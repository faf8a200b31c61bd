"""What waits for the tables, by source: the worst of the streams that read its topics (spec section 9).

Lives here: which streams count, and what their states mean. Not here: telling it (pressure.py). Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.definitions.stream import State, read_topic
from schemas.definitions.view import Snapshot, SourceView, StreamView
from schemas.overload import Backlog
from schemas.pressure import Measure, Rate
from schemas.reasons import Reason
from schemas.topics import Kind, event
from schemas.wire.pressure import STALE_S
from sinks.status import StreamState

Place = tuple[str, int]
"""(clean topic name, partition)."""
NOTHING = Measure(Backlog(0, 0.0), None)
_BY_ITSELF = {None, Reason.WRITER_FAILED.value}
"""Why a writer that failed goes on by itself; for others it waits for a person."""


@dataclass(slots=True)
class _Known:
    """One stream look after look: when nothing waited last (ms, 0 = never seen so), and how fast it reads."""

    clear_ms: int
    rate: Rate


class Lagging:
    """The streams that are to run; `ask`, then `measures`."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._readers: tuple[Snapshot | None, dict[str, list[StreamView]]] = None, {}

    def readers(self, snapshot: Snapshot, source: SourceView) -> Sequence[StreamView]:
        """Return the streams that are to run and read a source's events; worked out once per snapshot."""
        if self._readers[0] is not snapshot:
            made: dict[str, list[StreamView]] = {}
            for stream in snapshot.streams.values():
                if stream.desired == "running":
                    for name in {read_topic(topic) for topic in stream.definition.topics}:
                        made.setdefault(name, []).append(stream)
            self._readers = snapshot, made
        return self._readers[1].get(event(source.tenant, source.platform), ())

    def ask(self, snapshot: Snapshot, states: Mapping[str, StreamState]) -> list[Place]:
        """Return the partitions to ask the ends of: those of streams that do not read now and go on by themselves."""
        names = {topic.topic_id: topic.name for topic in snapshot.topics.values() if topic.kind == Kind.EVENT}
        return [
            (names[topic_id], int(partition))
            for state in states.values()
            if _retries(state)
            for topic_id, positions in state.positions.items()
            if topic_id in names
            for partition in positions
        ]

    def measures(
        self,
        now_ms: int,
        now_s: float,
        snapshot: Snapshot,
        sources: Iterable[SourceView],
        states: Mapping[str, StreamState],
        ends: Mapping[Place, int],
    ) -> dict[str, Measure]:
        """Return the worst stream's measure by source id; sources of which a stream is not known are left out.

        `states`: of the streams of these sources, as their writers said them.
        """
        ids = {topic.name: topic.topic_id for topic in snapshot.topics.values() if topic.kind == Kind.EVENT}
        by_id: dict[str, dict[str, int]] = {}
        for (name, number), end in ends.items():
            by_id.setdefault(ids.get(name, ""), {})[str(number)] = end
        for stream_id in self._known.keys() - snapshot.streams.keys():
            del self._known[stream_id]
        seen: dict[str, Measure | None] = {}
        found: dict[str, Measure] = {}
        for source in sources:
            worst: Measure | None = NOTHING
            for stream in self.readers(snapshot, source):
                if stream.id not in seen:
                    seen[stream.id] = self._of_stream(now_ms, now_s, stream, states.get(stream.id), by_id)
                one = seen[stream.id]
                worst = None if one is None or worst is None else max(one, worst, key=_weight)
            if worst is not None:
                found[source.id] = worst
        return found

    def _of_stream(
        self,
        now_ms: int,
        now_s: float,
        stream: StreamView,
        state: StreamState | None,
        ends: Mapping[str, Mapping[str, int]],
    ) -> Measure | None:
        """Return what waits for one stream; None: not known. What waits for a person, or for its topic, is nothing."""
        known = self._known.setdefault(stream.id, _Known(0, Rate()))
        if state is None or state.generation < stream.generation or now_ms - state.updated_at_ms >= STALE_S * 1000:
            return None
        if state.state is State.WAITING or (state.state is State.FAILED and state.reason not in _BY_ITSELF):
            return NOTHING
        known.rate.add(now_s, sum(at for places in state.positions.values() for at in places.values()))
        lag, age_s = state.lag_records, state.lag_s
        if state.state is not State.RUNNING:
            lag, age_s = _behind(state.positions, ends), None
        if lag is None:
            return None
        if not lag:
            known.clear_ms = now_ms
            return Measure(Backlog(0, 0.0), known.rate.per_s)
        fresh_s = stream.definition.freshness_seconds
        bounds = [] if age_s is None else [age_s]
        if since_ms := max(known.clear_ms, state.committed_at_ms or 0 if age_s is None else 0):
            bounds.append(max(0, now_ms - since_ms) / 1000)
        if not bounds:
            return None
        late = min(bounds) > fresh_s  # else it waits for a commit that is not due yet
        return Measure(Backlog(lag, min(bounds)) if late else Backlog(0, 0.0), known.rate.per_s)


def _retries(state: StreamState) -> bool:
    return state.state in {State.STARTING, State.FAILED, State.STOPPING} and state.reason in _BY_ITSELF


def _behind(positions: Mapping[str, Mapping[str, int]], ends: Mapping[str, Mapping[str, int]]) -> int | None:
    """Return how many records lie ahead of positions; None when an end is not known, or no position is."""
    behind = 0
    for topic_id, places in positions.items():
        for partition, at in places.items():
            end = ends.get(topic_id, {}).get(partition)
            if end is None:
                return None
            behind += max(0, end - at)
    return behind if positions else None


def _weight(measure: Measure) -> tuple[float, int]:
    return measure.backlog.age_s, measure.backlog.events
