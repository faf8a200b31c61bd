"""What happened, as read from topics and tables: values only.

Not here: what must hold of it (rules.py), how it is read (gather.py), who sent what (traffic.py).
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Partition = tuple[str, int]
"""(topic id, partition) of a raw topic."""


class Position(NamedTuple):
    """Where an item stands: topic id (a topic made anew has another), partition, offset, item."""

    topic: str
    partition: int
    offset: int
    item: int


class Place(NamedTuple):
    """Where a clean event stands in its own topic."""

    topic: str
    partition: int
    offset: int


NOWHERE = Place("", 0, 0)


@dataclass(frozen=True, slots=True)
class Decided:
    """A clean event or a failed quarantine record: position, id, what it carries, by which schema, where it stands."""

    position: Position
    event_id: str
    value: Any
    schema: str | None = None
    event_type: str = ""
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table."""

    position: Position
    event_id: str


@dataclass(frozen=True, slots=True)
class Table:
    """A stream's table: clean topic ids with the resolved start of each partition, what it selects, its rows."""

    name: str
    starts: dict[tuple[str, int], int]
    rows: list[Row]
    selects: Callable[[str], bool] = lambda _event_type: True


@dataclass(frozen=True, slots=True)
class Resolved:
    """A `resolved` record: the quarantined copy and the clean one that settled it."""

    position: Position
    event_id: str
    by: Position


@dataclass(frozen=True, slots=True)
class Redriven:
    """What a redrive's record says: the row that it was written for, and the ids of its items there.

    items: none = all of the delivery; event_ids: in order, none when the writer did not say.
    """

    topic: str
    partition: int
    offset: int
    items: tuple[int, ...] = ()
    event_ids: tuple[str, ...] = ()

    def row(self, item: int) -> Position:
        """Return the position of an item's row."""
        return Position(self.topic, self.partition, self.offset, item if self.items else 0)

    def named(self, item: int) -> str | None:
        """Return the event id of an item's row, None when it is not said."""
        if not self.event_ids or not self.items:
            return self.event_ids[0] if self.event_ids else None
        return self.event_ids[self.items.index(item)] if item in self.items else None


@dataclass(frozen=True, slots=True)
class Held:
    """A raw partition while it was paused: how far it was decided once the stage had heard of it, and at the end."""

    partition: Partition
    began: int
    ended: int


@dataclass(frozen=True, slots=True)
class Cut:
    """A raw log that lost its tail: offsets `first`..`end`-1 went with their records, and are used again."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class History:
    """Everything that can be known of a run from outside.

    items: each item of each raw record, as JSON value (bytes where it does not parse), those of deleted topics too;
    stored: delivery ids that were ever in a raw topic, redrives left out; ends: end offset by raw partition, of a
    deleted topic when it was deleted (`gone`); cuts, cut_items: what a cut took; acked: delivery ids answered with a
    2xx; must: for each (platform, vendor's id) acknowledged its contents, and what may become of each (traffic.py);
    wrapped: contents that came in deliveries only which nobody could read at first; excused: ids that stood in a record
    which is gone; judge: whether a value meets a schema (None: it is no schema of ours); reader: what the reader that
    lived through it all saw differently; redriven: what redrives wrote, by raw (topic id, partition, offset); held:
    partitions that were paused; pairs: by name what must be there and what is there, counted: the records of quarantine
    and ledger and the rows of their tables, runs, minutes; settled:
    everything was mended and redriven in the end, when
    `mendable` told what can be clean.
    """

    items: dict[Position, Any]
    stored: Counter[str]
    ends: dict[Partition, int]
    clean: list[Decided]
    quarantined: list[Decided]
    ledger: list[dict[str, Any]]
    tables: list[Table]
    acked: set[str]
    resolved: list[Resolved] = field(default_factory=list)
    gone: set[Partition] = field(default_factory=set)
    cuts: dict[Partition, Cut] = field(default_factory=dict)
    cut_items: dict[Position, Any] = field(default_factory=dict)
    must: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    wrapped: set[tuple[str, str, str]] = field(default_factory=set)
    excused: set[tuple[str, str]] = field(default_factory=set)
    platforms: dict[str, str] = field(default_factory=dict)
    judge: Callable[[str, Any], bool | None] = lambda _schema, _value: None
    reader: list[str] = field(default_factory=list)
    redriven: dict[tuple[str, int, int], Redriven] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    pairs: dict[str, tuple[Counter[Any], Counter[Any]]] = field(default_factory=dict)
    mendable: Callable[[str, Any], bool] = lambda _platform, _value: False
    settled: bool = False

    def of(self, partition: Partition) -> list[dict[str, Any]]:
        """Return the ledger records of a raw partition, in the order in which they were committed."""
        return [record for record in self.ledger if (record["topicId"], record["partition"]) == partition]

    def jump(self, partition: Partition) -> int | None:
        """Return how far the stage had come when it was told of a cut: None when it had not come past it."""
        cut = self.cuts.get(partition)
        for record in self.of(partition):
            for span in record["lost"]:
                if cut is not None and span["from"] == cut.first and cut.first < span["to"] <= cut.end:
                    return int(span["to"])
        return None

    def mends(self, position: Position, value: Any) -> bool:
        """Tell whether a value, or an item of a delivery, can be clean by the definitions of the end."""
        listed = value if isinstance(value, list) else [value]
        return any(self.mendable(self.platforms.get(position.topic, ""), each) for each in listed)

    def vendor_id(self, position: Position, value: Any) -> tuple[str, str] | None:
        """Return (platform, vendor's id) of an item, None when it has none."""
        named = value.get("id") if isinstance(value, dict) else None
        return (self.platforms.get(position.topic, position.topic), str(named)) if named is not None else None


def content(value: Any) -> str:
    """Return the content of an item in one spelling."""
    return json.dumps(value, sort_keys=True)
