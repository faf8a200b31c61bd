"""One table's tail: poll, buffer, flush, in a thread of its own; the table says where to go on.

Lives here: the loop and what ends it. Not here: which tails run (fleet.py), what a commit is (table/commit.py).
A tail that is told to stop drops its buffer: nothing was promised for it, the log still has it (rule 21).
"""

import threading
from collections import deque

from schemas import logs
from schemas.definitions.cuts import Cut
from schemas.definitions.stream import State
from schemas.errors import Transient
from schemas.reasons import Reason
from schemas.tracing import Seen
from sinks.layout import Layout
from sinks.positions import positions, starts
from sinks.session import LOOK_S, Again, Session, Stopped
from sinks.source import Expired, options
from sinks.spec import Env, Spec
from sinks.status import StreamState
from sinks.table import advanced, create, state
from sinks.table.moves import Moves
from sinks.table.partitions import Arrangement
from sinks.upkeep.care import Keyed
from sinks.upkeep.retain import Retention
from sinks.upsert.lasting import Lasting
from sinks.upsert.rebuild import Unindexed
from sinks.upsert.room import Full

FOREIGN_S = 5.0
FULL_S = 60.0
_BACKOFF_S, _LONGEST_BACKOFF_S = 0.5, 5.0
_SAMPLES = 2000
MESSAGE = 500
log = logs.logger(__name__)


def retention_of(spec: Spec, layout: Layout) -> Retention | None:
    """Return how long a table's rows stay; None: for ever."""
    if spec.retention_days is None:
        return None
    return Retention(spec.retention_days, layout.time, layout.first_schema().find_field(layout.time).field_id)


