"""A tail from one reading of its table to the next: poll, buffer, flush.

Lives here: the loop, and where it begins. It ends by an exception; the next session starts from the table again.
"""

from collections.abc import Mapping
from typing import Protocol

from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.io import FileIO
from pyiceberg.table import Table

from schemas import logs
from sinks import traces
from sinks.layout import Built, Layout, joined
from sinks.positions import distance
from sinks.rows.system import Record
from sinks.source import Expired, Reading
from sinks.spec import Env, Spec
from sinks.table import commit, leftovers, state
from sinks.table.advanced import Book
from sinks.table.moves import Moves
from sinks.upsert.room import Share
from sinks.upsert.upserting import writing_of
from sinks.writing import Wrote

POLL_S = 0.5
"""A table without records wakes so often, to see whether it is to stop: hundreds of such must cost little."""
LOOK_S = 0.5
LOOK_AGAIN_S = 10.0
BUILD_BYTES = 4 << 20
"""A buffer past it becomes rows, which wait for the commit in less memory."""
IDLE_COMMIT_S = 600.0
IDLE_COMMIT_RECORDS = 100_000
IDLE_COMMIT_OFFSETS = 1_000_000
"""So far a table may stand behind what was read, where records are others' (sinks/split): they are read again."""
IDLE_LOOK_S = 60.0
"""An idle table is read so often: whether an operator has rolled it back, or changed its columns."""
log = logs.logger(__name__)


class Stopped(Exception):
    """The tail was told to stop."""


class Again(Exception):
    """The session is over, the next one starts from the table."""


class Watcher(Protocol):
    """What a session tells and asks; `book`: who is told of the table's snapshots; `moves`: what upkeep did to it.

    `room`: for the index of an upsert table.
    """

    book: Book
    moves: Moves
    room: Share

    def wait(self, seconds: float) -> None:
        """Sleep; raises `Stopped` when told to stop meanwhile."""

    def check_stop(self) -> None:
        """Raise `Stopped` when told to stop."""

    def committed(self, table: state.TableState, ages: list[float], overflow: int) -> None:
        """Take note of a commit: the table's state, ages of sampled rows in seconds, rows with `_extra`."""

    def moved(self, at: state.Offsets, lag: int, behind_us: int | None) -> None:
        """Take note of positions, records ahead, and the broker's time of the last record read."""


