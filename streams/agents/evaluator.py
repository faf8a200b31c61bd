"""The one place that opens and closes alerts (spec section 10), in the second app: one process in a cluster.

Lives here: gathering what is known, asking the rules (streams/alerts), telling the registry and the log, and that what
was open before is taken over. Not here: when something is wrong. Floods and silence tell for themselves (alerts.py,
silence.py).
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from schemas.backing.registry import StreamState
from schemas.definitions.alert import Alert, AlertKind
from schemas.definitions.view import Snapshot
from schemas.logs import logger
from schemas.ports import AlertBook, Clock
from schemas.wire.ledger import Ledger
from schemas.wire.pressure import Origin, Pressure
from streams.alerts import backlog, streams
from streams.alerts.finding import Entity, Finding, Judged, Now, Open, Standing
from streams.alerts.groups import GroupRestarts, groups_of
from streams.alerts.losses import LossBudget, Losses, shedding

EVERY_S = 2.0
UPDATE_S = 30.0
"""The figures of an open alert are brought up to date no more often, but for its level."""
HOLD_S = 30.0
"""So long all must be well before an alert is closed, or its level lowered."""
MEMBERS_S, AWAY_S = 5.0, 60.0
"""Worker groups are asked for so often; so much later once it took longer than that."""
MOST_OPEN = 10_000
_log = logger(__name__)
Rule = Callable[[Now, Open], Judged]


class Known(Protocol):
    """The registry's volatile rows, read. Blocking; may raise."""

    def many(self, stream_ids: Collection[str]) -> Mapping[str, StreamState]:
        """Return the states of streams. Implemented by `registry.states`."""


class Taken(Protocol):
    """The edges' counters. Blocking; may raise."""

    def losses(self, source_ids: Collection[str]) -> Mapping[str, tuple[int, int]]:
        """Return the deliveries of sources that were accepted, and shed. Implemented by `registry.tallies`."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Where what is known comes from. `pressures`: the newest records."""

    alerts: AlertBook
    states: Known
    tallies: Taken
    pressures: Callable[[], Mapping[tuple[str, Origin], Pressure]]


