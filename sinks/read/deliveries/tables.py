"""The tables of a tenant as the lookups see them: which read a topic, what they committed, rows of one delivery.

Lives here: the Iceberg side. A row whose snapshot has expired is looked up in the manifests, which keep the snapshot's
id (Iceberg spec, "Manifests", `snapshot_id` of an entry); its time is gone with the snapshot.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, cast

from pyiceberg import expressions
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, LiteralPredicate, Reference
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.table import FileScanTask, Table

from schemas import logs, names, topics
from schemas.definitions.stream import read_topic
from schemas.definitions.view import Snapshot, StreamView
from schemas.wire.position import Position
from schemas.wire.quarantine import RESOLVED, Quarantine
from sinks.fleet import QUARANTINE
from sinks.read.deliveries import commits
from sinks.read.deliveries.budget import Budget
from sinks.read.deliveries.commits import Commits
from sinks.read.deliveries.facts import instant
from sinks.read.deliveries.records import Clean, Note
from sinks.read.rows import json_value
from sinks.rows.system import flat_name
from sinks.split.known import members
from sinks.table import state
from sinks.table.schema import is_flat, name_in

MAX_TABLES = 50
MAX_FILES = 64
MAX_MANIFESTS = 200
MAX_PLANNED = 20_000
"""Files of a table among which rows are looked for: planning reads all their manifest entries of a day."""
MAX_ROWS = 10_000
"""Of one delivery: it has no more items."""
log = logs.logger(__name__)
equal: Any = expressions.EqualTo  # their signatures come from a plugin that mypy does not follow
since: Any = expressions.GreaterThanOrEqual
until: Any = expressions.LessThanOrEqual
_ROW = (
    "event_id", "event_type", "event_time", "received_at", "vendor_event_id", "correlation_id", "schema",
    "delivery_id", "_topic", "_partition", "_offset", "_item",
)  # fmt: skip
_PARTS = ("topic", "partition", "offset", "item")
_NOTE = ("delivery_id", "decided_at", *(f"{prefix}_{part}" for prefix in ("position", "by") for part in _PARTS))


@dataclass(frozen=True, slots=True)
class Reading:
    """A table that is written from a topic; `stream` None: one of our own. `table` None: not made yet, or foreign.

    Of a split stream: `only`, the type whose table it is; `others`, types that have tables of their own.
    """

    stream: StreamView | None
    identifier: tuple[str, str]
    owner: str
    table: Table | None
    commits: Commits
    only: str | None = None
    others: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Return the table's full name."""
        return ".".join(self.identifier)

    def selects(self, event_type: str) -> bool:
        """Tell whether the stream's event types, as they are now, take this one, and into this table."""
        if not self.holds(event_type):
            return False
        globs = () if self.stream is None else self.stream.definition.event_types
        return not globs or any(fnmatchcase(event_type, glob) for glob in globs)

    def holds(self, event_type: str) -> bool:
        """Tell whether events of a type are this table's and not another one's of its stream (sinks/split)."""
        return event_type not in self.others and self.only in {None, event_type}


def of_topic(
    catalog: Callable[[], Catalog],
    snapshot: Snapshot,
    tenant: str,
    topic: str,
    budget: Budget,
    kinds: Collection[str] | None = None,
) -> list[Reading]:
    """Return the tables written from a clean or quarantine topic, at most 50, by stream name; blocks on the catalog.

    `kinds`: of split streams the tables of these types only.
    """
    parsed = topics.parse(topic)
    if parsed is not None and parsed.kind is topics.Kind.QUARANTINE:
        return _load(catalog, None, (tenant, QUARANTINE), f"{tenant}.{QUARANTINE}", budget)
    streams = sorted(
        (
            one for one in snapshot.streams.values()
            if one.tenant == tenant and topic in {read_topic(each) for each in one.definition.topics}
        ),
        key=lambda one: one.name,
    )  # fmt: skip
    if len(streams) > MAX_TABLES:
        budget.cut(f"{len(streams)} streams read {topic}: the first {MAX_TABLES} by name were asked")
    found = [reading for one in streams[:MAX_TABLES] for reading in _of_stream(catalog, one, budget, kinds)]
    if len(found) > MAX_TABLES:
        budget.cut(f"{len(found)} tables are written from {topic}: the first {MAX_TABLES} were asked")
    return found[:MAX_TABLES]


