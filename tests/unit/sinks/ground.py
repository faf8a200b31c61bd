"""A tail without Kafka: a log in memory, a manual clock, a real catalog and real files whose every call can fail.

Lives here: set-up. May not live here: assertions. `Gate` counts the calls to storage and catalog; the n-th may raise,
or end the process.
"""

import errno
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io import InputFile, OutputFile
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table
from sqlalchemy import event as of_engine

from schemas.backing.lake.sql import BoundedSql
from schemas.metrics import Metrics
from sinks.columns.key import Key
from sinks.columns.typing import Typing
from sinks.fleet import EVENTS
from sinks.layout import EventLayout
from sinks.rows.system import Record
from sinks.slots import Slots
from sinks.source import Expired, Topic, TopicMoved
from sinks.spec import Env, Spec
from sinks.table import state
from sinks.tail import Tail
from sinks.upsert.keys import Keys
from sinks.upsert.room import Room
from tests.fakes.clock import ManualClock
from tests.integration.sinks.world import wire_event

METRICS = Metrics()
NAME, STREAM = ("acme", "orders"), "stream-1"
TOPIC = "acme.event.shop"


class Gate:
    """Counts calls; `at` is the call that is not let through."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.at: int | None = None
        self.act: Callable[[], None] = lambda: None
        self.after = True
        self.full = False

    def done(self, name: str) -> None:
        """Count the end of a call, where that differs from the beginning of the next one."""
        if self.after:
            self.call(name)

    def clear(self) -> None:
        """Let everything through and count anew."""
        self.calls, self.at, self.after, self.full = [], None, True, False

    def call(self, name: str) -> None:
        self.calls.append(name)
        if len(self.calls) == self.at:
            self.act()

    def room(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "no space left on device")


GATE = Gate()


class _Stream:
    def __init__(self, stream: Any, path: str) -> None:
        self._stream, self._path = stream, path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, data: Any) -> Any:
        GATE.room()
        return self._stream.write(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        if not self._stream.closed:
            GATE.call(f"close {self._path}")
            self._stream.close()
            GATE.done(f"closed {self._path}")


class _Output(OutputFile):
    def __init__(self, output: OutputFile) -> None:
        super().__init__(output.location)
        self._output = output

    def __len__(self) -> int:
        return len(self._output)

    def exists(self) -> bool:
        return self._output.exists()

    def to_input_file(self) -> InputFile:
        return self._output.to_input_file()

    def create(self, overwrite: bool = False) -> Any:
        GATE.call(f"create {self.location}")
        return _Stream(self._output.create(overwrite), self.location)


class GatedIO(PyArrowFileIO):
    """Local files through the gate."""

    def new_input(self, location: str) -> Any:
        GATE.call(f"open {location}")
        return super().new_input(location)

    def new_output(self, location: str) -> Any:
        return _Output(super().new_output(location))

    def delete(self, location: Any) -> None:
        GATE.call(f"delete {location}")
        super().delete(location)


class GatedCatalog(BoundedSql):
    """Our SQL catalog in a folder, each statement and each commit through the gate."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            "hookberg",
            timeout_s=30.0,
            uri=f"sqlite:///{folder}/catalog.db",
            warehouse=f"file://{folder}/warehouse",
            **{"py-io-impl": f"{__name__}.GatedIO"},
        )
        of_engine.listen(self.engine, "before_cursor_execute", lambda *_a: GATE.call("statement"))
        of_engine.listen(self.engine, "commit", lambda *_a: GATE.call("commit"))

    def commit_table(self, *args: Any) -> Any:
        GATE.call("commit_table")
        answer = super().commit_table(*args)
        GATE.done("committed")
        return answer

    def create_table(self, *args: Any, **kwargs: Any) -> Any:
        GATE.call("create_table")
        answer = super().create_table(*args, **kwargs)
        GATE.done("created")
        return answer

    def load_table(self, identifier: Any) -> Any:
        GATE.call("load_table")
        return super().load_table(identifier)


class Log:
    """Topics in memory; offsets that hold nothing are control records."""

    def __init__(self) -> None:
        self.topics: dict[str, tuple[str, list[list[bytes | None]]]] = {}
        self.low: dict[tuple[str, int], int] = {}

    def make(self, name: str, partitions: int = 1, topic_id: str = "TOPICID1") -> None:
        self.topics[name] = (topic_id, [[] for _ in range(partitions)])
        self.low = {key: at for key, at in self.low.items() if key[0] != name}

    def put(self, *values: bytes | None, topic: str = TOPIC, partition: int = 0) -> None:
        self.topics[topic][1][partition].extend(values)

    def events(self, first: int, count: int, **members: Any) -> None:
        for n in range(first, first + count):
            body = b'{"n":%d%s}' % (n, b"".join(b',"%s":%d' % (k.encode(), v) for k, v in members.items()))
            self.put(wire_event(n, body, at_ms=1_700_000_000_000 + n))

    def bounds(self, name: str, partition: int) -> tuple[int, int]:
        return self.low.get((name, partition), 0), len(self.topics[name][1][partition])


