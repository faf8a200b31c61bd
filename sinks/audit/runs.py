"""Runs against clean events, per position: from its first run on, an assignment has one for each event that it takes.

Lives here: run records -> columns, and the walk of the clean events beside them. Not here: Kafka (sinks/read/runs.py).
Assignments come and go while events flow, and when the stage sees that is written nowhere: so of each clean partition
what is before the first run of an assignment, and behind the last of one that was deleted, proves nothing. Pure.
"""

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from schemas.definitions.role import role_of, takes
from schemas.wire.position import Position
from sinks.audit.marks import MAX_ITEM, Marks, of_id, pack, unpack
from sinks.audit.report import RunRow

MAX_ROLES = 10_000
"""Roles whose assignments are remembered: senders name event types."""
_MAX_OFFSET = 1 << 48


class _Place(msgspec.Struct):
    topicId: str  # noqa: N815 wire name
    partition: int
    offset: int
    item: int


class _Head(msgspec.Struct):
    """What the audit needs of a run record."""

    assignmentId: str  # noqa: N815 wire name
    assignedRole: str  # noqa: N815
    eventId: str  # noqa: N815
    eventTopic: str  # noqa: N815
    eventPartition: int  # noqa: N815
    position: _Place


_decode = msgspec.json.Decoder(_Head).decode
Clean = tuple[str, int, str]
"""Where clean events stand, and of which raw topic they are: clean topic, partition, raw topic id."""


@dataclass(slots=True)
class _Part:
    """The runs of one assignment over one clean partition; `begins`: the first position in each run partition."""

    marks: Marks = field(default_factory=Marks)
    begins: dict[int, int] = field(default_factory=dict)
    met: bytearray = field(default_factory=bytearray)
    first: int = 0
    gap: int | None = None
    started: bool = False


@dataclass(slots=True)
class _Assignment:
    row: RunRow
    cut: list[int]
    alive: bool
    parts: dict[Clean, _Part] = field(default_factory=dict)


class Runs:
    """The runs of one tenant. First `take` all, then `sort`, then `meet` the clean events in order, then `done`."""

    def __init__(self, tenant: str, alive: Mapping[str, str]) -> None:
        """Begin; `alive`: the assignments that are there, id to what it is called."""
        self._tenant, self._alive = tenant, alive
        self._all: dict[str, _Assignment] = {}
        self._taking: dict[str, list[_Assignment]] = {}
        self.odd: list[RunRow] = []

    def take(self, topic: str, topic_id: str, cut: list[int], place: tuple[int, int], value: bytes | None) -> None:
        """Take one record of a run topic at `place` (partition, offset); `cut`: partitions that begin behind 0."""
        try:
            head = _decode(value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._odd(topic, "is in a run topic and is no run", Position(topic_id, *place, 0))
            return
        at = head.position
        if not (0 <= at.offset < _MAX_OFFSET and 0 <= at.item <= MAX_ITEM):
            self._odd(topic, "is a run of an impossible position", Position(topic_id, *place, 0))
            return
        found = self._all.get(head.assignmentId)
        if found is None:
            name = self._alive.get(head.assignmentId, head.assignmentId)
            row = RunRow(self._tenant, name, head.assignedRole, topic)
            found = self._all[head.assignmentId] = _Assignment(row, cut, head.assignmentId in self._alive)
        part = found.parts.setdefault((head.eventTopic, head.eventPartition, at.topicId), _Part())
        key = pack(at.offset, at.item)
        part.marks.add(key, of_id(head.eventId))
        part.begins[place[0]] = min(part.begins.get(place[0], key), key)
        found.row.runs += 1

    def sort(self) -> None:
        """Bring the runs into order; two of one event and assignment are named."""
        for one in self._all.values():
            for where, part in one.parts.items():
                part.marks.sort()
                part.met = bytearray(len(part.marks))
                part.first = _begin(part, one.cut)
                keys, ids = part.marks.keys, part.marks.ids
                for n in range(1, len(keys)):
                    if (keys[n], ids[n]) == (keys[n - 1], ids[n - 1]):
                        part.met[n] = 1
                        one.row.findings.add(f"has two runs of assignment {one.row.assignment}", _at(where, keys[n]))

    def meet(self, where: Clean, key: int, mark: int, source_kind: str, event_type: str) -> None:
        """Meet one clean event: position, id as a number, what its role is made of; in the order of its partition."""
        for one in self._of(role_of(source_kind, event_type)):
            part = one.parts.get(where)
            if part is None:
                continue
            at = _find(part.marks.keys, part.marks.ids, key, mark)
            if at is None:
                if part.started and part.gap is None and key >= part.first:
                    part.gap = key
                continue
            part.met[at] = 1
            if part.gap is not None:
                one.row.findings.add(
                    f"has no run of assignment {one.row.assignment}, later ones have", _at(where, part.gap)
                )
                part.gap = None
            part.started = part.started or key >= part.first
            one.row.events += 1

    def done(self, floors: Mapping[Clean, int]) -> list[RunRow]:
        """Return a row for each assignment; `floors`: the partitions that were met, with the first raw offset kept."""
        for one in self._all.values():
            for where, part in one.parts.items():
                if where not in floors:
                    continue
                if part.gap is not None and one.alive:
                    what = f"has no run of assignment {one.row.assignment}, which is there, or was deleted just now"
                    one.row.findings.add(what, _at(where, part.gap))
                self._without(one.row, where, part, floors[where])
        return [*self.odd, *(one.row for one in self._all.values())]

    def _without(self, row: RunRow, where: Clean, part: _Part, floor: int) -> None:
        """Name runs that met no clean event, but for those behind what was read and before what is kept."""
        last = max((n for n, met in enumerate(part.met) if met), default=-1)
        for n in range(last):
            if not part.met[n] and unpack(part.marks.keys[n])[0] >= floor:
                row.findings.add("has a run and is not clean", _at(where, part.marks.keys[n]))

    def _of(self, role: str) -> list[_Assignment]:
        found = self._taking.get(role)
        if found is None:
            if len(self._taking) >= MAX_ROLES:
                self._taking.clear()
            found = self._taking[role] = [one for one in self._all.values() if takes(one.row.role, role)]
        return found

    def _odd(self, topic: str, what: str, position: Position) -> None:
        row = next((row for row in self.odd if row.topic == topic), None)
        if row is None:
            row = RunRow(self._tenant, "", "", topic)
            self.odd.append(row)
        row.findings.add(what, position)


def _begin(part: _Part, cut: list[int]) -> int:
    """Return the first position from which on all runs are kept, given the run partitions that lost their beginning."""
    if any(partition not in part.begins for partition in cut):
        return 1 << 62
    return max((part.begins[partition] for partition in cut), default=0)


def _find(keys: "array[int]", ids: "array[int]", key: int, mark: int) -> int | None:
    at = bisect_left(keys, key)
    while at < len(keys) and keys[at] == key:
        if ids[at] == mark:
            return at
        at += 1
    return None


def _at(where: Clean, key: int) -> Position:
    return Position(where[2], where[1], *unpack(key))