def _of_stream(
    catalog: Callable[[], Catalog], stream: StreamView, budget: Budget, kinds: Collection[str] | None
) -> list[Reading]:
    """Return a stream's table, and those of its types where it is split; none that cannot be read now."""
    own = names.namespace(stream.tenant, stream.definition.target_table or "")
    found = _load(catalog, stream, own, stream.id, budget)
    if not found or found[0].table is None or not (types := members(found[0].table.metadata)):
        return found
    found = [replace(found[0], others=frozenset(one.event_type for one in types))]
    for one in [one for one in types if kinds is None or one.event_type in kinds][:MAX_TABLES]:
        made = _load(catalog, stream, (own[0], one.table), stream.id, budget)
        found += [replace(reading, only=one.event_type) for reading in made]
    return found


def _load(
    catalog: Callable[[], Catalog], stream: StreamView | None, identifier: tuple[str, str], owner: str, budget: Budget
) -> list[Reading]:
    """Return the table; none when it cannot be read now, which the answer says."""
    if budget.spent:
        budget.ran_out("the tables")
        return []
    with _asked(".".join(identifier), budget):
        try:
            table = catalog().load_table(identifier)
        except (NoSuchTableError, NoSuchNamespaceError):
            return [Reading(stream, identifier, owner, None, Commits())]
        if state.owner(table.metadata) != owner:
            return [Reading(stream, identifier, owner, None, Commits())]
        return [Reading(stream, identifier, owner, table, commits.of(table.metadata, owner))]
    return []


@contextmanager
def _asked(name: str, budget: Budget) -> Iterator[None]:
    """Say that a table could not be read instead of failing: what the topics tell is worth an answer."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 whatever catalogs and storages raise
        log.warning("table_not_read", table=name, error=str(error)[:500])
        budget.cut(f"table {name} cannot be read now")


def snapshot_of(table: Table, event_id: str, received_at: str, budget: Budget) -> int | None:
    """Return the id of the snapshot that added an event's row, also after it expired; None when no row is found."""
    where = And(equal("event_id", event_id), _received(received_at, 0))
    with _asked(".".join(table.name()), budget):
        for task in _tasks(table, where, budget):
            if _read(table, ("event_id",), where, task):
                return _added_by(table, task.file.file_path, budget)
    return None


def rows_of(table: Table, where: BooleanExpression, limit: int, budget: Budget) -> list[Clean]:
    """Return at most `limit` rows as clean events; `at` is -1: the table does not know the clean offset."""
    found: list[Clean] = []
    with _asked(".".join(table.name()), budget):
        for task in _tasks(table, where, budget):
            found += [_clean(row) for row in _read(table, _ROW, where, task, limit)]
            if len(found) >= limit:
                break
    return found[:limit]


def ids_of(table: Table, delivery_id: str, received_at: str, budget: Budget) -> frozenset[str] | None:
    """Return the ids of the events of a delivery that have a row; None where a bound or an error leaves that open."""
    where, cuts = And(equal("delivery_id", delivery_id), _received(received_at, 0)), budget.cuts
    found: set[str] = set()
    with _asked(".".join(table.name()), budget):
        for task in _tasks(table, where, budget):
            found |= {row["event_id"] for row in _read(table, ("event_id",), where, task, MAX_ROWS)}
        if budget.cuts == cuts:
            return frozenset(found)
    return None


def resolved_of(table: Table, record: Quarantine, budget: Budget) -> dict[Position, Note]:
    """Return the notes of the quarantine table that a failed record's event became clean."""
    where = And(equal("kind", RESOLVED), equal("event_id", record.event_id))
    made = {}
    with _asked(".".join(table.name()), budget):
        for task in _tasks(table, where, budget):
            rows = ArrowScan(table.metadata, table.io, table.schema().select(*_NOTE), where).to_table([task])
            for row in rows.to_pylist():
                at, by = (Position(*(row[f"{prefix}_{part}"] for part in _PARTS)) for prefix in ("position", "by"))
                made[at] = Note(at, by, int(row["decided_at"].timestamp() * 1e6), row["delivery_id"])
    return made