class MemorySource:
    """Takes the place of sinks.source.Source over a `Log`."""

    def __init__(self, log: Log, names: Sequence[str], per_poll: int, idle: Callable[[float], None]) -> None:
        self._log, self._names, self._per_poll, self._idle = log, names, per_poll, idle
        self.topics: dict[str, Topic] = {}
        self.positions: dict[tuple[str, int], int] = {}
        self.read_us = None
        self.traces = None

    def look(self) -> dict[str, Topic]:
        known = self._log.topics
        return {name: Topic(name, known[name][0], len(known[name][1])) for name in self._names if name in known}

    def check(self) -> None:
        if self.look() != self.topics:
            raise TopicMoved("moved")

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        return self._log.bounds(topic, partition)

    def start(self, topic: str, partition: int, start_from: str | datetime) -> int:
        return self.bounds(topic, partition)[start_from == "latest"]

    def assign(self, topics: Mapping[str, Topic], at: Mapping[tuple[str, int], int]) -> None:
        self.topics, self.positions = dict(topics), dict(at)

    def poll(self, timeout_s: float) -> tuple[list[Record], int]:
        found: list[Record] = []
        for (topic, partition), position in self.positions.items():
            low, high = self.bounds(topic, partition)
            if not low <= position <= high:
                raise Expired(topic, partition, position, low, high)
            end = min(high, position + self._per_poll)
            values = self._log.topics[topic][1][partition]
            found += [
                Record(self.topics[topic].id, partition, at, value)
                for at in range(position, end)
                if (value := values[at]) is not None
            ]
            self.positions[topic, partition] = end
        if not found:
            self._idle(timeout_s)
        return found, sum(len(record.value) for record in found)

    def lag(self) -> int:
        return 0

    def ends(self) -> state.Offsets:
        made: state.Offsets = {}
        for (topic, partition), position in self.positions.items():
            made.setdefault(self.topics[topic].id, {})[str(partition)] = position
        return made

    def close(self) -> None:
        return None


class _Stop:
    """Takes the place of a tail's threading.Event: waiting moves the clock."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock, self._set = clock, False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is None and not self._set:
            self._set = True  # nobody else is there to do it: a person must decide
            return True
        self._clock.advance(timeout or 0.0)
        return self._set


class Ground:
    """One stream over a log in memory; `run` is a tail's life in the caller's thread."""

    def __init__(self, folder: Path, *, per_poll: int = 5, event_types: tuple[str, ...] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.clock, self.log = folder, ManualClock(), Log()
        self.catalog = GatedCatalog(folder)
        self.reader = SqlCatalog(
            "hookberg", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}/warehouse"
        )
        self.per_poll, self.event_types = per_poll, event_types
        self.flush_bytes = 1
        self.typing, self.layout = Typing(), "nested"
        self.key: Key | None = None
        self.keys: Keys | None = None
        self.most_s, self.step_s = 3600.0, 0.01
        self.tail: Tail | None = None
        self.advances: Any = None
        self.upkeep: Any = None
        self.room = Room()
        self.meanwhile: Callable[[], None] = lambda: None
        """Called whenever the tail polls and finds nothing."""

    def spec(self, **changes: Any) -> Spec:
        base: dict[str, Any] = {
            "id": STREAM, "identifier": NAME, "topics": (TOPIC,), "start_from": "earliest", "freshness_s": 0.2,
            "generation": 1, "accept_loss": False, "kind": EVENTS, "keys": self.keys,
        }  # fmt: skip
        return Spec(**{**base, **changes})

    def run(self, *, until: Callable[[], bool] | None = None, **changes: Any) -> Tail:
        """Run a tail until it has committed the whole log (or `until`), or has waited an hour by the manual clock."""
        done = until or self.drained
        started = self.clock.monotonic()

        def idle(timeout_s: float) -> None:
            self.clock.advance(max(timeout_s, self.step_s))
            self.meanwhile()
            if done() or self.clock.monotonic() - started > self.most_s:
                tail.stop()

        def source(_config: Any, _admin: Any, names: Sequence[str]) -> Any:
            if self.clock.monotonic() - started > self.most_s:
                tail.stop()
            return MemorySource(self.log, names, self.per_poll, idle)

        admin: Any = None
        slots = Slots(4, patience_s=10, most=32, monotonic=self.clock.monotonic)
        env = Env(
            self.catalog, admin, {}, self.clock, METRICS, "me", self.flush_bytes, 1, slots, lambda: 0.5, source,
            self.advances, self.upkeep, room=self.room,
        )  # fmt: skip
        layout = EventLayout(self.typing, self.event_types, self.layout, self.key, self.keys)
        tail = self.tail = Tail(self.spec(**changes), layout, env)
        patched: Any = tail
        patched._stop = _Stop(self.clock)
        tail._run()
        return tail

    def drained(self) -> bool:
        """Tell whether the table stands at the end of the log."""
        ends = {
            topic_id: {str(p): len(values) for p, values in enumerate(partitions)}
            for topic_id, partitions in self.log.topics.values()
        }
        if not self.reader.table_exists(NAME):
            return False
        have = state.offsets(self.table().metadata, STREAM)
        return all(have.get(topic) == at for topic, at in ends.items())

    def table(self) -> Table:
        """Return the table, read past the gate."""
        return self.reader.load_table(NAME)

    def numbers(self) -> list[int]:
        """Return the `n` of every row's payload, sorted."""
        rows = self.table().scan(selected_fields=("payload",)).to_arrow().to_pylist()
        return sorted(row["payload"]["n"] for row in rows)

    def close(self) -> None:
        """Close the catalogs."""
        self.catalog.close()
        self.reader.close()

    def unreferenced(self) -> set[str]:
        """Return the names of data files, manifests and manifest lists that no snapshot refers to."""
        table, held = self.table(), set()
        for snapshot in table.metadata.snapshots:
            held.add(Path(snapshot.manifest_list).name)
            for manifest in snapshot.manifests(table.io):
                held.add(Path(manifest.manifest_path).name)
                held |= {Path(e.data_file.file_path).name for e in manifest.fetch_manifest_entry(table.io)}
        folder = self.folder / "warehouse"
        return {path.name for path in folder.rglob("*") if path.suffix in {".avro", ".parquet"}} - held
