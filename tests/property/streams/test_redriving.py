"""Deliveries, pins that are mended, redrives twice, in part and taken over, days between: each item is clean once.

The stage's own deciding and the job's own grouping over a log in memory; what is checked is what people see: rows.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.definitions.job import REDRIVE, Job, JobState
from schemas.definitions.view import Snapshot, SourceView, TopicView
from schemas.reasons import Outcome
from schemas.wire import quarantine as wire
from schemas.wire import raw
from schemas.wire.quarantine import FAILED, OpenRow, payload_digest
from schemas.wire.raw import RawRecord
from streams.jobs.redrive import Redriver
from tests.unit.streams.made import TOPIC_ID, Partition, record, snapshot, source

DAY_MS = 86_400_000
RAW, QUARANTINE = "acme.webhook.shop", "acme.quarantine.shop"
STRICT, OPEN = b'{"properties": {"n": {"type": "integer"}}}', b"{}"
MOST_DAYS = 30
"""Of a history: with what follows less than the 90 days that a row lives."""
UNKNOWN = (("Content-Type", "text/x-unknown"),)


@dataclass
class Stored:
    """One record of the raw log, as a client shows it."""

    made: RawRecord

    def error(self) -> None:
        return None

    def offset(self) -> int:
        return self.made.offset

    def partition(self) -> int:
        return self.made.partition

    def value(self) -> bytes:
        return self.made.value

    def headers(self) -> Any:
        return list(self.made.headers)


class Killed(Exception):
    """The process of the job ended here."""


@dataclass
class World:
    """One raw partition, what the stage made of it, and the quarantine table."""

    stage: Partition
    raw: list[RawRecord] = field(default_factory=list)
    clean: Counter[str] = field(default_factory=Counter)
    notes: list[wire.Quarantine] = field(default_factory=list)
    decided: int = 0
    now_ms: int = DAY_MS
    fatal: int = -1

    # ---- what senders and the stage do
    def append(self, value: bytes, **more: Any) -> None:
        self.raw.append(record(value, len(self.raw), self.now_ms, **more))

    def decide(self) -> None:
        for one in self.stage.emit(*self.raw[self.decided :]):
            if one.decision.outcome is Outcome.CLEAN:
                self.clean[one.decision.event_id] += 1
            self.notes += [wire.decode(each.value or b"") for each in one.records if each.topic == QUARANTINE]
        self.decided = len(self.raw)

    def open_rows(self) -> list[wire.Quarantine]:
        resolved = {note.position for note in self.notes if note.kind != FAILED}
        return [note for note in self.notes if note.kind == FAILED and note.position not in resolved]

    # ---- what a job sees of Kafka, the table and the registry
    @property
    def ids(self) -> dict[str, str]:
        return {RAW: TOPIC_ID, QUARANTINE: "Q"}

    def ends(self, _names: Any) -> dict[tuple[str, int], int]:
        return {}

    def waiting(self, _held: Any, _ends: Any) -> int:
        return 0

    def held(self, _tenant: str) -> dict[tuple[str, int], int]:
        return {}

    def rows(self, _tenant: str, query: Mapping[str, Any], _alive: Callable[[], None]) -> list[OpenRow]:
        return sorted(
            OpenRow(
                row.position,
                row.event_id,
                row.source_id,
                row.reason,
                len(row.payload),
                payload_digest(row.payload),
                row.delivery_id,
            )
            for row in self.open_rows()
            if query["distinct"] or row.reason != "id_conflict"
        )

    def original(self, _name: str, _partition: int, offset: int) -> Any:
        return Stored(self.raw[offset])

    def write(self, _name: str, message: Any, headers: Any, _mark: Any) -> None:
        self.fatal -= 1
        if self.fatal == 0:
            raise Killed
        self.raw.append(RawRecord(1, len(self.raw), self.now_ms, message.value(), tuple(headers)))

    def flush(self) -> list[Any]:
        return []

    def close(self) -> None:
        """Nothing is open."""

    def current(self) -> Snapshot:
        topics = {
            name: TopicView(name, topic_id, "acme", name.split(".")[1], "shop", 4, "g", paused=False)
            for name, topic_id in self.ids.items()
        }
        shown = self.stage.snapshot
        return Snapshot(1, shown.tenants, shown.sources, {}, {}, {}, {}, topics, {})

    async def refresh(self) -> Snapshot:
        return self.current()

    def redrive(self, job_id: str, *, distinct: bool, limit: int, fatal: int) -> None:
        """Do a redrive; one that is killed is taken over by another that knows what was stored."""
        arguments = {"limit": limit, "as": "distinct" if distinct else None}
        so_far: dict[str, Any] = {}
        self.fatal = fatal

        def beat(_share: float, told: Mapping[str, Any] | None = None) -> None:
            so_far.update(told or {})

        for _ in range(2):
            job = Job(job_id, "acme", REDRIVE, arguments, JobState.RUNNING, 0.0, so_far or None, 0, 0, 1)
            try:
                Redriver(self, self, lambda _names: self, portion=2)(job, beat)  # type: ignore[arg-type, return-value]
            except Killed:
                continue
            return


ITEM = st.fixed_dictionaries(
    {"n": st.sampled_from([1, 2, "x", "y"])}, optional={"id": st.sampled_from(["a", "b", "c", "d"])}
)
STEP = st.one_of(
    st.tuples(st.just("post"), st.lists(ITEM, min_size=1, max_size=3), st.booleans()),
    st.tuples(st.just("unknown"), st.lists(ITEM, min_size=1, max_size=3)),
    st.tuples(st.just("decide")),
    st.tuples(st.just("days"), st.sampled_from([1, 6, 9])),
    st.tuples(st.just("pin"), st.booleans()),
    st.tuples(st.just("redrive"), st.booleans(), st.sampled_from([1, 2, 1000]), st.sampled_from([-1, 1, 2, 3])),
)


def definition(*, strict: bool, reads: bool) -> tuple[SourceView, bytes]:
    more: dict[str, Any] = {"parse": {"contentType": "application/json"}} if reads else {}
    return source(pins={"*": "s@1"}, **more), STRICT if strict else OPEN


def redefine(world: World, *, strict: bool, reads: bool) -> None:
    view, schema = definition(strict=strict, reads=reads)
    world.stage.snapshot = snapshot(view, s=schema)


def play(world: World, steps: list[tuple[Any, ...]]) -> None:
    """Do the steps of a history."""
    passed = 0
    for number, (what, *given_) in enumerate(steps):
        if what in ("post", "unknown"):
            items, batch = given_[0], what == "unknown" or given_[1]
            body = items if batch or len(items) > 1 else items[0]
            more = {"headers": UNKNOWN} if what == "unknown" else {}
            world.append(json.dumps(body).encode(), delivery_id=f"d{number}", **more)
        elif what == "decide":
            world.decide()
        elif what == "days" and passed + given_[0] <= MOST_DAYS:
            passed += given_[0]
            world.now_ms += given_[0] * DAY_MS
        elif what == "pin":
            redefine(world, strict=given_[0], reads=False)
        elif what == "redrive":
            distinct, limit, fatal = given_
            world.decide()
            world.redrive(f"job{number}", distinct=distinct, limit=limit, fatal=fatal)


@settings(deadline=None)
@given(st.lists(STEP, max_size=14))
def test_every_item_is_clean_exactly_once_in_the_end(steps: list[tuple[Any, ...]]) -> None:
    view, schema = definition(strict=True, reads=False)
    world = World(Partition(view, s=schema))
    play(world, steps)
    world.decide()
    before = Counter(world.clean)
    redefine(world, strict=False, reads=True)
    for number in range(3):
        world.redrive(f"last{number}", distinct=number > 0, limit=1000, fatal=-1)
        if number == 0:
            world.redrive("twice", distinct=False, limit=1000, fatal=2)
        world.decide()
        if number == 1:
            world.now_ms += 20 * DAY_MS  # longer than the window
    assert world.open_rows() == []
    assert set((world.clean - before).values()) <= {1}, "a redrive made an event clean twice"
    assert len(world.clean) >= len(_sent(world)), "an event is nowhere"
    _nothing_is_added(world)


def _sent(world: World) -> set[Any]:
    """Return what must be there in the end: every vendor id, and every item without one."""
    found: set[Any] = set()
    for one in world.raw:
        meta, value = raw.decode(one.headers), json.loads(one.value)
        for number, item in enumerate(value if isinstance(value, list) else [value]):
            found.add(item.get("id") or (meta.delivery_id, number))
    return found


def _nothing_is_added(world: World) -> None:
    """Redrive every item that ever was in quarantine once more, as a process would that comes back after weeks.

    Whole deliveries are left out: an item of theirs may have an id whose first copy is out of its window by now.
    """
    notes, clean = world.notes, Counter(world.clean)
    world.notes = [note for note in notes if note.kind == FAILED and note.reason != "unsupported_content_type"]
    world.redrive("zombie", distinct=True, limit=1000, fatal=-1)
    world.now_ms += 9 * DAY_MS
    world.notes = notes
    world.decide()
    assert world.clean == clean, "a redrive that came late added something"