def of_delivery(delivery_id: str, received_ms: int) -> BooleanExpression:
    """Return what selects a delivery's rows: its id, and the time in that id, by which files are skipped."""
    return And(equal("delivery_id", delivery_id), _received(instant(received_ms * 1000) or "", 1))


def _received(text: str, more_ms: int) -> BooleanExpression:
    """Return what selects rows by receive time, `more_ms` later at most; everything when `text` is no time."""
    try:
        start = datetime.fromisoformat(text).astimezone(UTC)
        end = start + timedelta(milliseconds=more_ms)
    except (ValueError, OverflowError):
        return AlwaysTrue()
    return And(since("received_at", start.isoformat()), until("received_at", end.isoformat()))


def of_vendor_event(source: str, vendor_event_id: str) -> BooleanExpression:
    """Return what selects the rows of a vendor's event of a source."""
    return And(equal("vendor_event_id", vendor_event_id), equal("source", source))


def _read(
    table: Table, columns: Sequence[str], where: BooleanExpression, task: FileScanTask, limit: int = 1
) -> list[dict[str, Any]]:
    """Return at most `limit` rows of a file, their system columns under the names of nested tables."""
    there = [name_in(table.schema(), name) for name in columns]
    selected = table.schema().select(*there)
    rows = ArrowScan(table.metadata, table.io, selected, _of(table, where)).to_table([task]).slice(0, limit)
    found: list[dict[str, Any]] = rows.select(there).rename_columns(list(columns)).to_pylist()
    return found


def _of(table: Table, where: BooleanExpression) -> BooleanExpression:
    """Return a filter over system columns by the names that they have in this table."""
    if not is_flat(table.schema()):
        return where
    if isinstance(where, And):
        return And(_of(table, where.left), _of(table, where.right))
    if isinstance(where, LiteralPredicate):
        named, term = cast("Any", type(where)), cast("Reference", where.term)
        return cast("BooleanExpression", named(flat_name(term.name), where.literal))
    return where


def _tasks(table: Table, where: BooleanExpression, budget: Budget) -> Sequence[FileScanTask]:
    current = table.metadata.current_snapshot()
    said = current.summary.additional_properties if current is not None and current.summary else {}
    if budget.spent or int(said.get("total-data-files", 0)) > MAX_PLANNED:
        budget.cut(
            f"rows of {'.'.join(table.name())} were not looked for: time is up, or it has over {MAX_PLANNED:,} files"
        )
        return []
    tasks = list(table.scan(row_filter=_of(table, where)).plan_files())
    if len(tasks) > MAX_FILES:
        budget.cut(f"{len(tasks)} files of {'.'.join(table.name())} may hold the rows: {MAX_FILES} were read")
    return tasks[:MAX_FILES]


def _added_by(table: Table, path: str, budget: Budget) -> int | None:
    current = table.metadata.current_snapshot()
    manifests = [] if current is None else current.manifests(table.io)
    if len(manifests) > MAX_MANIFESTS:
        budget.cut(f"{'.'.join(table.name())} has {len(manifests)} manifests: {MAX_MANIFESTS} were read")
    for manifest in manifests[:MAX_MANIFESTS]:
        for entry in manifest.fetch_manifest_entry(table.io):
            if entry.data_file.file_path == path:
                return entry.snapshot_id
    return None


def _clean(row: dict[str, Any]) -> Clean:
    shown = {name: json_value(row[name]) for name in _ROW}
    return Clean(
        -1,
        shown["event_id"] or "",
        shown["event_type"] or "",
        shown["event_time"] or "",
        shown["received_at"] or "",
        shown["vendor_event_id"],
        shown["correlation_id"],
        shown["schema"],
        shown["delivery_id"] or "",
        Position(shown["_topic"] or "", shown["_partition"] or 0, shown["_offset"] or 0, shown["_item"] or 0),
    )
