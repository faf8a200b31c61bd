"""The ports: what one room needs of another or of the world, as Protocols only.

Whoever implements one says so in its docstring. Fakes are in tests/fakes and pass the same contract suite.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from schemas.definitions.alert import Alert, AlertKind
from schemas.definitions.job import Job
from schemas.definitions.minute import Complete, LastEvent, MinuteCounts
from schemas.definitions.view import KeyView, Snapshot, SourceView, StreamView
from schemas.wire.quarantine import OpenRow
from schemas.wire.raw import Header


class Clock(Protocol):
    """The time; the only real one lives in deploy/processes."""

    def time_ns(self) -> int:
        """Return the wall clock in ns since the epoch."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""


class RegistryView(Protocol):
    """The registry as the data plane reads it. Implemented by schemas.backing.registry.view.CachedView."""

    def current(self) -> Snapshot:
        """Return the newest snapshot known; never blocks, works on when the database is away."""

    async def refresh(self) -> Snapshot:
        """Ask the database now (rate-limited inside); the last snapshot known when it is away."""


class Stored(msgspec.Struct, frozen=True, gc=False):
    """Where a record was stored, told by the broker's delivery report."""

    partition: int
    offset: int


Done = Callable[[Stored | Exception], None]
"""Told once what became of a record; must not raise."""


class Publisher(Protocol):
    """Writes raw records. Implemented by ingress.publish.KafkaPublisher and tests.fakes.MemoryPublisher."""

    async def publish(
        self, topic: str, partition: int, key: bytes, value: bytes | bytearray, headers: list[Header]
    ) -> Stored:
        """Return after acks=all; raise `Overloaded(broker_slow|broker_away)` when not known in time (rule 1)."""

    def send(
        self, topic: str, partition: int, key: bytes, value: bytes | bytearray, headers: list[Header], done: Done
    ) -> None:
        """Publish without a task: `done` gets what `publish` would return or raise; raise what is known at once."""


class Registrar(Protocol):
    """Registers a source by itself when an API key posts to an unknown platform.

    Implemented by schemas.backing.registry.registrar.SelfRegistrar.
    """

    async def register(self, tenant: str, platform: str, key: KeyView) -> SourceView:
        """Make the source and its topics, open; returns the existing one if somebody was faster."""


