"""The tails of this process: which run, started and stopped without touching the others.

Lives here: from a registry snapshot and the owned partitions to running tails. A stream's next tail starts only when
its last one has ended, so one process never writes a table twice at a time.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from schemas import logs, names, topics
from schemas.definitions.cuts import cuts, orders
from schemas.definitions.stream import State, read_topic
from schemas.definitions.view import EMPTY, Snapshot, StreamView
from sinks.columns.key import key_of
from sinks.columns.policy import Limits, Mode
from sinks.columns.typing import Typing, named
from sinks.layout import EventLayout, FixedLayout, Layout
from sinks.rows.fixed import LEDGER_TABLE, QUARANTINE_TABLE
from sinks.spec import Env, Spec
from sinks.split.plan import plan_of
from sinks.split.tails import Split
from sinks.status import Brief, StreamState
from sinks.table.partitions import Arrangement
from sinks.tail import Tail
from sinks.upsert.keys import keys_of

QUARANTINE, LEDGER = "hookberg_quarantine", "hookberg_ledger"
SYSTEM_FRESHNESS_S = 5.0
REVOKE_S = 5.0
EVENTS = "events"
log = logs.logger(__name__)


def partition_of(spec: Spec, count: int) -> int:
    """Return the ownership partition of a table: whoever owns it may write the table."""
    return topics.partition(".".join(spec.identifier).encode(), count)


def wanted(snapshot: Snapshot) -> Iterator[Spec]:
    """Yield what should run: streams with `desired` running, and each tenant's own tables that have topics.

    A tenant that is being deleted too: its streams are stopped and its topics gone from the registry when it is time.
    """
    for stream in snapshot.streams.values():
        if stream.desired == "running":
            plan = plan_of(snapshot, stream)
            yield replace(of_stream(stream, () if plan else pins(snapshot, stream)), split=plan)
    own: dict[tuple[str, str], list[str]] = {}
    for topic in snapshot.topics.values():
        if topic.kind in {topics.Kind.QUARANTINE, topics.Kind.LEDGER}:
            own.setdefault((topic.tenant, topic.kind), []).append(topic.name)
    for (tenant, kind), read in own.items():
        table = QUARANTINE if kind == topics.Kind.QUARANTINE else LEDGER
        yield Spec(
            id=f"{tenant}.{table}",
            identifier=(tenant, table),
            topics=tuple(sorted(read)),
            start_from="earliest",
            freshness_s=SYSTEM_FRESHNESS_S,
            generation=0,
            accept_loss=True,  # nobody could say so: the gap is in the next snapshot's summary, rows are for people
            kind=kind,
        )


def pins(snapshot: Snapshot, stream: StreamView) -> tuple[tuple[str, bytes], ...]:
    """Return the pinned schemas of the sources that feed a stream, for the event types that it selects, by name."""
    wanted_types = stream.definition.event_types
    found: dict[str, bytes] = {}
    for topic in stream.definition.topics:
        parsed = topics.parse(topic)
        for source in () if parsed is None else snapshot.by_platform.get((parsed.tenant, parsed.target), ()):
            for glob, pin in source.definition.pins.items():
                text = snapshot.schemas.get((source.tenant, pin))
                if text is not None and (not wanted_types or any(_meet(glob, one) for one in wanted_types)):
                    found[pin] = text
    return tuple(sorted(found.items()))


def _meet(one: str, other: str) -> bool:
    """Tell whether two globs may select a type together; unsure where both have wildcards: they may."""
    return fnmatchcase(one, other) or fnmatchcase(other, one) or ("*" in one and "*" in other)


def of_stream(stream: StreamView, pinned: tuple[tuple[str, bytes], ...] = ()) -> Spec:
    """Return the spec of one stream; `pinned` as `pins` returns them."""
    definition = stream.definition
    key = key_of(definition.primary_key, definition.sequence_field)
    always = named(definition.columns) | (frozenset() if key is None else key.paths)
    return Spec(
        id=stream.id,
        identifier=names.namespace(stream.tenant, definition.target_table or ""),
        topics=tuple(read_topic(topic) for topic in definition.topics),
        start_from=definition.start_from,
        freshness_s=definition.freshness_seconds,
        generation=stream.generation,
        accept_loss=stream.accept_loss,
        kind=EVENTS,
        layout=(
            Typing(
                Limits(definition.typed_depth, definition.max_columns, always),
                Mode(definition.contract.columns),
                Mode(definition.contract.data_types),
                pinned,
                stream.frozen,
            ),
            "stitch" if definition.column_names == "stitch" else definition.layout,
            key,
        ),
        event_types=definition.event_types,
        arrangement=Arrangement(cuts(definition.partition_by), orders(definition.sort_by)),
        keys=keys_of(definition),
        retention_days=definition.retention_days,
    )


def layout_of(spec: Spec) -> Layout:
    """Return the layout that a spec asks for."""
    if spec.kind == EVENTS:
        typing, layout, key = spec.layout
        return EventLayout(typing, spec.event_types, layout, key, spec.keys)
    return FixedLayout(QUARANTINE_TABLE if spec.kind == topics.Kind.QUARANTINE else LEDGER_TABLE)


def tail_of(spec: Spec, env: Env) -> Tail | Split:
    """Return what runs a spec."""
    return Tail(spec, layout_of(spec), env) if spec.split is None else Split(spec, spec.split, layout_of, env)


class Fleet:
    """Keeps the running tails what they should be. `reconcile` and `release` may be called from different threads."""

    def __init__(self, env: Callable[[int], Env]) -> None:
        self._env = env
        self._tails: dict[str, Tail | Split] = {}
        self._ending: dict[str, Tail | Split] = {}
        self._lock = threading.Lock()
        self._known: tuple[Snapshot, Sequence[Spec]] = (EMPTY, ())
        self._placed: tuple[Snapshot, int, Mapping[str, int]] = (EMPTY, 0, {})
        self._done: tuple[Snapshot, Collection[int], int] | None = None

    def reconcile(self, snapshot: Snapshot, owned: Collection[int], count: int) -> None:
        """Start and stop tails so that exactly the wanted and owned ones run; never waits for one."""
        with self._lock:  # asked four times a second: nothing to do unless something has changed
            same = self._done is not None and self._done[0] is snapshot and self._done[1:] == (owned, count)
            if same and not self._ending:
                return
        specs = {spec.id: spec for spec in self._wanted(snapshot) if partition_of(spec, count) in owned}
        with self._lock:
            self._done = snapshot, owned, count
            self._ending = {name: tail for name, tail in self._ending.items() if tail.alive}
            for name, tail in list(self._tails.items()):
                if specs.get(name) != tail.spec:
                    tail.stop()
                    self._ending[name] = self._tails.pop(name)
            for name, spec in specs.items():
                if name not in self._tails and name not in self._ending:
                    self._tails[name] = tail_of(spec, self._env(len(specs)))
                    self._tails[name].start()

    def _wanted(self, snapshot: Snapshot) -> Sequence[Spec]:
        """Return what should run, worked out once per snapshot: it is asked for four times a second."""
        if self._known[0] is not snapshot:
            self._known = snapshot, tuple(wanted(snapshot))
        return self._known[1]

    def release(self, gone: Callable[[int], bool], count: int, timeout_s: float = REVOKE_S) -> None:
        """Stop the tails of ownership partitions that are `gone`; returns when they have ended, at most `timeout_s`.

        One that has not ended by then is fenced by the next owner's commit.
        """
        with self._lock:
            self._done = None
            leaving = [tail for tail in self._tails.values() if gone(partition_of(tail.spec, count))]
            for tail in leaving:
                tail.stop()
                self._ending[tail.spec.id] = self._tails.pop(tail.spec.id)
            leaving = [tail for tail in self._ending.values() if gone(partition_of(tail.spec, count))]
        share = timeout_s / max(1, len(leaving))
        late = [tail.spec.id for tail in leaving if not tail.join(share)]
        if late:
            log.warning("tails_late", streams=late)

    def briefs(self, snapshot: Snapshot, owned: Collection[int], count: int) -> dict[str, Brief]:
        """Return state and generation of every stream that this process owns; the rest of `states` costs more."""
        return {stream.id: brief for stream, brief, _tail in self._each(snapshot, owned, count)}

    def states(self, snapshot: Snapshot, owned: Collection[int], count: int, now_ms: int) -> list[StreamState]:
        """Return the state of every stream that this process owns (our own tables have no stream object)."""
        return [
            tail.status() if tail is not None else _plain(stream, brief[0], self._leaving(stream.id), now_ms)
            for stream, brief, tail in self._each(snapshot, owned, count)
        ]

    def _each(
        self, snapshot: Snapshot, owned: Collection[int], count: int
    ) -> Iterator[tuple[StreamView, Brief, Tail | Split | None]]:
        """Yield the streams that this process owns with what runs them; None: nothing does, or it is ending."""
        with self._lock:
            tails, ending = dict(self._tails), dict(self._ending)
        for name, partition in self._places(snapshot, count).items():
            if partition not in owned:
                continue
            stream = snapshot.streams[name]
            if (tail := tails.get(name)) is not None:
                yield stream, tail.brief, tail
            elif (leaving := ending.get(name)) is not None and leaving.alive:
                state = State.STOPPING if stream.desired == "stopped" else State.STARTING
                yield stream, (state, stream.generation), None
            elif stream.desired == "stopped" and stream.generation > 0:
                yield stream, (State.STOPPED, stream.generation), None

    def _leaving(self, name: str) -> str:
        """Return who is ending a stream; "": nobody."""
        leaving = self._ending.get(name)
        return "" if leaving is None or not leaving.alive else leaving.status().owner or ""

    def _places(self, snapshot: Snapshot, count: int) -> Mapping[str, int]:
        """Return the ownership partition of each stream's table, worked out once per snapshot."""
        if self._placed[0] is not snapshot or self._placed[1] != count:
            found = {one.id: partition_of(of_stream(one), count) for one in snapshot.streams.values()}
            self._placed = snapshot, count, found
        return self._placed[2]

    def __len__(self) -> int:
        return len(self._tails)


def _plain(stream: StreamView, state: State, owner: str, now_ms: int) -> StreamState:
    return StreamState(stream.id, state, owner=owner, generation=stream.generation, updated_at_ms=now_ms)