class Session:
    """From one reading of the table to the next: everything that is known only since then."""

    def __init__(
        self,
        env: Env,
        spec: Spec,
        layout: Layout,
        tail: Watcher,
        source: Reading,
        table: Table,
        lost: Mapping[str, str],
    ) -> None:
        self._env, self._spec, self._layout, self._tail = env, spec, layout, tail
        self._source, self._table = source, table
        self._base = state.offsets(table.metadata, self._spec.id)
        self._gone = state.discarded(table.metadata, self._spec.id)
        self._discarded = self._dropped = 0
        self._notes = dict(lost)
        self._buffer: list[Record] = []
        self._held: list[Built] = []
        self._records = self._bytes = self._unbuilt = 0
        self._due: float | None = None
        self._writing = writing_of(spec, layout.first_schema(), table.metadata, tail.check_stop, tail.moves, tail.room)
        self._ends = source.ends()
        self._skipped = 0
        self._moved_since: float | None = None

    def run(self, *, complete: bool) -> None:
        """Poll and flush until told to stop or something moves."""
        clock = self._env.clock
        look_at = clock.monotonic() + (LOOK_S if not complete else LOOK_AGAIN_S)
        tell_at, read_at = 0.0, clock.monotonic() + IDLE_LOOK_S
        if self._notes:  # a gap that was accepted is written down before anything else
            self._flush(force=True)
        while True:
            self._tail.check_stop()
            self._read()
            now = clock.monotonic()
            if self._bytes >= self._env.flush_bytes or (self._due is not None and now >= self._due):
                self._flush()
                read_at = clock.monotonic() + IDLE_LOOK_S
            elif self._moved_since is not None and now - self._moved_since >= IDLE_COMMIT_S:
                self._flush(force=True)
            if now >= tell_at:
                tell_at = now + LOOK_S
                self._tell(now)
            if now >= look_at:
                look_at = now + (LOOK_S if not complete else LOOK_AGAIN_S)
                self._source.check()
            if now >= read_at:
                read_at = now + IDLE_LOOK_S
                self._look()

    def _tell(self, now: float) -> None:
        """Say where reading is; note since when the table stands behind it, and end that when it is far."""
        self._tail.moved(self._ends, self._source.lag() + self._records, self._source.read_us)
        if state.moved(self._base, self._ends) == self._base:
            self._moved_since = None
        elif self._moved_since is None:
            self._moved_since = now
        elif distance(self._base, self._ends) >= IDLE_COMMIT_OFFSETS:
            self._flush(force=True)

    def _read(self) -> None:
        now = self._env.clock.monotonic()
        try:
            records, size = self._source.poll(POLL_S if self._due is None else max(0.0, min(POLL_S, self._due - now)))
        except Expired:  # what was read before is not lost
            if self._records:
                self._flush()
            raise
        self._ends = self._source.ends()
        if records:
            self._env.metrics.counter("hookberg_read_bytes_total").labels(self._spec.id).inc(size)
            if self._due is None:
                self._due = self._env.clock.monotonic() + self._spec.freshness_s / 2
            self._buffer += records
            self._records += len(records)
            self._bytes += size
            self._unbuilt += size
            if self._unbuilt >= BUILD_BYTES and self._bytes < self._env.flush_bytes:
                self._hold()

    def _hold(self) -> None:
        """Turn the buffer into rows ahead of the commit: they are smaller, and the buffer is freed."""
        metadata = state.as_made(self._table.metadata)
        with self._env.slots.take(self._tail.check_stop):
            built = self._layout.build(self._buffer, metadata, self._env.clock.time_ns() // 1000)
        self._held.append(built)
        self._buffer, self._unbuilt = [], 0
        if built.schema.fields != metadata.schema().fields:  # further columns need ids that follow those
            self._flush()

    def _look(self) -> None:
        """Read the table if nothing waits for it; raise `Again` when it stands elsewhere."""
        if self._records:
            return
        try:
            self._table.refresh()
        except NoSuchTableError:
            raise Again from None
        except Exception as error:  # noqa: BLE001 nothing is waiting for the catalog
            log.warning("table_not_read", stream=self._spec.id, error=str(error))
            return
        metadata, spec = self._table.metadata, self._spec
        if state.offsets(metadata, spec.id) != self._base or state.unplaced(metadata, spec.id):
            raise Again
        if state.owner(metadata) != spec.id:
            raise Again

    def _flush(self, *, force: bool = False) -> None:
        self._tail.check_stop()
        self._source.check()
        written = leftovers.Recording(self._table.io)
        try:
            with self._env.slots.take(self._tail.check_stop):
                built, batch = self._build(written, force=force)
            self._tail.check_stop()
        except BaseException:
            leftovers.delete(self._table.io, written.written)
            raise
        if batch is None:
            return
        self._put(batch)
        ages = built.ages_s(self._layout.time, self._env.clock.time_ns() // 1000) if batch.files else []
        self._tail.committed(state.read(self._table.metadata, self._spec.id), ages, built.overflow)
        self._count(built.rows.num_rows, ages)
        self._notes, self._moved_since = {}, None
        self._skipped = self._discarded = self._dropped = 0

    def _build(self, io: FileIO, *, force: bool) -> tuple[Built, commit.Batch | None]:
        """Turn the buffer into files; no batch when nothing was selected and that may wait."""
        metadata = state.as_made(self._table.metadata)
        if self._buffer or not self._held:
            self._held.append(self._layout.build(self._buffer, metadata, self._env.clock.time_ns() // 1000))
        built = self._held[0] if len(self._held) == 1 else joined(self._held)
        self._buffer, self._held, self._due = [], [], None
        self._records = self._bytes = self._unbuilt = 0
        self._skipped += built.not_selected
        self._discard(built)
        if not built.rows.num_rows and not force and self._skipped + self._discarded < IDLE_COMMIT_RECORDS:
            return built, None
        wrote = Wrote((), built.schema)
        rows, kept = self._layout.sealed(built, metadata, self._spec.id, self._env.clock.time_ns() // 1000)
        if rows.num_rows:
            wrote = self._writing.write(rows, built.schema, metadata, io)
        if self._skipped:
            self._notes[state.NOT_SELECTED + self._spec.id] = str(self._skipped)
        if self._discarded:
            self._notes[state.DISCARDED + self._spec.id] = str(self._discarded)
        if self._dropped:
            self._notes[state.DROPPED + self._spec.id] = str(self._dropped)
        kept = {**kept, **self._writing.kept()}
        if self._gone:
            kept[state.DISCARDED_TOTAL + self._spec.id] = state.dump(self._gone)
        book = self._tail.book
        notes = {**self._notes, **book.newest(built.rows)}
        return built, commit.Batch(
            wrote.files, wrote.schema, self._base, self._ends, notes, kept, book.unsent(), wrote.deletes, wrote.onto,
            wrote.follow,
        )  # fmt: skip

    def _discard(self, built: Built) -> None:
        """Count what the contract takes no row of, or has left out of a row."""
        self._dropped += built.dropped
        for (topic_id, partition), count in built.discarded.items():
            self._discarded += count
            ends = self._gone.setdefault(topic_id, {})
            ends[str(partition)] = ends.get(str(partition), 0) + count

    def _put(self, batch: commit.Batch) -> None:
        started = self._env.clock.monotonic()
        result = commit.commit(
            self._env.catalog, self._table, self._spec.id, batch,
            now_ms=lambda: self._env.clock.time_ns() // 1_000_000, wait=self._tail.wait, random=self._env.random,
        )  # fmt: skip
        self._env.metrics.histogram("hookberg_commit_seconds").observe(self._env.clock.monotonic() - started)
        outcome = type(result).__name__.lower()
        self._env.metrics.counter("hookberg_commits_total").labels(self._spec.id, outcome).inc()
        if self._source.traces is not None:
            where = self._spec.id, ".".join(self._spec.identifier)
            traces.committed(self._env.tracer, where, self._source.traces.take(), started, result)
        if isinstance(result, commit.Fenced):
            log.warning("fenced", stream=self._spec.id, table=".".join(self._spec.identifier))
            raise Again
        written = sum(file.file_size_in_bytes for file in (*batch.files, *batch.deletes))
        self._env.metrics.counter("hookberg_written_bytes_total").labels(self._spec.id).inc(written)
        self._base = result.state.offsets
        self._writing.landed(self._table.metadata, result.tried)
        self._tail.book.look(self._table.metadata)

    def _count(self, rows: int, ages: list[float]) -> None:
        metrics, stream = self._env.metrics, self._spec.id
        metrics.counter("hookberg_rows_total").labels(stream).inc(rows)
        freshness = metrics.histogram("hookberg_freshness_seconds").labels(stream)
        for age in ages[:20]:
            freshness.observe(age)
