"""What a rule looks at and what it finds; levels with hysteresis.

Lives here: the shapes between the rules and who asks them (agents/evaluator.py). A rule answers for the objects that it
can judge now: a finding, or None for one that is well. Of others it says nothing, and what is open stays open.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from schemas.backing.registry import StreamState
from schemas.definitions.view import Snapshot, SourceView
from schemas.overload import LEAVE
from schemas.topics import event
from schemas.wire.pressure import STALE_S, Origin, Pressure

Severity = Literal["warn", "alarm"]
Entity = tuple[str, str]
"""(type, id): `source`, `stream` or `group`."""


class Finding(NamedTuple):
    """Something that is wrong: whose, how much, the numbers, what to do. `details` get the level by themselves."""

    tenant: str
    level: Severity
    message: str
    details: Mapping[str, Any]


class Standing(NamedTuple):
    """An alert that is open."""

    level: Severity
    details: Mapping[str, Any]


Open = Mapping[Entity, Standing]
Judged = dict[Entity, Finding | None]


@dataclass(frozen=True, slots=True)
class Now:
    """What is known at one moment.

    `pressures`: the newest records by (source id, origin); `states`: what writers said of streams; `taken`: deliveries
    accepted and shed of sources since ever; `members`: who is in the Kafka group of each worker group. The last three
    hold nothing that could not be read.
    """

    at_ms: int
    snapshot: Snapshot
    pressures: Mapping[tuple[str, Origin], Pressure] = field(default_factory=dict)
    states: Mapping[str, StreamState] = field(default_factory=dict)
    taken: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    members: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def pressure(self, source_id: str, origin: Origin) -> Pressure | None:
        """Return what an origin measured of a source; None when nobody has told for a while."""
        found = self.pressures.get((source_id, origin))
        return None if found is None or self.at_ms - found.measured_at_ms > STALE_S * 1000 else found

    def state(self, stream_id: str) -> StreamState | None:
        """Return what a stream's writer said; None when it has said nothing for a while."""
        found = self.states.get(stream_id)
        return None if found is None or self.at_ms - found.updated_at_ms > STALE_S * 1000 else found


def level(before: Severity | None, warn: float, alarm: float) -> Severity | None:
    """Return the level of shares of two thresholds (1 = reached); it is left below `LEAVE` of its threshold."""
    if alarm >= (LEAVE if before == "alarm" else 1.0):
        return "alarm"
    return "warn" if warn >= (LEAVE if before is not None else 1.0) else None


def level_of(standing: Open, entity: Entity) -> Severity | None:
    """Return the level of an alert that is open."""
    found = standing.get(entity)
    return None if found is None else found.level


def sources_of(snapshot: Snapshot, topics: set[str]) -> Iterator[SourceView]:
    """Yield the sources whose clean events are in one of these topics."""
    for source in snapshot.sources.values():
        if event(source.tenant, source.platform) in topics:
            yield source


def instant(at_ms: int | None) -> str | None:
    """Return a time for people."""
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def span(seconds: float) -> str:
    """Return a span of time for people."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
