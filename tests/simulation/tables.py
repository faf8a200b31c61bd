"""Histories of the table's writers: a clean topic in memory, tails beside and after one another, a catalog that fails.

Lives here: actions, the end, and what must hold: each committed event from the resolved start on is one row or in
a loss that was accepted; what was seen stays; no file of the table is ever deleted. Rules 17 to 21.
"""

import json
from collections import Counter
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from schemas.definitions.stream import State
from sinks.spec import Spec
from sinks.table import state
from tests.simulation.actions import Action
from tests.simulation.checks import Violation
from tests.simulation.lake import FAULTS, Lake, Row, Snapshot
from tests.simulation.log import Broker, Clock
from tests.simulation.writer import OTHER, Writer, selected

TOPIC = "acme.event.shop"
PARTITIONS = 2
OWNER = "stream-1"
MOST_ROUNDS = 400
IDLE_S = 700.0


@dataclass(frozen=True, slots=True)
class TableHistory:
    """A stream's start and filter, and what happens to it."""

    seed: int
    start_from: str
    narrow: bool
    actions: tuple[Action, ...]

    def __str__(self) -> str:
        """Return what is not in the actions."""
        return f"startFrom {self.start_from}, {'one' if self.narrow else 'all'} of two event types"


_VERBS: dict[str, tuple[int, Any]] = {
    "produce": (8, lambda r: (r.randrange(PARTITIONS), tuple(r.random() < 0.3 for _ in range(r.choice((1, 2, 4)))))),
    "abort": (2, lambda r: (r.randrange(PARTITIONS), r.choice((1, 3)))),
    "hold": (1, lambda r: (r.randrange(PARTITIONS),)),
    "release": (1, lambda _r: ()),
    "go": (16, lambda r: (r.randrange(3), r.choice((1, 2, 3, 5, 8, 20)))),
    "tick": (8, lambda r: (r.choice((0.1, 0.3, 1.0, 5.0, 61.0, IDLE_S)),)),
    "start": (4, lambda _r: ()),
    "beside": (1, lambda _r: ()),
    "stop": (1, lambda r: (r.randrange(3),)),
    "crash": (2, lambda r: (r.randrange(3),)),
    "answer": (3, lambda r: (r.randrange(3), r.choice(FAULTS), r.choice((1, 1, 2, 9)))),
    "land": (2, lambda _r: ()),
    "foreign": (1, lambda _r: ()),
    "roll back": (1, lambda r: (r.choice((1, 1, 2)),)),
    "expire": (1, lambda r: (r.randrange(PARTITIONS), r.randrange(1, 6))),
    "accept": (1, lambda _r: ()),
    "recreate": (1, lambda _r: ()),
    "look": (2, lambda _r: ()),
}
_RARE = ("expire", "recreate", "roll back", "foreign", "hold")


def draw(seed: int) -> TableHistory:
    """Make the history of a seed; rare things happen in some histories only."""
    random = Random(seed)
    left_out = {verb for verb in _RARE if random.random() < 0.6}
    verbs = [verb for verb in _VERBS if verb not in left_out]
    chosen = random.choices(verbs, [_VERBS[verb][0] for verb in verbs], k=random.choice((40, 80, 120)))
    return TableHistory(
        seed, random.choice(("earliest", "earliest", "latest")), random.random() < 0.4,
        tuple((verb, *_VERBS[verb][1](random)) for verb in chosen),
    )  # fmt: skip


