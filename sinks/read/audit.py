"""`hookberg audit`: reads a tenant's topics and tables and hands them to the checks (sinks/audit).

Lives here: the order of reading, which is what makes it right while everything runs: counters, tables, runs,
ledger, outputs, raw topics. Each stands behind the next, so what came meanwhile is pending and never missing.
Memory: 16 bytes a row and run, some 50 a clean event of one topic at a time; bodies are passed over.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pyiceberg.catalog import Catalog

from schemas import topics as names
from schemas.definitions.view import Snapshot, SourceView
from schemas.errors import Poison
from schemas.ports import Clock
from schemas.topics import Kind
from schemas.wire import ledger
from schemas.wire.position import Position
from sinks.audit import edge, stage, tables
from sinks.audit.edge import Counted
from sinks.audit.ledger import Book, Said
from sinks.audit.marks import Marks, unpack
from sinks.audit.reading import CleanReading, QuarantineReading, RawReading
from sinks.audit.report import Report, StageRow
from sinks.audit.stage import Outputs, Raw
from sinks.audit.tables import NEVER, CleanTopic, Place
from sinks.read.marks import Opened, open_tables
from sinks.read.runs import RunReading
from sinks.read.topics import Log, Progress
from sinks.source import Topic

Headers = Iterable[tuple[str, bytes | None]]
MARGIN_MS = 600_000
"""Outputs are read from this much before `since`: hosts' clocks differ, decisions do not come before their records."""


