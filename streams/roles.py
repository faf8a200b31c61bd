"""Clean events -> run records: which assignments take an event, and what is written for each (spec section 7).

Lives here: matching, worked out once for each state of the registry, and the records. Not here: what Kafka says of run
topics (engine/runs.py), producing (engine/transaction.py). Pure. Only a decision whose outcome is clean makes runs.
"""

import re
from collections.abc import Iterable, Mapping
from fnmatch import translate
from typing import NamedTuple

from schemas import ids
from schemas.definitions.role import is_glob, role_of
from schemas.definitions.view import RoleView
from schemas.topics import range_partition
from schemas.wire import run as run_wire
from schemas.wire.run import Run
from streams.decide import Decision
from streams.emit import OVERHEAD, Decided, Place, Record

MAX_TYPES = 1_024
"""Pairs of source kind and event type remembered a tenant: senders name them, so their number is bounded."""
EVENT_BYTES = 16 << 20
"""Of clean events inside the runs of one delivery at most: past it they are left out, and stand in their own topic."""


class Target(NamedTuple):
    """A run topic as it is: partitions, those that each group of the tenant has to itself, its largest record."""

    topic: str
    partitions: int
    span: int
    limit: int


class Assignment(NamedTuple):
    """An assignment in effect."""

    view: RoleView
    target: Target


class Taken(NamedTuple):
    """An event's role, and the assignments that take it, by their ids."""

    role: str
    assignments: tuple[Assignment, ...]


class Roles:
    """The assignments of one tenant in effect; `slot` is the number of this group among those of the tenant."""

    __slots__ = ("_exact", "_globs", "_slot", "_taken", "tenant")

    def __init__(self, tenant: str, slot: int, views: Iterable[RoleView], targets: Mapping[str, Target]) -> None:
        self.tenant, self._slot = tenant, slot
        self._exact: dict[str, list[Assignment]] = {}
        self._globs: list[tuple[re.Pattern[str], Assignment]] = []
        for view in views:
            target = targets.get(view.topic)
            if target is None:
                continue
            made = Assignment(view, target)
            if is_glob(view.role):
                self._globs.append((re.compile(translate(view.role)), made))
            else:
                self._exact.setdefault(view.role, []).append(made)
        self._taken: dict[tuple[str, str], Taken | None] = {}

    def taken(self, source_kind: str, event_type: str) -> Taken | None:
        """Return what an event of this kind and type meets, None for nothing."""
        key = (source_kind, event_type)
        try:
            return self._taken[key]
        except KeyError:
            if len(self._taken) >= MAX_TYPES:
                self._taken.clear()
            found = self._taken[key] = self._find(source_kind, event_type)
            return found

    def with_runs(self, decided: Decided, place: Place) -> Decided:
        """Return a clean decision with its run records behind those that it has."""
        event = decided.decision.event
        taken = self.taken(event.source_kind, event.event_type)
        if taken is None:
            return decided
        return Decided(decided.decision, (*decided.records, *self._runs(decided, place, taken)))

    def _find(self, source_kind: str, event_type: str) -> Taken | None:
        role = role_of(source_kind, event_type)
        found = [*self._exact.get(role, ()), *(made for pattern, made in self._globs if pattern.match(role))]
        return Taken(role, tuple(sorted(found, key=lambda made: made.view.id))) if found else None

    def _runs(self, decided: Decided, place: Place, taken: Taken) -> Iterable[Record]:
        decision, value = decided.decision, decided.records[0].value or b""
        event = decision.event
        items = max(1, len(event.delivery.items))
        holds = items * len(taken.assignments) * len(value) <= EVENT_BYTES
        chat = ids.chat_id(self.tenant, taken.role, event.source_identifier)
        key = chat.encode()
        for view, target in taken.assignments:
            made = _run(decision, place, taken.role, chat, view, value if holds else None, len(value))
            if len(made) + OVERHEAD > target.limit:
                made = _run(decision, place, taken.role, chat, view, None, len(value))
                if len(made) + OVERHEAD > target.limit:
                    continue  # a topic that takes nothing of this size is no consumer's: README.md, "Roles"
            number = range_partition(key, self._slot, target.span, target.partitions)
            yield Record(target.topic, number, key, made)


def _run(
    decision: Decision, place: Place, role: str, chat: str, view: RoleView, event: bytes | None, size: int
) -> bytes:
    return run_wire.encode(
        Run(
            ids.run_id(decision.event_id, view.id),
            chat,
            place.raw.tenant,
            role,
            view.target,
            view.id,
            view.role,
            decision.event_id,
            place.event,
            place.partition,
            place.position(decision.event.delivery.record.offset, decision.event.item.number),
            size,
            event,
        )
    )
