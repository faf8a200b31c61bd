"""Tables as the audit sees them: at one snapshot, five columns, and what the writer noted.

Lives here: the Iceberg side of the audit. Tables are opened before topics are read, so they are never ahead.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError
from pyiceberg.table import Table as IcebergTable

from schemas import names
from schemas.definitions.stream import read_topic
from schemas.definitions.view import StreamView
from schemas.wire.position import Position
from sinks.audit.aged import Aged
from sinks.audit.marks import Marks, of_id, pack
from sinks.audit.report import TableRow
from sinks.audit.tables import Missing, Place, Table, settle
from sinks.split.known import Member, members
from sinks.table import kept, state
from sinks.table.schema import name_in
from sinks.upsert.merge import KEYLESS

_KEY = "_key"
_COLUMNS = ("event_id", "_topic", "_partition", "_offset", "_item")
Since = Callable[[str, int, int], int]
"""(clean topic id, partition, ms since the epoch) -> first offset that is not older."""


@dataclass(slots=True)
class Opened:
    """A stream with one of its tables at one snapshot; `loaded` None: there is no table to compare.

    `only`: the event type of a split stream's table; `later`: what of each type other tables of the stream hold.
    """

    stream: StreamView
    row: TableRow
    loaded: IcebergTable | None
    snapshot_id: int | None = None
    changed: bool = False
    only: Member | None = None
    later: Mapping[str, Mapping[Place, int]] = field(default_factory=dict)
    compared: set[Place] = field(default_factory=set)
    absent: Missing | None = None
    looked: int = 0
    _table: Table | None = None

    @property
    def topics(self) -> tuple[str, ...]:
        """Return the clean topics that it reads."""
        return tuple(read_topic(topic) for topic in self.stream.definition.topics)

    def partly(self) -> None:
        """Say that not every event of a topic of it was looked at, or is kept."""
        for one in (self.absent, None if self._table is None else self._table.aged):
            if one is not None:
                one.whole = False

    def settle(self) -> None:
        """Say whether as many events are missing as the table says, once its topics were looked at."""
        if self._table is not None and (aged := self._table.aged) is not None:
            aged.whole &= self.looked == len(self.topics)
            aged.settle(self.row, self._table.discarded, changed=self.changed)
        if self.absent is not None and self._table is not None:
            self.absent.whole &= self.looked == len(self.topics)
            settle(self.row, self._table, self.absent)

    def offsets(self) -> dict[Place, int]:
        """Return the next offset of each clean (topic id, partition)."""
        return {} if self.loaded is None else _flat(state.offsets(self.loaded.metadata, self.stream.id))

    def table(self, since: Since, progress: Callable[[str, int, int], None]) -> Table:
        """Return what the table holds, read once."""
        if self._table is None:
            definition = self.stream.definition
            globs = definition.event_types
            self._table = Table(
                tenant=self.row.tenant,
                stream=self.row.stream,
                name=self.row.table,
                offsets=self.offsets(),
                start=self._start(since),
                selects=lambda kind: not globs or any(fnmatchcase(kind, glob) for glob in globs),
                rows=self._rows(progress),
                skipped=self._skipped(),
                definition_changed=self.changed,
                discarded=self._discarded(),
                only=None if self.only is None else self.only.event_type,
                later=self.later,
                replaced=self._replaced(),
                aged=self._aged(),
            )
        return self._table

    def _start(self, since: Since) -> Callable[[str, int], int | None]:
        key, start_from = state.START + self.stream.id, self.stream.definition.start_from
        text = None if self.loaded is None else self.loaded.metadata.properties.get(key)
        known = None if text is None else _flat(state.parse(text))
        if known is None and self.only is not None:
            known = _flat(self.only.start)

        def start(topic_id: str, partition: int) -> int | None:
            if known is not None and (topic_id, partition) in known:
                return known[topic_id, partition]
            if isinstance(start_from, datetime):
                return since(topic_id, partition, int(start_from.timestamp() * 1000))
            return None if known is None and start_from == "latest" else 0

        return start

    def _discarded(self) -> dict[Place, int]:
        return {} if self.loaded is None else _flat(state.discarded(self.loaded.metadata, self.stream.id))

    def _replaced(self) -> int | None:
        """Return how many events an upsert table says to have no row of; None for one that is appended to."""
        if self.loaded is None or self.absent is None:
            return None
        said = state.replaced(self.loaded.metadata, self.stream.id)
        return sum(count for why, count in said.items() if why != KEYLESS)

    def _aged(self) -> Aged | None:
        """Return what the table says of its retention; None where it has removed nothing."""
        said = kept.Retained() if self.loaded is None else kept.retained(self.loaded.metadata, self.stream.id)
        return Aged(said.before_ms, said.rows) if said.rows else None

    def _skipped(self) -> dict[Place, tuple[tuple[int, int], ...]]:
        """Return clean offsets passed over by acceptLoss, as far as snapshots that say so are kept."""
        made: dict[Place, tuple[tuple[int, int], ...]] = {}
        for snapshot in self.loaded.metadata.snapshots if self.loaded is not None else ():
            text = snapshot.summary.additional_properties.get(state.LOST + self.stream.id) if snapshot.summary else None
            for topic_id, spans in json.loads(text or "{}").items():
                for partition, (low, high) in spans.items():
                    place = (topic_id, int(partition))
                    made[place] = (*made.get(place, ()), (int(low), int(high)))
        return made

    def _rows(self, progress: Callable[[str, int, int], None]) -> dict[Place, Marks]:
        made: dict[Place, Marks] = {}
        if self.loaded is None or self.snapshot_id is None:
            return made
        wanted = _COLUMNS if self.absent is None else (*_COLUMNS, _KEY)
        names_there = tuple(name_in(self.loaded.schema(), name) for name in wanted)
        keys: set[int] = set()
        scan = self.loaded.scan(snapshot_id=self.snapshot_id, selected_fields=names_there)
        snapshot = self.loaded.metadata.snapshot_by_id(self.snapshot_id)
        summary = snapshot.summary.additional_properties if snapshot is not None and snapshot.summary else {}
        total, read = int(summary.get("total-records", 0)), 0
        for batch in scan.to_arrow_batch_reader():
            columns = (batch.column(name).to_pylist() for name in names_there)
            for event_id, topic, partition, offset, item, *key in zip(*columns, strict=True):
                place = (topic, partition)
                marks = made.get(place)
                if marks is None:
                    marks = made[place] = Marks()
                marks.add(pack(offset, item), of_id(event_id))
                if key and key[0] is not None:
                    if (name := hash(key[0])) in keys:
                        self.row.findings.add("has the key of another row", Position(topic, partition, offset, item))
                    keys.add(name)
            read += batch.num_rows
            progress(self.row.table, read, total)
        return {place: marks.sort() for place, marks in made.items()}


def open_tables(catalog: Catalog, stream: StreamView, *, changed: bool) -> list[Opened]:
    """Load a stream's table as it is now, and those of its types where it is split; blocks on the catalog."""
    namespace, table = names.namespace(stream.tenant, stream.definition.target_table or "")
    own = _open(catalog, stream, (namespace, table), None, changed=changed)
    found = [own]
    for member in [] if own.loaded is None else members(own.loaded.metadata):
        one = _open(catalog, stream, (namespace, member.table), member, changed=changed)
        begun = None if one.loaded is None else one.loaded.metadata.properties.get(state.START + stream.id)
        start = _flat(member.start if begun is None else state.parse(begun))
        own.later = {**own.later, member.event_type: start}
        found.append(one)
    return found


def _open(
    catalog: Catalog, stream: StreamView, identifier: tuple[str, str], member: Member | None, *, changed: bool
) -> Opened:
    row = TableRow(stream.tenant, stream.name, ".".join(identifier))
    try:
        loaded = catalog.load_table(identifier)
    except (NoSuchTableError, NoSuchNamespaceError):
        row.notes.append("no table yet")
        return Opened(stream, row, None, only=member)
    if state.owner(loaded.metadata) != stream.id:
        row.notes.append("the table is not this stream's")
        return Opened(stream, row, None, only=member)
    absent = Missing() if stream.definition.write_mode == "upsert" else None
    return Opened(stream, row, loaded, loaded.metadata.current_snapshot_id, changed, member, absent=absent)


def _flat(offsets: state.Offsets) -> dict[Place, int]:
    return {(topic, int(partition)): at for topic, ends in offsets.items() for partition, at in ends.items()}