class Evaluator:
    """`note` is told what is decided, `step` is called now and then; both on one event loop.

    `members` returns the ids of a Kafka group's members; none while Kafka is away, which may take it a while.
    """

    def __init__(
        self,
        sight: Sight,
        snapshot: Callable[[], Snapshot],
        clock: Clock,
        members: Callable[[str], Collection[str]],
    ) -> None:
        self._sight, self._snapshot, self._clock, self._members = sight, snapshot, clock, members
        self._joined: dict[str, frozenset[str]] = {}
        self._ask_s = 0.0
        self._losses = Losses()
        fresh, restarts, groups, budget = streams.Freshness(), streams.Restarts(), GroupRestarts(), LossBudget()
        self._rules: tuple[tuple[AlertKind, tuple[Rule, ...]], ...] = (
            (AlertKind.DEPTH, (backlog.depth,)),
            (AlertKind.AGE, (backlog.age,)),
            (AlertKind.FRESHNESS, (fresh.judge,)),
            (AlertKind.RETENTION, (backlog.retention, streams.retention)),
            (AlertKind.LOSS, (self._losses.judge, streams.loss)),
            (AlertKind.LOSS_BUDGET, (budget.judge,)),
            (AlertKind.RESTARTS, (restarts.judge, groups.judge)),
        )
        self._open: dict[AlertKind, dict[Entity, Standing]] | None = None
        self._told_s: dict[tuple[AlertKind, Entity], float] = {}
        self._better_s: dict[tuple[AlertKind, Entity], float] = {}

    def note(self, record: Ledger) -> None:
        """Take what became of records."""
        self._losses.note(record)

    async def step(self) -> None:
        """Judge everything; what the registry does not take is tried again with the next step."""
        snapshot = self._snapshot()
        if snapshot.revision < 0:
            return
        try:
            await asyncio.to_thread(self.look, snapshot)
        except Exception as error:  # noqa: BLE001 the data plane outlives the control plane
            _log.warning("alerts_not_evaluated", error=repr(error)[:300])

    def look(self, snapshot: Snapshot) -> None:
        """Gather, judge and tell once; blocks."""
        if self._open is None:
            self._open = {kind: self._learn(kind) for kind, _rules in self._rules}
        now = self._now(snapshot)
        for kind, rules in self._rules:
            standing = self._open[kind]
            judged: Judged = dict.fromkeys(one for one in standing if _is_gone(one, snapshot))
            for rule in rules:
                judged |= rule(now, standing)
            for entity, finding in judged.items():
                gone = finding is None and _is_gone(entity, snapshot)
                if gone or not self._waits((kind, entity), finding, standing.get(entity)):
                    self._tell((kind, entity), finding, standing)

    def _learn(self, kind: AlertKind) -> dict[Entity, Standing]:
        """Take over what the process before this one left open."""
        return {(one.entity_type, one.entity_id): _standing(one) for one in self._sight.alerts.opened(kind)}

    def _now(self, snapshot: Snapshot) -> Now:
        sight = self._sight
        running = [one.id for one in snapshot.streams.values() if one.desired == "running"]
        states, taken = sight.states.many(running), sight.tallies.losses(list(shedding(snapshot)))
        at_ms = self._clock.time_ns() // 1_000_000
        return Now(at_ms, snapshot, sight.pressures(), states, taken, self._groups(snapshot))

    def _groups(self, snapshot: Snapshot) -> Mapping[str, frozenset[str]]:
        """Return the members of the worker groups, asked for now and then; seldom while Kafka takes long to answer."""
        began_s = self._clock.monotonic()
        if began_s >= self._ask_s:
            self._ask_s, self._joined = began_s + MEMBERS_S, {}
            for group in groups_of(snapshot):
                self._joined[group] = frozenset(self._members(f"hookberg-{group}"))
                if self._clock.monotonic() - began_s > MEMBERS_S:
                    self._ask_s = self._clock.monotonic() + AWAY_S
                    break
        return self._joined

    def _waits(self, place: tuple[AlertKind, Entity], finding: Finding | None, before: Standing | None) -> bool:
        """Tell whether what is better now must stay so for a while before it is told."""
        better = before is not None and (finding is None or (finding.level, before.level) == ("warn", "alarm"))
        if not better:
            self._better_s.pop(place, None)
            return False
        now_s = self._clock.monotonic()
        return now_s - self._better_s.setdefault(place, now_s) < HOLD_S

    def _tell(self, place: tuple[AlertKind, Entity], finding: Finding | None, standing: dict[Entity, Standing]) -> None:
        before = standing.get(place[1])
        if finding is not None:
            self._raise(place, finding, before, standing)
        elif before is not None:
            self._sight.alerts.close(*place)
            del standing[place[1]]
            self._told_s.pop(place, None)
            self._better_s.pop(place, None)
            _log.info("alert_closed", **_named(place))

    def _raise(
        self,
        place: tuple[AlertKind, Entity],
        finding: Finding,
        before: Standing | None,
        standing: dict[Entity, Standing],
    ) -> None:
        now_s, changed = self._clock.monotonic(), before is None or before.level != finding.level
        if not changed and now_s < self._told_s.get(place, now_s - UPDATE_S) + UPDATE_S:
            return
        if before is None and len(standing) >= MOST_OPEN:
            return
        kind, entity = place
        details = {"level": finding.level, **finding.details}
        self._sight.alerts.open(finding.tenant, kind, entity, finding.message, details)
        standing[entity] = Standing(finding.level, details)
        self._told_s[place] = now_s
        self._better_s.pop(place, None)
        if changed:
            said = "alert_opened" if before is None else "alert_changed"
            _log.warning(said, level=finding.level, message=finding.message, **_named(place))


def _named(place: tuple[AlertKind, Entity]) -> dict[str, str]:
    kind, entity = place
    return {"kind": kind.value, "entity_type": entity[0], "entity_id": entity[1]}


def _standing(alert: Alert) -> Standing:
    return Standing("alarm" if alert.details.get("level") == "alarm" else "warn", alert.details)


def _is_gone(entity: Entity, snapshot: Snapshot) -> bool:
    """Tell whether what an alert is about is not there any more, or shall not run."""
    kind, entity_id = entity
    if kind == "stream":
        stream = snapshot.streams.get(entity_id)
        return stream is None or stream.desired != "running"
    return kind == "source" and entity_id not in snapshot.sources