class Tail:
    """Runs one table until stopped; `status()` may be asked from any thread."""

    def __init__(self, spec: Spec, layout: Layout, env: Env) -> None:
        self.spec = spec
        self._layout = layout
        self._env = env
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"tail-{spec.id}", daemon=True)
        self._state = State.STARTING
        self._reason: Reason | None = None
        self._message: str | None = None
        self._table_state = state.TableState()
        self._positions: state.Offsets = {}
        self._lag: int | None = None
        self._behind_us: int | None = None
        self._ages: deque[float] = deque(maxlen=_SAMPLES)
        self._quantiles: tuple[float | None, float | None] | None = (None, None)
        self._overflow = 0
        self.book = advanced.of(spec.identifier, spec.id, spec.stream_id, env.advances)
        self.moves, self.room = Moves(), env.room.share()
        self._care = None
        if env.upkeep is not None:
            retention = retention_of(spec, layout)
            keyed = None if spec.keys is None else Keyed(self.moves, Lasting(layout.first_schema()))
            self._care = env.upkeep.open(spec.identifier, spec.id, retention=retention, keyed=keyed)

    # ---- asked from outside
    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end: no further poll, at most the commit in flight."""
        self._stop.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; False when it has not come in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Tell whether its thread runs."""
        return self._thread.is_alive()

    @property
    def failed(self) -> bool:
        """Tell whether it waits for somebody to put something right."""
        return self._state is State.FAILED

    def ages(self, most: int) -> list[float]:
        """Return how old the last rows were when they were committed, in seconds."""
        return list(self._ages)[-most:]

    def status(self) -> StreamState:
        """Return what there is to tell now."""
        median, most = self._freshness()
        held = self.room.held
        table, now_ms = self._table_state, self._env.clock.time_ns() // 1_000_000
        return StreamState(
            stream_id=self.spec.id,
            state=self._state,
            owner=self._env.owner,
            generation=self.spec.generation,
            updated_at_ms=now_ms,
            reason=self._reason,
            message=self._message,
            rows=table.rows,
            snapshot_id=table.snapshot_id,
            sequence_number=table.sequence_number,
            committed_at_ms=table.committed_at_ms,
            positions=self._positions or table.offsets,
            lag_records=self._lag,
            lag_s=0.0 if self._lag == 0 else self._behind_s(now_ms),
            freshness_p50_s=median,
            freshness_p95_s=most,
            files=table.files,
            bytes=table.bytes,
            overflow=self._overflow,
            discarded=sum(count for ends in table.discarded.values() for count in ends.values()),
            drift=tuple(self._layout.drift()),
            upkeep=None if self._care is None or self._care.report.looked_at_ms is None else self._care.report,
            index_keys=None if held is None else held.keys,
            index_bytes=None if held is None else held.bytes,
        )

    @property
    def brief(self) -> tuple[State, int]:
        """Return state and generation: what is told at once when it changes."""
        return self._state, self.spec.generation

    def _freshness(self) -> tuple[float | None, float | None]:
        """Return p50 and p95 of the last rows' ages, worked out once a commit."""
        found = self._quantiles
        if found is None:
            ages = sorted(self._ages)
            found = self._quantiles = ages[len(ages) // 2], ages[len(ages) * 95 // 100]
        return found

    def _behind_s(self, now_ms: int) -> float | None:
        return None if self._behind_us is None else max(0.0, now_ms / 1e3 - self._behind_us / 1e6)

    # ---- its own thread
    def _run(self) -> None:
        try:
            self._sessions()
        finally:
            self._state = State.STOPPED
            if self._env.advances is not None:
                self._env.advances.close(self.book)
            if self._env.upkeep is not None and self._care is not None:
                self._env.upkeep.close(self._care)

    def _sessions(self) -> None:
        backoff = _BACKOFF_S
        while not self._stop.is_set():
            try:
                self._session()
            except Stopped:
                break
            except Again:
                backoff = _BACKOFF_S
            except Expired as error:  # a person must decide: wait for another generation
                self._fail(error.reason, error.message)
                self._stop.wait()
            except Full as error:  # there may be room at any time, but each try reads the table
                self._fail(error.reason, error.message)
                self._stop.wait(FULL_S)
            except (create.Foreign, state.Unplaced, Unindexed) as error:  # whose it is may put it right at any time
                self._fail(error.reason, error.message)
                self._stop.wait(FOREIGN_S)
            except Transient as error:
                log.warning("tail_waits", stream=self.spec.id, error=str(error), wait_s=backoff)
                self._message = str(error)[:MESSAGE]
                backoff = self._wait(backoff)
            except Exception as error:
                log.exception("tail_failed", stream=self.spec.id)
                self._fail(Reason.WRITER_FAILED, f"{type(error).__name__}: {error}"[:MESSAGE])
                backoff = self._wait(backoff)

    def _wait(self, backoff: float) -> float:
        self._stop.wait(backoff * (0.5 + self._env.random() / 2))
        return min(_LONGEST_BACKOFF_S, backoff * 2)

    def _fail(self, reason: Reason, message: str) -> None:
        self._state, self._reason, self._message = State.FAILED, reason, message

    def _session(self) -> None:
        env, spec = self._env, self.spec
        source = env.source(options(env.kafka, env.queue_kib), env.admin, spec.topics)
        source.traces = Seen() if env.tracer.enabled else None
        try:
            topics = source.look()
            table = create.take(
                env.catalog, spec.identifier, self._layout.first_schema(), spec.id,
                lambda: starts(source, topics, spec),
                spec.arrangement or Arrangement((Cut("day", self._layout.time),)), extra=dict(spec.facts),
            )  # fmt: skip
            if state.unplaced(table.metadata, spec.id):
                raise state.Unplaced(".".join(spec.identifier))
            self._table_state = state.read(table.metadata, spec.id)
            self.book.look(table.metadata)
            while not topics:
                self._state, self._reason, self._message = State.WAITING, None, f"waiting for {', '.join(spec.topics)}"
                if self._stop.wait(LOOK_S):
                    raise Stopped
                topics = source.look()
            at, lost = positions(source, topics, spec, self._table_state.offsets, self.wait)
            source.assign(topics, at)
            self._state, self._reason, self._message = State.RUNNING, None, None
            Session(env, spec, self._layout, self, source, table, lost).run(complete=len(topics) == len(spec.topics))
        finally:
            source.close()
            self.room.free()

    def committed(self, table: state.TableState, ages: list[float], overflow: int) -> None:
        """Take note of a commit."""
        self._table_state = table
        self._ages.extend(ages)
        if ages:
            self._quantiles = None
        self._overflow += overflow
        if self._env.upkeep is not None and self._care is not None:
            self._env.upkeep.committed(self._care)

    def moved(self, at: state.Offsets, lag: int, behind_us: int | None) -> None:
        """Take note of where reading is."""
        self._positions, self._lag, self._behind_us = at, lag, behind_us

    def wait(self, seconds: float) -> None:
        """Sleep; raises `Stopped` when told to stop meanwhile."""
        if self._stop.wait(seconds):
            raise Stopped

    def check_stop(self) -> None:
        """Raise `Stopped` when told to stop."""
        if self._stop.is_set():
            raise Stopped
