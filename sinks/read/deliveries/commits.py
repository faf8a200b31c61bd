"""Which snapshot of a table took an event: told by the next offsets in the snapshots' summaries (rule 17).

Lives here: a table's commits as values. Pure but for `of`, which reads metadata that is loaded already. Not here:
loading tables (tables.py).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pyiceberg.table.metadata import TableMetadata

from sinks.table import kept, state

Slot = tuple[str, int]
"""(topic id, partition) of the topic that the table is written from."""


class Landed(StrEnum):
    """Where an event is on its way into one table."""

    COMMITTED = "committed"
    PENDING = "pending"
    NOT_SELECTED = "notSelected"
    BEFORE_START = "beforeStart"
    SKIPPED = "skipped"
    EXPIRED = "expired"
    """It was committed, and the stream's `retentionDays` has removed its row since."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One snapshot: its id, its time in ms, and the next offsets that it holds."""

    snapshot_id: int
    at_ms: int
    next: Mapping[Slot, int]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a table did with one offset.

    `commit` None though committed: the snapshot has expired; `before_ms`: time of the oldest one kept, which has it.
    `lag`: records from the table's position to this one, itself included. `expired_before_ms`: of an expired row the
    cut, a midnight (UTC), before which it was received.
    """

    state: Landed
    commit: Commit | None = None
    before_ms: int | None = None
    lag: int | None = None
    expired_before_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Commits:
    """A table's commits that are kept, oldest first; `whole`: the oldest is the table's first.

    `next` and `start` are offsets by slot; `skipped`: ranges passed over by acceptLoss, as kept snapshots say.
    `cut_ms`: rows received before it may have been removed by retention; 0: none was.
    """

    commits: tuple[Commit, ...] = ()
    next: Mapping[Slot, int] = field(default_factory=dict)
    start: Mapping[Slot, int] = field(default_factory=dict)
    skipped: Mapping[Slot, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    whole: bool = False
    cut_ms: int = 0

    def take(self, slot: Slot, offset: int) -> Taken:
        """Return what the table did with the record at `offset`."""
        following = self.next.get(slot)
        if following is None:
            return Taken(Landed.PENDING)
        if offset < self.start.get(slot, 0):
            return Taken(Landed.BEFORE_START)
        if offset >= following:
            return Taken(Landed.PENDING, lag=offset - following + 1)
        if any(low <= offset < high for low, high in self.skipped.get(slot, ())):
            return Taken(Landed.SKIPPED)
        return self._committed(slot, offset)

    def _committed(self, slot: Slot, offset: int) -> Taken:
        place, commit = next(
            ((place, one) for place, one in enumerate(self.commits) if offset < one.next.get(slot, 0)), (0, None)
        )
        if commit is not None and place == 0 and not self.whole:
            return Taken(Landed.COMMITTED, before_ms=commit.at_ms)
        return Taken(Landed.COMMITTED, commit)


def of(metadata: TableMetadata, owner_id: str) -> Commits:
    """Return the commits on the way to the current snapshot that are kept; a rollback takes the later ones away."""
    by_id = {snapshot.snapshot_id: snapshot for snapshot in metadata.snapshots}
    snapshot = by_id.get(metadata.current_snapshot_id) if metadata.current_snapshot_id is not None else None
    made: list[Commit] = []
    skipped: dict[Slot, tuple[tuple[int, int], ...]] = {}
    whole = False
    while snapshot is not None:
        said = snapshot.summary.additional_properties if snapshot.summary else {}
        text = said.get(state.OFFSETS + owner_id)
        if text:
            made.append(Commit(snapshot.snapshot_id, snapshot.timestamp_ms, flat(state.parse(text))))
        for topic_id, spans in json.loads(said.get(state.LOST + owner_id, "{}")).items():
            for partition, (low, high) in spans.items():
                slot = (topic_id, int(partition))
                skipped[slot] = (*skipped.get(slot, ()), (int(low), int(high)))
        whole = snapshot.sequence_number == 1  # expiry takes the parent's id away, never this number
        parent = snapshot.parent_snapshot_id
        snapshot = by_id.get(parent) if parent is not None else None
    start = metadata.properties.get(state.START + owner_id, "{}")
    return Commits(
        tuple(reversed(made)),
        flat(state.offsets(metadata, owner_id)),
        flat(state.parse(start)),
        skipped,
        whole=whole,
        cut_ms=kept.retained(metadata, owner_id).before_ms,
    )


def flat(offsets: state.Offsets) -> dict[Slot, int]:
    """Return offsets by (topic id, partition)."""
    return {(topic, int(partition)): at for topic, ends in offsets.items() for partition, at in ends.items()}
