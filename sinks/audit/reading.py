"""What one reading of a tenant's raw topic and its outputs brings, ready for the checks.

Lives here: records -> columns. Not here: Kafka (sinks/read/topics.py), the checks (stage.py, tables.py).
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import orjson

from schemas.errors import Poison
from schemas.wire import quarantine
from schemas.wire.raw import HB_REDRIVE, HB_SOURCE_ID
from sinks.audit.aged import NO_DAY, Days
from sinks.audit.marks import MAX_ITEM, Marks, of_id, pack
from sinks.audit.stage import Raw
from sinks.audit.tables import NEVER, Clean, CleanTopic
from sinks.rows import system

_MAX_OFFSET = 1 << 48


class _Place(msgspec.Struct):
    topicId: str  # noqa: N815 wire name
    partition: int
    offset: int
    item: int


class _Head(msgspec.Struct):
    """What the audit needs of a clean event; everything else is passed over."""

    eventId: str  # noqa: N815 wire name
    eventType: str  # noqa: N815
    position: _Place
    sourceKind: str = ""  # noqa: N815
    receivedAt: str = ""  # noqa: N815


_decode = msgspec.json.Decoder(_Head).decode


class Event(NamedTuple):
    """A clean event as it is read: where its record stands, where its item, and what its role is made of."""

    partition: int
    offset: int
    raw_id: str
    at: int
    item: int
    event_id: str | None
    source_kind: str
    event_type: str


Odd = tuple[int, int, str]
"""(partition, offset, what) of a record that should not be in its topic."""


@dataclass(slots=True)
class CleanReading:
    """A clean topic being read; `meet` is told of each event."""

    topic: CleanTopic
    odd: list[Odd] = field(default_factory=list)
    meet: Callable[[Event], None] | None = None
    _days: Days = field(default_factory=Days)

    def cut(self, lows: Iterable[int]) -> None:
        """Begin: `lows` are the first offsets kept by partition, 0 where retention removed nothing."""
        self.topic.partitions = [Clean(number, low) for number, low in enumerate(lows)]

    def take(self, partition: int, offset: int, value: bytes | None) -> None:
        """Take one record: a clean event, or something that should not be there."""
        if value is None:
            return
        clean = self.topic.partitions[partition]
        try:
            head = _decode(value)
            event_id: str | None = head.eventId
            kind, place, source_kind, day = (
                head.eventType,
                head.position,
                head.sourceKind,
                self._days.of(head.receivedAt),
            )
        except (msgspec.MsgspecError, UnicodeDecodeError):
            found = system.heads([system.Record(self.topic.topic_id, partition, offset, value)]).heads[0]
            event_id, kind, source_kind, day = found.eventId, found.eventType or "", "", NO_DAY
            at = found.position
            place = _Place(at.topicId, at.partition, at.offset, at.item)
        if place.topicId == self.topic.topic_id:
            self.odd.append((partition, offset, "is in the clean topic and no event"))
        elif place.partition != partition:
            self.odd.append((partition, offset, f"is in the clean topic, an event of partition {place.partition}"))
        if not (0 <= place.offset < _MAX_OFFSET and 0 <= place.item <= MAX_ITEM):
            self.odd.append((partition, offset, "is in the clean topic with an impossible position"))
            return
        key = pack(place.offset, place.item)
        self.topic.add(clean, offset, kind, (place.topicId, place.partition), key, of_id(event_id), day)
        if self.meet is not None:
            self.meet(Event(partition, offset, place.topicId, place.offset, place.item, event_id, source_kind, kind))


@dataclass(slots=True)
class QuarantineReading:
    """A quarantine topic being read; `first`: (raw topic id, offset) of each partition's first record."""

    topic_id: str = ""
    lows: list[int] = field(default_factory=list)
    failed: dict[tuple[str, int], Marks] = field(default_factory=dict)
    resolved_by: dict[tuple[str, int], "array[int]"] = field(default_factory=dict)
    first: dict[int, tuple[str, int]] = field(default_factory=dict)
    odd: list[Odd] = field(default_factory=list)

    def cut(self, lows: Iterable[int]) -> None:
        """Begin: `lows` are the first offsets kept by partition, 0 where retention removed nothing."""
        self.lows = list(lows)

    def floor(self, topic_id: str, partition: int) -> int:
        """Return the first raw offset whose quarantine records are all kept: 0 unless retention has removed some."""
        if partition >= len(self.lows) or not self.lows[partition]:
            return 0
        first = self.first.get(partition)
        return NEVER if first is None else first[1] + 1 if first[0] == topic_id else 0

    def take(self, partition: int, offset: int, value: bytes | None) -> None:
        """Take one record."""
        if value is None:
            return
        try:
            record = quarantine.decode(value)
        except Poison:
            self.odd.append((partition, offset, "is in the quarantine topic and cannot be read"))
            return
        at = record.by if record.kind == quarantine.RESOLVED and record.by is not None else record.position
        place, key = (at.topic_id, at.partition), pack(at.offset, at.item)
        self.first.setdefault(partition, (at.topic_id, at.offset))
        if record.kind == quarantine.RESOLVED:
            self.resolved_by.setdefault(place, array("q")).append(key)
        else:
            self.failed.setdefault(place, Marks()).add(key, of_id(record.event_id))


@dataclass(slots=True)
class RawReading:
    """One raw partition being read: its holes, its redrives, its other records by source."""

    at: int
    low: int
    missing: list[tuple[int, int]] = field(default_factory=list)
    redrives: dict[int, frozenset[int]] = field(default_factory=dict)
    stored: Counter[str] = field(default_factory=Counter)

    def take(self, offset: int, headers: Iterable[tuple[str, bytes | None]]) -> None:
        """Take one record's headers."""
        if offset > self.at:
            self.missing.append((self.at, offset))
        self.at = offset + 1
        source, redrive = "", None
        for name, value in headers:
            if name == HB_SOURCE_ID:
                source = (value or b"").decode("utf-8", "replace")
            elif name == HB_REDRIVE:
                redrive = value
        if not redrive:
            self.stored[source] += 1
            return
        try:
            if named := frozenset(int(item) for item in orjson.loads(redrive)["items"]):
                self.redrives[offset] = named  # none named: all of the delivery, as of any other record
        except (ValueError, KeyError, TypeError):
            self.redrives[offset] = frozenset({0})  # the stage quarantines the record whole

    def done(self, end: int) -> Raw:
        """Return what the log holds up to `end`."""
        if end > self.at:
            self.missing.append((self.at, end))
        return Raw(self.low, end, tuple(self.missing), self.redrives)