class TallySink(Protocol):
    """Keeps the edge's absolute counters (rule 24) and the rings of refused requests. Implemented by the registry."""

    async def flush(self, process_start: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Upsert one row per source: accepted, refused by reason, last event and last use of each secret."""

    async def keep(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add refused requests `{id, source_id, at_ms, document}`, at most 1,000; the same id twice is one."""


class Egress(Protocol):
    """Calls addresses that users name. Implemented by schemas.backing.egress.HttpEgress."""

    async def get(self, url: str, *, limit_bytes: int) -> bytes:
        """Return the body of a 200; raise `Transient` whose words say what to do, within a bounded time."""


class TableReader(Protocol):
    """What the API shows of tables. Implemented by sinks.read; blocking calls run in a thread of the reader's own.

    `event_type`: of a split stream that type's table, `Refused(not_found)` when it has none; None: the stream's own.
    """

    async def table(self, stream: StreamView, event_type: str | None = None) -> dict[str, Any]:
        """Return catalog, metadata location and snippets; raise `Refused(not_found)` before the first commit."""

    async def rows(self, stream: StreamView, limit: int, event_type: str | None = None) -> list[dict[str, Any]]:
        """Return the newest rows, newest first, as JSON values."""

    async def columns(self, stream: StreamView, event_type: str | None = None) -> list[dict[str, Any]]:
        """Return the data dictionary: name, type, doc."""

    async def quarantine(self, tenant: str, query: Mapping[str, str], limit: int, cursor: str | None) -> dict[str, Any]:
        """Return a page of the quarantine table: {items, nextCursor}; empty before its first commit."""

    async def drift(self, tenant: str, source_id: str, since_ms: int, limit: int) -> dict[str, Any]:
        """Return where a source's events failed their schemas: {events, open, places, morePlaces, complete}."""

    async def redrivable(self, tenant: str, query: Mapping[str, Any]) -> dict[str, Any]:
        """Return {matching, byReason}: how many rows of the quarantine table a redrive would take now."""


class TableMetadata(msgspec.Struct, frozen=True, gc=False):
    """A table's Iceberg metadata: where it is, and the JSON text as it stands there."""

    location: str
    json: bytes


class CatalogReader(Protocol):
    """The Iceberg catalog, for reading. Implemented by sinks.read.catalog; blocking calls run in its own threads.

    All raise `Overloaded` when too many are asked at once and `Transient` when catalog or storage are away. They know
    nothing of who asks: whoever calls them keeps tenants apart.
    """

    async def namespaces(self) -> list[str]:
        """Return the names of all namespaces, sorted; those of several levels are nobody's and left out."""

    async def tables(self, namespace: str) -> list[str] | None:
        """Return the names of a namespace's tables, sorted; None: no such namespace."""

    async def exists(self, namespace: str, table: str) -> bool:
        """Tell whether there is such a table."""

    async def metadata(self, namespace: str, table: str) -> TableMetadata | None:
        """Return a table's newest metadata; None: no such table."""

    async def split_tables(self, stream: StreamView) -> list[str]:
        """Return the names of a split stream's tables by event type, sorted; its own table is not among them."""

    async def latest(self, stream: StreamView, table: str) -> dict[str, Any] | None:
        """Return {metadata-location, metadata} of the `latest` view of one of a stream's tables (Iceberg view spec).

        None: no such table, or a stream whose tables have no versions of keys.
        """


class DeliveryReader(Protocol):
    """What the API shows of deliveries. Implemented by sinks.read.deliveries; blocking calls run in its own threads.

    Both raise `Overloaded` when too many are asked at once and `Transient` when Kafka or the catalog are away. What a
    bound or retention cut from an answer is named in it: `incomplete`, `why`.
    """

    async def way(
        self, tenant: str, delivery_id: str, at: tuple[str, int, int] | None, first: int, limit: int
    ) -> dict[str, Any]:
        """Return one delivery's way; `at`: (topic id or name, partition, offset) of a genuine receipt.

        Items from number `first` on, `limit` at most. Raises `Refused(not_found)`, the same for every unknown id.
        """

    async def page(self, tenant: str, query: Mapping[str, str], limit: int, cursor: str | None) -> dict[str, Any]:
        """Return a page, newest first: {items, nextCursor, incomplete, why}; `query`: source, outcome, vendorEventId.

        Raises `Refused(bad_request)` for a filter or cursor that cannot be read.
        """


class JobQueue(Protocol):
    """Jobs in the registry. Implemented by schemas.backing.registry.jobs.Jobs."""

    def claim(self, kinds: Sequence[str], owner: str, lease_s: float) -> Job | None:
        """Take the oldest queued job of one of `kinds`, or one whose lease has run out; None if there is none."""

    def progress(
        self, job_id: str, owner: str, share: float, lease_s: float, so_far: Mapping[str, Any] | None = None
    ) -> bool:
        """Renew the lease, store the share done (0..1) and the result so far; False when it is another owner's now."""

    def finish(self, job_id: str, owner: str, result: Mapping[str, Any], *, failed: bool = False) -> bool:
        """Store the result; False when the job is no longer this owner's."""


class AlertBook(Protocol):
    """The alerts in the registry. Implemented by schemas.backing.registry.alerts.Alerts; blocking."""

    def open(
        self, tenant: str, kind: AlertKind, entity: tuple[str, str], message: str, details: Mapping[str, Any]
    ) -> Alert:
        """Open an alert about `entity` (type, id), or bring the open one up to date; twice is once."""

    def close(self, kind: AlertKind, entity: tuple[str, str]) -> bool:
        """Close the open alert about `entity`; False when there is none."""

    def opened(self, kind: AlertKind, entity_ids: Iterable[str] | None = None) -> Sequence[Alert]:
        """Return the open alerts of a kind: all, or those about some entities."""


class MinuteBook(Protocol):
    """Minutes in the registry. Implemented by schemas.backing.registry.objects.minutes.Minutes; blocking."""

    def tell(self, rows: Sequence[MinuteCounts], complete: Sequence[Complete] = ()) -> None:
        """Store at most 1,000 absolute rows and how far ledgers are counted; the same twice is once."""

    def prune(self, before: int) -> int:
        """Let go of the minutes before `before`; return how many rows went."""

    def last_events(self, source_ids: Iterable[str]) -> Mapping[str, LastEvent]:
        """Return when sources were made, changed, and last took an event at the edge."""


class OpenRows(Protocol):
    """Rows of the quarantine table by position, made one by one."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __iter__(self) -> Iterator[OpenRow]:
        """Yield them, ascending."""


class QuarantineTable(Protocol):
    """The quarantine tables as a redrive reads them. Implemented by sinks.read.redrivable.Redrivable; blocking."""

    def held(self, tenant: str) -> Mapping[tuple[str, int], int]:
        """Return how far the table holds the quarantine topics: (topic id, partition) -> next offset."""

    def rows(self, tenant: str, query: Mapping[str, Any], alive: Callable[[], None]) -> OpenRows:
        """Return the rows that failed and are not resolved; `alive` is called while the table is read."""