@dataclass(frozen=True, slots=True)
class Question:
    """What to audit: tenants, one source of theirs or all, records from a time on (ms since the epoch) or all."""

    tenants: tuple[str, ...]
    source: SourceView | None = None
    since_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What the registry says, read before anything else; `counted`: (accepted, handshakes) by source id.

    `changed`: ids of streams whose event types were others before.
    """

    snapshot: Snapshot
    counted: Mapping[str, tuple[int, int]]
    changed: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Topic:
    """One raw topic with its outputs, as read; `starts` are the raw offsets read from."""

    name: str
    raw: Topic | None
    clean: CleanReading | None
    quarantine: QuarantineReading
    logs: dict[int, Raw] = field(default_factory=dict)
    starts: list[int] = field(default_factory=list)
    stored: Counter[str] = field(default_factory=Counter)
    complete: bool = False


def audit(
    question: Question, known: Known, kafka: Mapping[str, Any], catalog: Catalog, clock: Clock, progress: Progress
) -> Report:
    """Prove the sums of spec section 7; blocks; raises `Transient` when Kafka does not answer."""
    report = Report()
    log = Log(kafka, clock, progress)
    try:
        for tenant in question.tenants:
            _Tenant(tenant, question, known, log, catalog, progress, report).run()
    finally:
        log.close()
    return report


class _Tenant:
    """The audit of one tenant."""

    def __init__(
        self, tenant: str, question: Question, known: Known, log: Log, catalog: Catalog, progress: Progress,
        report: Report,
    ) -> None:  # fmt: skip
        self._tenant, self._question, self._known = tenant, question, known
        self._log, self._catalog, self._progress, self._report = log, catalog, progress, report
        self._book, self._whole = Book(), False
        self._clean_ids: dict[str, Topic] = {}

    def run(self) -> None:
        """Read and check topic after topic."""
        platforms = self._platforms()
        wanted = {names.event(self._tenant, platform) for platform in platforms}
        opened = [
            one
            for stream in sorted(self._known.snapshot.streams.values(), key=lambda one: one.name)
            if stream.tenant == self._tenant
            for one in open_tables(self._catalog, stream, changed=stream.id in self._known.changed)
        ]
        opened = [one for one in opened if wanted & set(one.topics)]
        self._runs = RunReading(self._tenant, self._known.snapshot, platforms, self._log, self._starts)
        self._read_ledger()
        for platform in platforms:
            self._topic(platform, opened)
        for one in opened:
            one.settle()
            self._report.tables.append(one.row)
        self._report.runs += self._runs.rows()

    def _platforms(self) -> list[str]:
        if self._question.source is not None:
            return [self._question.source.platform]
        found = self._known.snapshot.topics.values()
        return sorted({one.platform for one in found if one.tenant == self._tenant and one.kind == Kind.WEBHOOK})

    def _read_ledger(self) -> None:
        name = names.ledger(self._tenant)
        topic = self._log.topics([name]).get(name)
        if topic is None:
            return
        bounds = self._log.bounds(topic)
        starts = self._starts(topic, bounds, MARGIN_MS)
        self._whole = not any(starts)
        for message in self._log.read(topic, starts, [end for _, end in bounds]):
            value = message.value()
            try:
                record = ledger.decode(value or b"")
            except Poison:
                where = Position(topic.id, int(message.partition() or 0), int(message.offset() or 0), 0)
                row = StageRow(name, topic.id, where.partition)
                row.findings.add("is in the ledger topic and cannot be read", where)
                self._report.stage.append(row)
                continue
            self._book.add(record)

    def _starts(self, topic: Topic, bounds: Iterable[tuple[int, int]], margin_ms: int) -> list[int]:
        lows = [low for low, _ in bounds]
        if self._question.since_ms is None:
            return lows
        found = self._log.since(topic, self._question.since_ms - margin_ms)
        return [max(low, offset) for low, offset in zip(lows, found, strict=True)]

    # ---- one raw topic with what belongs to it
    def _topic(self, platform: str, opened: list[Opened]) -> None:
        read = self._read(platform)
        said = self._book.of(read.name)
        recreated = len({topic_id for topic_id, _ in said} | ({read.raw.id} if read.raw is not None else set())) > 1
        if read.raw is not None:
            for partition in range(read.raw.partitions):
                said.setdefault((read.raw.id, partition), Said(read.name, read.raw.id, partition))
        if read.clean is not None and self._whole:
            for place in read.clean.topic.places:
                if place[0] != read.clean.topic.topic_id:
                    said.setdefault(place, Said(read.name, *place))
        outputs = {place: self._outputs(read, place) for place in sorted(said)}
        rows = {place: self._stage(read, said[place], outputs, place) for place in sorted(said)}
        self._odd(read, rows)
        self._report.stage += rows.values()
        self._edge(read, rows.values(), recreated=recreated)
        if read.clean is not None:
            for one in opened:
                if read.clean.topic.name in one.topics:
                    self._table(read, one, {place: row.first for place, row in rows.items()})

    def _read(self, platform: str) -> _Topic:
        raw, event = names.raw(self._tenant, platform), names.event(self._tenant, platform)
        quarantine = names.quarantine(self._tenant, platform)
        found = self._log.topics([raw, event, quarantine])
        read = _Topic(raw, found.get(raw), None, QuarantineReading())
        if (topic := found.get(event)) is not None:
            self._clean_ids[topic.id] = topic
            read.clean = CleanReading(CleanTopic(event, topic.id), meet=self._runs.met(event))
            self._read_output(topic, read.clean)
            self._runs.over(event, read.clean)
        if (topic := found.get(quarantine)) is not None:
            read.quarantine.topic_id = topic.id
            self._read_output(topic, read.quarantine)
        if read.raw is not None:
            self._read_raw(read, read.raw)
        return read

    def _read_output(self, topic: Topic, into: CleanReading | QuarantineReading) -> None:
        bounds = self._log.bounds(topic)
        starts = self._starts(topic, bounds, MARGIN_MS)
        into.cut(low if start == low else 0 for start, (low, _) in zip(starts, bounds, strict=True))
        for message in self._log.read(topic, starts, [end for _, end in bounds]):
            into.take(int(message.partition() or 0), int(message.offset() or 0), message.value())

    def _read_raw(self, read: _Topic, topic: Topic) -> None:
        bounds = self._log.bounds(topic)
        read.starts = self._starts(topic, bounds, 0)
        read.complete = not any(read.starts)
        parts = [RawReading(start, start) for start in read.starts]
        for message in self._log.read(topic, read.starts, [end for _, end in bounds]):
            partition, offset = int(message.partition() or 0), int(message.offset() or 0)
            if offset < bounds[partition][1]:
                parts[partition].take(offset, cast("Headers", message.headers() or ()))
        for partition, part in enumerate(parts):
            read.logs[partition] = part.done(max(bounds[partition][1], part.low))
            read.stored += part.stored

    def _outputs(self, read: _Topic, place: Place) -> Outputs:
        return Outputs(
            Marks() if read.clean is None else read.clean.topic.of(*place),
            read.quarantine.failed.get(place, Marks()).sort(),
            read.quarantine.resolved_by.get(place, ()),
            0 if read.clean is None else read.clean.topic.floor(*place),
            read.quarantine.floor(*place),
        )

    def _stage(self, read: _Topic, said: Said, outputs: Mapping[Place, Outputs], place: Place) -> StageRow:
        own = read.raw is not None and read.raw.id == place[0]
        since = read.starts[place[1]] if own and self._question.since_ms is not None else 0
        older = [out for other, out in outputs.items() if other[1] == place[1] and other != place]
        log = read.logs.get(place[1]) if own else None
        row = stage.check(said, log, outputs[place], older, whole=self._whole, since=since)
        if read.raw is not None and not own:
            row.notes.append("of an earlier topic of this name")
        return row

    def _odd(self, read: _Topic, rows: dict[Place, StageRow]) -> None:
        """Name records of the output topics that are no outcome of anything."""
        found = [(read.quarantine.topic_id, odd) for odd in read.quarantine.odd]
        if read.clean is not None:
            found += [(read.clean.topic.topic_id, odd) for odd in read.clean.odd]
        for topic_id, (partition, offset, what) in found:
            row = next((row for place, row in rows.items() if place[1] == partition), None)
            if row is None:
                row = rows[topic_id, partition] = StageRow(read.name, topic_id, partition)
            row.findings.add(what, Position(topic_id, partition, offset, 0))

    def _edge(self, read: _Topic, rows: Iterable[StageRow], *, recreated: bool) -> None:
        left_out = None
        if self._question.since_ms is not None:
            left_out = "counters are of all time, --since is not"
        elif read.raw is None:
            left_out = "the topic does not exist"
        elif recreated:
            left_out = "the topic was made anew"
        elif not read.complete:
            left_out = "retention has removed records"
        lost = sum(row.lost for row in rows)
        known = {one.id: one for one in self._known.snapshot.sources.values() if one.topic == read.name}
        for source_id in sorted({*known, *read.stored}, key=lambda one: known[one].name if one in known else one):
            if self._question.source is not None and source_id != self._question.source.id:
                continue
            name = known[source_id].name if source_id in known else None
            counted = Counted(
                source_id, self._tenant, name, read.name, *self._known.counted.get(source_id, (0, 0))
            )  # fmt: skip
            self._report.edge.append(edge.check(counted, read.stored[source_id], lost, left_out))

    def _table(self, read: _Topic, one: Opened, firsts: Mapping[Place, int]) -> None:
        clean = read.clean
        if clean is None or (one.loaded is None and "no table yet" not in one.row.notes):
            return
        table = one.table(self._since, self._progress)
        present = {topic.id for topic in self._log.topics(list(one.topics)).values()}
        older = {topic_id for topic_id, _ in one.offsets()} - present
        since = self._question.since_ms is not None
        floors = {place: clean.topic.floor(*place) for place in clean.topic.places}
        if since:
            floors = {place: max(floor, firsts.get(place, NEVER)) for place, floor in floors.items()}
        if older:  # rows of a clean topic that is gone
            one.row.notes.append("the clean topic was made anew")
            kept = {place: clean.topic.of(*place) for place in floors}
            floors = {place: max(floor, unpack(kept[place].keys[0])[0]) for place, floor in floors.items()}
        if since or older or any(part.low for part in clean.topic.partitions):
            one.partly()
        tables.check(one.row, table, clean.topic, floors, one.absent)
        one.looked += 1
        one.compared |= set(clean.topic.places)
        if read.raw is not None and not older and not since:
            whole = {
                (topic_id, part.partition)
                for part in clean.topic.partitions if part.low == 0
                for topic_id in (read.raw.id, clean.topic.topic_id)
            }  # fmt: skip
            tables.rest(one.row, table, one.compared | (set(table.rows) - whole), whole)
            one.compared |= whole

    def _since(self, topic_id: str, partition: int, ms: int) -> int:
        return self._log.since(self._clean_ids[topic_id], ms)[partition]
