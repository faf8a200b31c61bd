"""One writer of the table: the product's `Tail` and `Session` over the log and the catalog in memory.

Lives here: its thread as an actor, a layout without Arrow, sleeping on the simulated clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from unittest import mock

from pyiceberg.schema import Schema

from schemas.metrics import Metrics
from sinks.rows.system import Record
from sinks.slots import Slots
from sinks.source import Source
from sinks.spec import Env, Spec
from sinks.tail import Tail
from tests.simulation.actors import Actor
from tests.simulation.clients import Admin, Consumer
from tests.simulation.lake import SCHEMA, Catalog, Lake, Row
from tests.simulation.log import Broker, Clock

METRICS = Metrics()
FLUSH_BYTES = 60
OTHER = b"other"
"""The value of events that a filter does not select."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a batch."""

    rows: tuple[Row, ...]

    @property
    def num_rows(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Built:
    """Takes the place of sinks.layout.Built."""

    rows: Rows
    schema: Schema
    not_selected: int
    overflow: int = 0
    discarded: Mapping[tuple[str, int], int] = field(default_factory=dict)
    dropped: int = 0

    def ages_s(self, _column: str, _now_us: int) -> list[float]:
        return []


class Layout:
    """One row an event, which is its place in the clean topic; a `narrow` one leaves `OTHER` events out."""

    time: Any = None  # no partitions

    def __init__(self, *, narrow: bool) -> None:
        self._narrow = narrow

    def first_schema(self) -> Schema:
        return SCHEMA

    def build(self, records: Sequence[Record], _metadata: Any, _now_us: int) -> Built:
        rows = tuple((one.topic_id, one.partition, one.offset) for one in records if selected(one.value, self._narrow))
        return Built(Rows(rows), SCHEMA, len(records) - len(rows))

    def sealed(self, built: Built, _metadata: Any, _owner_id: str, _now_us: int) -> tuple[Rows, dict[str, str]]:
        return built.rows, {}

    def drift(self) -> tuple[str, ...]:
        return ()


def selected(value: bytes | None, narrow: bool) -> bool:
    """Tell whether a stream keeps an event."""
    return not (narrow and value == OTHER)


class _Stop:
    """Takes the place of a tail's threading.Event: waiting lets the scheduler move the time."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._set = clock, False
        self.actor: Actor | None = None

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True

    def wait(self, timeout: float | None = None) -> bool:
        until = None if timeout is None else self._clock.now + timeout
        assert self.actor is not None
        while not self._set and (until is None or self._clock.now < until):
            self.actor.pause("wait")
        return self._set


class Writer:
    """A tail and the thread that it runs in."""

    def __init__(self, name: str, spec: Spec, broker: Broker, lake: Lake, *, narrow: bool, most: int) -> None:
        self.name, self.spec = name, spec
        self._broker, self._most = broker, most
        self.catalog = Catalog(lake, self._pause)
        admin: Any = Admin(broker, self._pause)
        catalog: Any = self.catalog
        layout: Any = Layout(narrow=narrow)
        slots = Slots(1_000, patience_s=1.0, most=10_000, monotonic=broker.clock.monotonic)
        env = Env(
            catalog, admin, {}, broker.clock, METRICS, name, FLUSH_BYTES, 0, slots, random=lambda: 0.5,
            source=self._source,
        )  # fmt: skip
        self.tail: Any = Tail(spec, layout, env)
        self._stop = _Stop(broker.clock)
        cast("Any", self.tail)._stop = self._stop
        self.actor = self._stop.actor = Actor(name, self.tail._run)

    def _source(self, config: Any, admin: Any, names: Sequence[str]) -> Source:
        consumer = Consumer(self._broker, dict(config), self._pause, self._most)
        with mock.patch("sinks.source.Consumer", return_value=consumer):
            return Source(config, admin, names)

    def _pause(self, at: str) -> None:
        self.actor.pause(at)

    def go(self, steps: int) -> None:
        """Let it run from pause to pause."""
        for _ in range(steps):
            if not self.actor.go():
                break
