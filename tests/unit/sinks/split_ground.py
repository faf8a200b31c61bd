"""A split stream over a log in memory: threads and time are real, catalog and storage those of `ground`.

Lives here: set-up. May not live here: assertions.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

from deploy.processes.clock import SystemClock
from schemas.definitions.stream import StreamDefinition
from schemas.definitions.view import StreamView
from sinks.fleet import layout_of, of_stream
from sinks.slots import Slots
from sinks.spec import Env
from sinks.split import known
from sinks.split.plan import Plan
from sinks.split.tails import Split
from sinks.table import state
from tests.integration.sinks.world import wire_event
from tests.unit.sinks.ground import METRICS, NAME, STREAM, TOPIC, GatedCatalog, Log, MemorySource

DEADLINE_S = 20.0


class SplitGround:
    """One split stream; `run` is its life until everything is in its tables."""

    def __init__(self, folder: Path, *, per_poll: int = 5) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.log, self.per_poll = folder, Log(), per_poll
        self.catalog = GatedCatalog(folder)
        self.reader = SqlCatalog(
            "hookberg", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse"
        )
        self.members: dict[str, Any] = {}
        """Of the stream's definition."""
        self.plan = Plan()
        self.polls: list[tuple[int, int]] = []
        """(offset, number of records) of each poll that found any, of all consumers."""
        self.advances: Any = None
        self.upkeep: Any = None
        self.deadline_s, self.look_s = DEADLINE_S, 0.01

    def put(self, kinds: Sequence[str], first: int = 0, partition: int = 0, at_ms: int = 1_700_000_000_000) -> None:
        """Append one event a kind; its number is its payload's `n`. `at_ms`: when event 0 was or would be received."""
        for n, kind in enumerate(kinds, first):
            body = b'{"n":%d,"of_%d":true}' % (n, len(kind))
            self.log.put(wire_event(n, body, kind=kind, at_ms=at_ms + n), partition=partition)

    def split(self, **changes: Any) -> Split:
        """Return the stream, not started."""
        definition = StreamDefinition.model_validate(
            {"name": "o", "topics": [TOPIC], "targetTable": NAME[1], "splitBy": "eventType"} | self.members
        )
        view = StreamView(STREAM, NAME[0], "o", 1, definition, "running", 1, accept_loss=False, frozen=False)
        spec, clock = replace(of_stream(view), freshness_s=0.05, split=self.plan, **changes), SystemClock()
        slots = Slots(4, patience_s=10, most=32, monotonic=clock.monotonic)
        admin: Any = None
        env = Env(
            self.catalog, admin, {}, clock, METRICS, "me", 1 << 20, 1, slots, lambda: 0.0, self._source, self.advances,
            self.upkeep,
        )  # fmt: skip
        assert spec.split is not None
        return Split(spec, spec.split, layout_of, env)

    def run(self, until: Callable[[], bool] | None = None, **changes: Any) -> Split:
        """Run the stream until all tables together hold the log (or `until`)."""
        made = self.split(**changes)
        made.start()
        try:
            self.wait(until or self.drained, made)
        finally:
            made.stop()
            assert made.join(DEADLINE_S)
        return made

    def wait(self, done: Callable[[], bool], made: Split) -> None:
        """Poll until `done`."""
        until = time.monotonic() + self.deadline_s
        while not done():
            assert made.alive, "the stream ended by itself"
            if time.monotonic() > until:
                raise AssertionError(f"{made.status()} {self.rows()}")
            time.sleep(self.look_s)

    def drained(self) -> bool:
        """Tell whether the tables hold as many rows as the log has records."""
        total = sum(len(values) for _id, parts in self.log.topics.values() for values in parts)
        return self.holds(total)

    def holds(self, rows: int) -> bool:
        """Tell whether there are so many rows in all tables together."""
        return sum(map(len, self.rows().values())) >= rows

    def tables(self) -> dict[str, str]:
        """Return the table of each type, as the stream's own says; under "" that one itself."""
        if not self.reader.table_exists(NAME):
            return {}
        return {"": NAME[1]} | {one.event_type: one.table for one in known.members(self.table(NAME[1]).metadata)}

    def rows(self) -> dict[str, list[tuple[str, int]]]:
        """Return (type, n) of each table's rows by table name, sorted."""
        made = {}
        for name in self.tables().values():
            if not self.reader.table_exists((NAME[0], name)):
                continue
            found = self.table(name).scan(selected_fields=("event_type", "source_identifier")).to_arrow().to_pylist()
            made[name] = sorted((row["event_type"] or "", int(row["source_identifier"] or -1)) for row in found)
        return made

    def table(self, name: str) -> Table:
        """Return a table, read past the gate."""
        return self.reader.load_table((NAME[0], name))

    def offsets(self, name: str) -> state.Offsets:
        """Return where a table stands."""
        return state.offsets(self.table(name).metadata, STREAM)

    def close(self) -> None:
        """Close the catalogs."""
        self.catalog.close()
        self.reader.close()

    def _source(self, _config: Mapping[str, Any], _admin: Any, names: Sequence[str]) -> Any:
        return _Counted(self.log, names, self.per_poll, lambda _s: time.sleep(0.005), self.polls)


class _Counted(MemorySource):
    def __init__(self, log: Log, names: Sequence[str], per_poll: int, idle: Any, polls: list[tuple[int, int]]) -> None:
        super().__init__(log, names, per_poll, idle)
        self._polls = polls

    def poll(self, timeout_s: float) -> Any:
        first = min(self.positions.values(), default=0)
        records, size = super().poll(timeout_s)
        if records:
            self._polls.append((first, len(records)))
        return records, size