class Tables:
    """The state of one history."""

    def __init__(self, history: TableHistory) -> None:
        self.history = history
        self.clock = Clock()
        self.broker = Broker(self.clock)
        self.topic = self.broker.create(TOPIC, PARTITIONS)
        self.lake = Lake()
        self.writers: list[Writer] = []
        self.log: list[str] = []
        self._spec = Spec(OWNER, ("acme", "t"), (TOPIC,), history.start_from, 1.0, 1, False, "events")
        self._events: dict[Row, bytes] = {}
        self._seen: list[Row] = []
        self._count = 0
        self._held = False
        self._start()

    def say(self, text: str) -> None:
        """Note something for the printed trace."""
        self.log.append(text)

    def standing(self) -> list[tuple[str, str]]:
        """Return where writers stand, for people."""
        return [(one.name, one.actor.at) for one in self.writers]

    def run(self) -> int:
        """Do everything, end well, check; return the number of rows. Raises `Violation`."""
        try:
            for action in self.history.actions:
                self.act(action)
            self.heal()
            return self.check()
        finally:
            for writer in self.writers:
                writer.actor.kill()

    def act(self, action: Action) -> None:
        """Do one action."""
        verb, *arguments = action
        getattr(self, "do_" + verb.replace(" ", "_"))(*arguments)
        self._reap()

    def _reap(self) -> None:
        for writer in [one for one in self.writers if one.actor.done]:
            self.writers.remove(writer)
            if writer.actor.error is not None:
                raise writer.actor.error
            self.say(f"{writer.name} has ended")

    # ---- the clean topic
    def _send(self, producer: str, partition: int, values: list[bytes]) -> list[int]:
        epoch = self.broker.init(producer)
        return [self.broker.send(producer, epoch, TOPIC, partition, b"k", value) for value in values]

    def do_produce(self, partition: int, others: tuple[bool, ...]) -> None:
        values = [OTHER if other else b"event" for other in others]
        offsets = self._send("stage", partition, values)
        self.broker.end("stage", self.broker.init_epoch("stage"), commit=True)
        self.broker.settle("stage")
        for offset, value in zip(offsets, values, strict=True):
            self._events[self.topic.id, partition, offset] = value
        self.say(f"{self.topic.id[:2]}/{partition}: events at {offsets}")

    def do_abort(self, partition: int, count: int) -> None:
        self._send("stage", partition, [b"aborted"] * count)
        self.broker.end("stage", self.broker.init_epoch("stage"), commit=False)
        self.broker.settle("stage")

    def do_hold(self, partition: int) -> None:
        """Leave a transaction of another group open: nobody reads past it."""
        if not self._held:
            self._held = True
            self._send("other", partition, [b"held"])

    def do_release(self) -> None:
        if self._held:
            self._held = False
            self.broker.init("other")

    def do_expire(self, partition: int, count: int) -> None:
        log = self.topic.logs[partition]
        if self.broker.renewed:
            return  # a table that knows nothing of the new topic yet has lost nothing of it
        log.expire(log.start + count)

    def do_recreate(self) -> None:
        self.do_release()
        self.topic = self.broker.create(TOPIC, PARTITIONS)
        self.say(f"the topic is {self.topic.id[:2]} now")

    # ---- writers
    def _start(self) -> None:
        self._count += 1
        self.say(f"writer-{self._count} starts")
        self.writers.append(
            Writer(f"writer-{self._count}", self._spec, self.broker, self.lake, narrow=self.history.narrow, most=3)
        )

    def _writer(self, which: int) -> Writer | None:
        return None if not self.writers else self.writers[0 if which > 1 else -1]

    def do_start(self) -> None:
        if not self.writers:
            self._start()

    def do_beside(self) -> None:
        """Start a successor beside a writer that does not know yet that it lost the table."""
        if len(self.writers) == 1:
            self._start()

    def do_go(self, which: int, steps: int) -> None:
        if writer := self._writer(which):
            writer.go(steps)

    def do_stop(self, which: int) -> None:
        if writer := self._writer(which):
            writer.tail.stop()

    def do_crash(self, which: int) -> None:
        if writer := self._writer(which):
            self.say(f"{writer.name} is killed before {writer.actor.at!r}")
            self.writers.remove(writer)
            writer.actor.kill()

    def do_answer(self, which: int, fault: str, times: int) -> None:
        if writer := self._writer(which):
            writer.catalog.faults += [fault] * times

    def do_accept(self) -> None:
        """Start the stream again with acceptLoss where it has failed for want of records."""
        writer = self._writer(0)
        if writer is not None and writer.tail._state is State.FAILED:
            for one in self.writers:
                one.actor.kill()
            self.writers.clear()
            self._spec = replace(self._spec, generation=self._spec.generation + 1, accept_loss=True)
            self._start()

    # ---- the table
    def do_land(self) -> None:
        self.lake.deliver()

    def do_foreign(self) -> None:
        self.lake.foreign()

    def do_roll_back(self, steps: int) -> None:
        if self.lake.roll_back(steps):
            self.say("the table is rolled back")
            self._seen = []

    def do_tick(self, seconds: float) -> None:
        self.clock.now += seconds

    def do_look(self) -> None:
        """Read the table as anybody does: what was seen once must stay as it was."""
        try:
            rows = self.lake.rows()
        except KeyError as error:
            raise Violation("files of the table stay", f"{error} is gone") from None
        if rows[: len(self._seen)] != self._seen:
            raise Violation("what was seen stays", f"{self._seen} became {rows}")
        self._seen = rows

    # ---- the end
    def heal(self) -> None:
        """End all faults and let everything be written."""
        self.do_release()
        while self.lake.late:
            self.lake.deliver()
        for writer in self.writers[:-1]:
            writer.actor.kill()
        self.writers = self.writers[-1:]
        for number in range(MOST_ROUNDS):
            self._reap()
            self.do_start()
            writer = self.writers[-1]
            writer.catalog.faults.clear()
            writer.go(4)
            self.clock.now += IDLE_S if number % 40 == 39 else 0.5
            self.do_accept()
            if self._done():
                return
        raise Violation("progress", f"offsets {self._offsets()}, {self.writers[-1].tail._message}")

    def _offsets(self) -> state.Offsets:
        table: Any = self.lake.table
        return {} if table is None else state.offsets(table, OWNER)

    def _done(self) -> bool:
        at = self._offsets().get(self.topic.id, {})
        return all(at.get(str(number)) == log.stable for number, log in enumerate(self.topic.logs))

    def check(self) -> int:
        """Compare the table with the log, place by place."""
        self.do_look()
        table: Any = self.lake.table
        start = json.loads(table.properties[state.START + OWNER])
        lineage = self._lineage()
        lost: set[Row] = set()
        for one in lineage:
            for topic, parts in json.loads(one.summary.additional_properties.get(state.LOST + OWNER, "{}")).items():
                for partition, (first, end) in parts.items():
                    lost |= {(topic, int(partition), offset) for offset in range(first, end)}
        rows = Counter(self._seen)
        twice = [row for row, count in rows.items() if count > 1]
        if twice:
            raise Violation("each event once", f"more than one row: {twice}")
        due = {
            (topic, partition, offset): value
            for (topic, partition, offset), value in self._events.items()
            if offset >= start.get(topic, {}).get(str(partition), 0)
        }
        wanted = {row for row, value in due.items() if selected(value, self.history.narrow)}
        if extra := set(rows) - wanted:
            raise Violation("only committed events", f"rows of nothing: {sorted(extra)}")
        missing = {row for row in wanted - set(rows) - lost if row[0] == self.topic.id}
        if missing:
            raise Violation("each event once", f"no row, and in no accepted loss: {sorted(missing)}")
        if both := set(rows) & lost:
            raise Violation("accepted losses", f"written as lost, yet rows: {sorted(both)}")
        self._not_selected(lineage, due, lost)
        return len(rows)

    def _not_selected(self, lineage: list[Snapshot], due: dict[Row, bytes], lost: set[Row]) -> None:
        told = sum(int(one.summary.additional_properties.get(state.NOT_SELECTED + OWNER, 0)) for one in lineage)
        left_out = [row for row, value in due.items() if not selected(value, self.history.narrow)]
        most = len([row for row in left_out if row not in lost])
        least = len([row for row in left_out if row not in lost and row[0] == self.topic.id])
        if not least <= told <= most:
            raise Violation("notSelected", f"told {told}, the log has {least} to {most}")

    def _lineage(self) -> list[Snapshot]:
        """Return the snapshots that lead to the current one, expired ones included."""
        by_id = {one.snapshot_id: one for one in self.lake.landed}
        table: Any = self.lake.table
        at, found = table.current_snapshot_id, []
        while at is not None:
            found.append(by_id[at])
            at = by_id[at].parent_snapshot_id
        return found
