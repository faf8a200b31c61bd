"""One writer of one table: the product's `Tail` and `Session` over the log and the catalog in memory.

Lives here: its thread as an actor, a layout without Arrow, and sleeping on the simulated clock.
"""

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import orjson
from confluent_kafka.admin import AdminClient
from pyiceberg.schema import Schema

from schemas.metrics import Metrics
from sinks import tail
from sinks.rows.system import Record
from sinks.source import Source
from sinks.spec import Env, Spec
from sinks.tail import Tail
from tests.simulation.actors import Actor
from tests.simulation.clients import Admin, Consumer
from tests.simulation.lake import Catalog, Lake, Row
from tests.simulation.log import Broker, Clock

METRICS = Metrics()
SCHEMA = Schema()


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

    def ages_s(self, _column: str, _now_us: int) -> list[float]:
        return []


class Layout:
    """Selects events by type; a row is its place in the clean topic and the event's id."""

    time = "received_at"

    def __init__(self, wanted: str | None) -> None:
        self._wanted = wanted

    def first_schema(self) -> Schema:
        return SCHEMA

    def build(self, records: Sequence[Record], _metadata: Any, _now_us: int) -> Built:
        rows = []
        for record in records:
            event = orjson.loads(record.value)
            if selects(self._wanted, event["eventType"]):
                rows.append((record.topic_id, record.partition, record.offset, event["eventId"]))
        return Built(Rows(tuple(rows)), SCHEMA, len(records) - len(rows))


def selects(wanted: str | None, event_type: str) -> bool:
    """Tell whether a stream wants events of a type; None wants all."""
    return wanted is None or wanted == event_type


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


class _Source(Source):
    """The product's source over a consumer in memory."""

    def __init__(self, consumer: Consumer, admin: Any, names: Sequence[str]) -> None:
        with mock.patch("sinks.source.Consumer", lambda _config: consumer):
            super().__init__({}, admin, names)


class Writer:
    """A tail and the thread that it runs in."""

    def __init__(self, name: str, spec: Spec, wanted: str | None, broker: Broker, lake: Lake, most: int) -> None:
        self.name, self.spec = name, spec
        self._broker, self._most = broker, most
        self.catalog = Catalog(lake, self._pause, SCHEMA)
        admin: Any = Admin(broker, self._pause)
        catalog: Any = self.catalog
        clock: Any = broker.clock
        env = Env(
            catalog, admin, {}, clock, METRICS, name, 1_000, 0, threading.BoundedSemaphore(1), random=lambda: 0.5
        )
        layout: Any = Layout(wanted)
        self.tail = Tail(spec, layout, env)
        self._stop = _Stop(broker.clock)
        patched: Any = self.tail
        patched._stop = self._stop
        self.actor = Actor(name, self.tail._run)
        self._stop.actor = self.actor

    def go(self, steps: int) -> None:
        """Let it run from pause to pause."""
        with ExitStack() as stack:
            stack.enter_context(mock.patch.object(tail, "Source", self._source))
            for _ in range(steps):
                if not self.actor.go():
                    break

    def _source(self, config: dict[str, Any], admin: AdminClient, names: Sequence[str]) -> Source:
        return _Source(Consumer(self._broker, config, self._pause, self._most), admin, names)

    def _pause(self, at: str) -> None:
        self.actor.pause(at)

    @property
    def alive(self) -> bool:
        return not self.actor.done

    def stop(self) -> None:
        """Tell it to stop, as on a revoked table."""
        self.tail.stop()

    def kill(self) -> None:
        """Kill its process."""
        self.actor.kill()

    def again(self, spec: Spec) -> Spec:
        """Return the spec of its next generation."""
        return replace(spec, generation=self.spec.generation + 1)
