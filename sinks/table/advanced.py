"""What of a table is told on `{tenant}.table`, and what is not yet: rule 22, derived from the table's own snapshots.

Lives here: the records of a table's snapshots, and the book of one table that its writer (`look`, `unsent`) and the
sender (`take`, `sent`, `failed`) keep together. Not here: Kafka (sinks/advances.py).
Whoever takes a table has told nothing of it yet, so every snapshot of its owner that is still there is told again; the
commit itself says nothing to anybody. A kill between the two is thereby no case of its own.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot

from schemas import logs, names
from schemas.wire import table as wire
from sinks.table import state

TIME_COLUMNS = ("event_time", "_hb_event_time")
MOST_UNSENT = 1_000
"""Snapshots that wait for Kafka keep a table large and its commits slow (35 ms at 500, 56 ms at 1,000): past it the
oldest expire although they were not told. Their records wait on in memory, for as many again."""
_LAST_MS = 253_402_300_800_000
"""The year 10000, which no reader's calendar has."""
log = logs.logger(__name__)


class Advances(Protocol):
    """Sends what books hold. Implemented by sinks.advances.KafkaAdvances."""

    def open(self, book: "Book") -> None:
        """Send what this book holds from now on."""

    def close(self, book: "Book") -> None:
        """Forget a book: its table is another writer's now, who tells everything again."""

    def wake(self, book: "Book") -> None:
        """Say that a book has news; never blocks."""


class Book:
    """One table's: which snapshots are told. The writer's thread and the sender's use it at the same time."""

    def __init__(
        self, identifier: tuple[str, str], owner_id: str, stream_id: str | None, wake: Callable[["Book"], None] | None
    ) -> None:
        self.identifier = identifier
        self.tenant = names.tenant_of(identifier[0])
        self._owner, self._stream, self._wake = owner_id, stream_id, wake
        self._waiting: dict[int, wire.Advanced] = {}
        self._flying: set[int] = set()
        self._told: set[int] = set()
        self._newest: int | None = None
        self._lock = threading.Lock()

    # ---- the writer's
    def look(self, metadata: TableMetadata) -> None:
        """Take note of the owner's snapshots that are there and not told; drop what is forgotten. Never blocks."""
        if self._wake is None:
            return
        own = {one.snapshot_id: one for one in metadata.snapshots if _owned(one, self._owner)}
        with self._lock:
            self._newest = newest_of(metadata)
            self._told &= own.keys()
            for number, snapshot in sorted(own.items(), key=lambda item: item[1].sequence_number or 0):
                if number not in self._told and number not in self._waiting:
                    self._waiting[number] = self._record(str(metadata.table_uuid), snapshot)
            self._bound()
            news = len(self._waiting) > len(self._flying)
        if news:
            self._wake(self)

    def unsent(self) -> frozenset[int]:
        """Return the snapshots that expiry must leave: those not told, at most `MOST_UNSENT`."""
        with self._lock:
            return frozenset(list(self._waiting)[-MOST_UNSENT:])

    def newest(self, rows: pa.Table) -> Mapping[str, str]:
        """Return the note for a commit's summary: the latest event time of these rows and of all before them."""
        if self._wake is None:
            return {}
        name = next((name for name in TIME_COLUMNS if name in rows.column_names), None)
        found = None if name is None else pc.max(rows[name]).cast(pa.int64()).as_py()
        known = [ms for ms in (self._newest, None if found is None else found // 1000) if ms is not None]
        known = [ms for ms in known if 0 <= ms < _LAST_MS]
        return {state.NEWEST: str(max(known))} if known else {}

    # ---- the sender's
    def take(self) -> list[tuple[int, wire.Advanced]]:
        """Return what waits and is not under way, in the order of the commits; it is under way then."""
        with self._lock:
            taken = [(number, record) for number, record in self._waiting.items() if number not in self._flying]
            self._flying.update(number for number, _record in taken)
            return taken

    def sent(self, number: int) -> None:
        """Take note that the log has a record."""
        with self._lock:
            self._flying.discard(number)
            if self._waiting.pop(number, None) is not None:
                self._told.add(number)

    def failed(self, number: int) -> None:
        """Take note that a record may not have arrived: it waits again."""
        with self._lock:
            self._flying.discard(number)

    def _bound(self) -> None:
        for number in list(self._waiting)[: -2 * MOST_UNSENT]:
            record = self._waiting.pop(number)
            log.warning("table_advanced_dropped", table=".".join(self.identifier), sequence=record.sequence_number)

    def _record(self, table_uuid: str, snapshot: Snapshot) -> wire.Advanced:
        summary = _summary(snapshot)
        return wire.Advanced(
            tenant_id=self.tenant,
            stream_id=self._stream,
            namespace=self.identifier[0],
            table=self.identifier[1],
            table_uuid=table_uuid,
            sequence_number=snapshot.sequence_number or 0,
            committed_at_ms=snapshot.timestamp_ms,
            snapshot_id=snapshot.snapshot_id,
            rows=_count(summary, "total-records") - _count(summary, "total-position-deletes"),
            added_rows=_count(summary, "added-records"),
            newest_event_time_ms=_time(summary),
        )


def of(identifier: tuple[str, str], owner_id: str, stream_id: str | None, advances: Advances | None) -> Book:
    """Return the book of a table that a writer takes, open; without a sender nothing waits in it."""
    book = Book(identifier, owner_id, stream_id, None if advances is None else advances.wake)
    if advances is not None:
        advances.open(book)
    return book


def newest_of(metadata: TableMetadata) -> int | None:
    """Return the latest event time that the nearest ancestor with one tells; None when none does."""
    by_id = {snapshot.snapshot_id: snapshot for snapshot in metadata.snapshots}
    number = metadata.current_snapshot_id
    while number is not None and (snapshot := by_id.get(number)) is not None:
        if (found := _time(_summary(snapshot))) is not None:
            return found
        number = snapshot.parent_snapshot_id
    return None


def _owned(snapshot: Snapshot, owner_id: str) -> bool:
    """Tell whether a snapshot is a commit of the owner's; upkeep's carry the offsets and bring nothing."""
    said = _summary(snapshot)
    return state.OFFSETS + owner_id in said and state.UPKEEP not in said


def _summary(snapshot: Snapshot) -> Mapping[str, str]:
    return snapshot.summary.additional_properties if snapshot.summary is not None else {}


def _count(summary: Mapping[str, str], name: str) -> int:
    text = summary.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _time(summary: Mapping[str, str]) -> int | None:
    found = _count(summary, state.NEWEST)
    return found if state.NEWEST in summary and found < _LAST_MS else None
