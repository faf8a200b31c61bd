"""What one request stands on: the tenant's topics as they are now, the log, the catalog, the budget.

Lives here: names and ids. A tenant is shown its own topics and tables and nothing else: every search starts from here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pyiceberg.catalog import Catalog

from schemas import topics
from schemas.definitions.view import Snapshot, SourceView, TopicView
from schemas.ports import Clock
from schemas.topics import Kind
from schemas.wire.position import Position
from sinks.read.deliveries.budget import Budget
from sinks.read.deliveries.log import Log
from sinks.read.deliveries.tables import Reading, of_topic
from sinks.source import Topic

MAX_RAW = 100
"""Raw topics that one request looks into."""


@dataclass(frozen=True, slots=True)
class Platform:
    """One platform's topics as Kafka has them now; None: it does not exist."""

    name: str
    raw: Topic
    event: Topic | None
    quarantine: Topic | None


@dataclass(slots=True)
class Ground:
    """One request; `wait` sleeps for seconds. Tables are loaded once, when they are asked for."""

    tenant: str
    snapshot: Snapshot
    log: Log
    catalog: Callable[[], Catalog]
    clock: Clock
    wait: Callable[[float], None]
    budget: Budget
    _ledger: Topic | None = None
    _readings: dict[tuple[str, frozenset[str] | None], list[Reading]] = field(default_factory=dict)

    @property
    def now_ms(self) -> int:
        """Return the wall clock in ms."""
        return self.clock.time_ns() // 1_000_000

    def raw_views(self) -> Iterator[TopicView]:
        """Yield the tenant's raw topics as the registry has them, by name."""
        found = [one for one in self.snapshot.topics.values() if one.tenant == self.tenant and one.kind == Kind.WEBHOOK]
        yield from sorted(found, key=lambda one: one.name)

    def view_of(self, topic: str) -> TopicView | None:
        """Return the tenant's raw topic that has this id or name."""
        return next((one for one in self.raw_views() if topic in (one.topic_id, one.name)), None)

    def platforms(self, names: Iterable[str]) -> dict[str, Platform]:
        """Return platforms with their topics, those whose raw topic exists; one call to Kafka."""
        wanted = list(names)
        kinds = (topics.raw, topics.event, topics.quarantine)
        asked = [kind(self.tenant, name) for name in wanted for kind in kinds]
        found = self.log.topics([*asked, topics.ledger(self.tenant)])
        self._ledger = found.get(topics.ledger(self.tenant))
        made = {}
        for name in wanted:
            raw, event, quarantine = (found.get(kind(self.tenant, name)) for kind in kinds)
            if raw is not None:
                made[name] = Platform(name, raw, event, quarantine)
        return made

    @property
    def ledger(self) -> Topic | None:
        """Return the ledger topic, known once `platforms` was asked."""
        return self._ledger

    def readings(self, topic: str, kinds: frozenset[str] | None = None) -> list[Reading]:
        """Return the tables that are written from a topic; `kinds`: of split streams those of these types only."""
        if (topic, kinds) not in self._readings:
            found = of_topic(self.catalog, self.snapshot, self.tenant, topic, self.budget, kinds)
            self._readings[topic, kinds] = found
        return self._readings[topic, kinds]

    def source(self, source_id: str) -> SourceView | None:
        """Return one of the tenant's sources."""
        found = self.snapshot.sources.get(source_id)
        return found if found is not None and found.tenant == self.tenant else None

    def source_wire(self, source_id: str) -> Mapping[str, str | None]:
        """Return a source for an answer; its name is None once it is deleted."""
        found = self.source(source_id)
        return {"id": source_id, "name": None if found is None else found.name}


def at(topic: Topic, partition: int, offset: int) -> Position:
    """Return the position of a raw record."""
    return Position(topic.id, partition, offset, 0)
