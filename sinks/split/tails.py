"""A stream that is split, run: its own table and one tail per event type, all fed by one consumer.

Lives here: from types to tails, and their states as one stream's. To the fleet it is one tail. Each tail is what it is
elsewhere (sinks/tail.py): its table says where it goes on, and what is wrong with it concerns no other.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from confluent_kafka.admin import AdminClient

from schemas import logs
from schemas.definitions.cuts import Cut
from schemas.definitions.stream import State
from sinks.layout import Layout
from sinks.source import options
from sinks.spec import Env, Spec
from sinks.split import known
from sinks.split.branch import Branch
from sinks.split.hub import OWN, Hub
from sinks.split.known import Member
from sinks.split.plan import MAX_TYPES, Plan, splits
from sinks.status import StreamState, together
from sinks.table.partitions import Arrangement
from sinks.table.state import Offsets
from sinks.tail import Tail

JOIN_S = 5.0
AGAIN_S = 1.0
FLUSH_SHARE = 16
"""A type's table commits at this part of the bytes that a stream's one table would hold."""
_SAMPLES, _DRIFT = 100, 20
log = logs.logger(__name__)
Laid = Callable[[Spec], Layout]


class Split:
    """Runs a split stream until stopped; the same from outside as `sinks.tail.Tail`."""

    def __init__(self, spec: Spec, plan: Plan, laid: Laid, env: Env) -> None:
        self.spec, self._plan, self._laid, self._env = spec, plan, laid, env
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"split-{spec.id}", daemon=True)
        self._tails: dict[str, Tail] = {}
        self._names: dict[str, str] = {}
        self._blocked: set[str] = set()
        self._trouble: str | None = None
        self._hub: Hub | None = None

    # ---- asked from outside
    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end: no further poll, at most the commits in flight."""
        self._stop.set()
        for tail in list(self._tails.values()):
            tail.stop()
        if (hub := self._hub) is not None:
            hub.stop()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; False when it has not come in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Tell whether it runs."""
        return self._thread.is_alive()

    @property
    def brief(self) -> tuple[State, int]:
        """Return state and generation: what is told at once when it changes."""
        tails = dict(self._tails)
        if (own := tails.get(OWN)) is None:
            state = State.STOPPED if not self.alive and self._stop.is_set() else State.STARTING
        else:
            state = State.FAILED if any(tail.failed for tail in tails.values()) else own.brief[0]
        return state, self.spec.generation

    def status(self) -> StreamState:
        """Return what there is to tell now of all tables as one stream; the first one that failed gives the reason."""
        tails = dict(self._tails)
        states = {key: tail.status() for key, tail in tails.items()}
        now_ms = self._env.clock.time_ns() // 1_000_000
        own = states.get(OWN)
        if own is None:
            state = State.STOPPED if not self.alive and self._stop.is_set() else State.STARTING
            return StreamState(
                self.spec.id, state, message=self._trouble, owner=self._env.owner,
                generation=self.spec.generation, updated_at_ms=now_ms,
            )  # fmt: skip
        ages = sorted(age for tail in tails.values() for age in tail.ages(_SAMPLES))
        failed = next(((key, one) for key, one in sorted(states.items()) if one.state is State.FAILED), None)
        told = own
        if failed is not None and failed[0] != OWN:
            text = f"table {self._name(failed[0])}: {failed[1].message}; {len(tails) - 1} other tables go on"
            told = replace(own, state=State.FAILED, reason=failed[1].reason, message=text)
        elif self._trouble is not None and own.reason is None:
            told = replace(own, message=self._trouble)
        return replace(
            told,
            rows=sum(one.rows for one in states.values()),
            files=sum(one.files or 0 for one in states.values()),
            bytes=sum(one.bytes or 0 for one in states.values()),
            overflow=sum(one.overflow or 0 for one in states.values()),
            discarded=sum(one.discarded or 0 for one in states.values()),
            committed_at_ms=max(
                (at for one in states.values() if (at := one.committed_at_ms) is not None), default=None
            ),
            positions=_least([one.positions for one in states.values()]),
            freshness_p50_s=ages[len(ages) // 2] if ages else None,
            freshness_p95_s=ages[len(ages) * 95 // 100] if ages else None,
            drift=tuple(dict.fromkeys(pointer for one in states.values() for pointer in one.drift))[:_DRIFT],
            index_keys=_sum([one.index_keys for one in states.values()]),
            index_bytes=_sum([one.index_bytes for one in states.values()]),
            upkeep=together([one.upkeep for one in states.values()]),
        )

    # ---- what the hub asks
    def route(self, event_type: str) -> str | None:
        """Return the key of the table of a type, None for one not selected; `KeyError`: not seen before."""
        if not self._plan.selects(event_type):
            return None
        if event_type in self._tails:
            return event_type
        if not splits(event_type) or len(self._names) + len(self._blocked) >= MAX_TYPES or event_type in self._blocked:
            return OWN
        raise KeyError(event_type)

    def expected(self) -> Collection[str]:
        """Return the keys of the tables that run and may join."""
        return {OWN} | {key for key, tail in list(self._tails.items()) if tail.alive and not tail.failed}

    def meet(self, event_types: Sequence[str], at: Offsets) -> None:
        """Give new types their tables, made to begin at `at`; returns when they are ready, or late."""
        made: list[Member] = []
        for kind in event_types:
            if len(self._names) + len(self._blocked) + len(made) >= MAX_TYPES:
                log.warning("split_types_full", stream=self.spec.id, event_type=kind, most=MAX_TYPES)
                break
            layout = self._laid(self._spec(kind, ""))
            arrangement = self.spec.arrangement or Arrangement((Cut("day", layout.time),))
            member = known.take(
                self._env.catalog, self.spec.identifier, self.spec.id, kind, at, layout.first_schema(), arrangement
            )
            if member is None:
                log.warning("split_names_taken", stream=self.spec.id, event_type=kind)
                self._blocked.add(kind)
            else:
                made.append(member)
        known.name(self._env.catalog, self.spec.identifier, made)
        for member in made:
            self._begin(member)
        if made and self._hub is not None:
            self._hub.joined([member.event_type for member in made], JOIN_S)

    # ---- its own thread
    def _run(self) -> None:
        try:
            hub = self._hub = Hub(self._open, self, self._env.clock)
            if self._stop.is_set():
                hub.stop()
            self._start_tail(OWN, replace(self.spec, split=None, event_types=()), None)
            self._find(hub)
            hub.run()
        except Exception:
            log.exception("split_failed", stream=self.spec.id)
            raise
        finally:
            for tail in self._tails.values():
                tail.stop()
            for tail in self._tails.values():
                tail.join(JOIN_S)

    def _open(self) -> Any:  # noqa: ANN401 a Reading, of whatever env opens
        return self._env.source(options(self._env.kafka, self._env.queue_kib), self._env.admin, self.spec.topics)

    def _find(self, hub: Hub) -> None:
        """Start the tails of the tables that the stream's own names; asks until the catalog answers."""
        while not self._stop.is_set():
            if not hub.joined([OWN], AGAIN_S):
                continue
            try:
                found = known.members(self._env.catalog.load_table(self.spec.identifier).metadata)
            except Exception as error:  # noqa: BLE001 whatever catalogs raise: ask again
                self._trouble = f"the stream's tables cannot be read: {type(error).__name__}: {error}"[:500]
                log.warning("split_waits", stream=self.spec.id, error=self._trouble)
                self._stop.wait(AGAIN_S)
                continue
            self._trouble = None
            for member in found:
                self._begin(member)
            return

    def _begin(self, member: Member) -> None:
        kind = member.event_type
        if kind not in self._tails and not self._stop.is_set():
            self._names[kind] = member.table
            self._start_tail(kind, self._spec(kind, member.table), member.start)

    def _spec(self, kind: str, table: str) -> Spec:
        typing, *rest = self.spec.layout
        return replace(
            self.spec,
            identifier=(self.spec.identifier[0], table),
            layout=(replace(typing, pins=self._plan.pinned(kind)), *rest),
            event_types=(),
            split=None,
            facts=tuple(known.facts(kind).items()),
        )

    def _start_tail(self, key: str, spec: Spec, start: Offsets | None) -> None:
        hub = self._hub
        assert hub is not None  # noqa: S101 made before any tail

        def branch(_config: Mapping[str, Any], _admin: AdminClient, _names: Sequence[str]) -> Branch:
            return Branch(hub, key, start, spec.freshness_s / 2 + AGAIN_S)

        share = FLUSH_SHARE if key != OWN else 1
        env = replace(self._env, source=branch, flush_bytes=max(1, self._env.flush_bytes // share))
        tail = self._tails[key] = Tail(spec, self._laid(spec), env)
        tail.start()
        if self._stop.is_set():
            tail.stop()

    def _name(self, key: str) -> str:
        return ".".join((self.spec.identifier[0], self._names.get(key, self.spec.identifier[1])))


def _sum(many: Sequence[int | None]) -> int | None:
    told = [one for one in many if one is not None]
    return sum(told) if told else None


def _least(many: Sequence[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    """Return the lowest position of each partition."""
    made: dict[str, dict[str, int]] = {}
    for one in many:
        for topic, ends in one.items():
            mine = made.setdefault(topic, {})
            for partition, at in ends.items():
                mine[partition] = min(at, mine.get(partition, at))
    return made
