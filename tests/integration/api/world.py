"""The API over a real registry on a real socket, with fakes for Kafka's topics and the tables."""

import io
import itertools
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from ingress.api.app import build_app
from ingress.api.env import STATIC, ApiEnv
from ingress.api.routes import MAX_LINE_BYTES
from ingress.env import Env
from ingress.mount import add_data_plane
from ingress.rates import Rates
from schemas import topics
from schemas.backing.registry import SYSTEM, Registry, SourceRecord, TopicRecord, Vault
from schemas.definitions.key import KeyDefinition, Permission
from schemas.definitions.view import EMPTY, Snapshot, StreamView, TopicView
from schemas.errors import Refused
from schemas.metrics import Metrics
from schemas.ports import CatalogReader, TableMetadata
from schemas.reasons import Reason
from schemas.settings.processes import ApiSettings


class SystemClock:
    """The clock of this machine."""

    def time_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()


class DirectView:
    """A registry view that reads when it is asked to; counts how often."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._snapshot = EMPTY
        self.refreshes = 0

    def current(self) -> Snapshot:
        return self._snapshot

    async def refresh(self) -> Snapshot:
        self.refreshes += 1
        self._snapshot = self._registry.load()
        return self._snapshot


class FakeTopics:
    """Makes topics in memory; `failure` is raised by the next call that makes a source's topics."""

    def __init__(self) -> None:
        self.made: dict[str, TopicRecord] = {}
        self.failure: Exception | None = None
        self._ids = itertools.count(1)

    def ensure_source_topics(self, source: SourceRecord) -> Sequence[TopicRecord]:
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        tenant, platform = source.tenant, source.platform
        kinds = (topics.Kind.WEBHOOK, topics.Kind.EVENT, topics.Kind.QUARANTINE)
        return [self._make(tenant, kind, platform, source.partitions) for kind in kinds]

    def ensure_tenant_topics(self, tenant: str) -> Sequence[TopicRecord]:
        return [self._make(tenant, kind, "", 1) for kind in (topics.Kind.LEDGER, topics.Kind.TABLE)]

    def ensure_run_topic(self, tenant: str, target: str) -> TopicRecord:
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        return replace(self._make(tenant, topics.Kind.RUN, target, 4), span=4)

    def grow(self, topic: TopicRecord, partitions: int) -> TopicRecord:
        self.made[topic.name] = replace(self.made[topic.name], partitions=partitions)
        return replace(topic, partitions=partitions)

    def _make(self, tenant: str, kind: topics.Kind, platform: str, partitions: int) -> TopicRecord:
        name = str(topics.TopicName(tenant, kind, platform))
        record = TopicRecord(
            name, f"topic-id-{next(self._ids):013d}", tenant, kind.value, platform, partitions, "", False
        )
        return self.made.setdefault(name, record)


@dataclass
class FakeTables:
    """Tables in memory by stream name; one that is not there has no commit yet."""

    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], int, str | None]] = field(default_factory=list)
    counted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    types: list[str | None] = field(default_factory=list)

    async def table(self, stream: StreamView, event_type: str | None = None) -> dict[str, Any]:  # noqa: ARG002 the port's
        self._of(stream)
        return {"catalog": "hookberg", "metadataLocation": "file:///lake/v1.json", "snippets": {"duckdb": "SELECT 1"}}

    async def rows(self, stream: StreamView, limit: int, event_type: str | None = None) -> list[dict[str, Any]]:
        self.types.append(event_type)
        return self._of(stream)[:limit]

    async def columns(self, stream: StreamView, event_type: str | None = None) -> list[dict[str, Any]]:  # noqa: ARG002 the port's
        return [{"name": name, "type": "string", "doc": name} for name in self._of(stream)[0]]

    async def quarantine(self, tenant: str, query: Mapping[str, str], limit: int, cursor: str | None) -> dict[str, Any]:
        self.asked.append((tenant, dict(query), limit, cursor))
        return {"items": [{"reason": "schema_violation", "pointer": "/a"}], "nextCursor": None}

    async def drift(self, tenant: str, source_id: str, since_ms: int, limit: int) -> dict[str, Any]:
        self.asked.append((tenant, {"sourceId": source_id, "sinceMs": str(since_ms)}, limit, None))
        return {"events": 0, "open": 0, "places": [], "morePlaces": 0, "complete": True}

    async def redrivable(self, tenant: str, query: Mapping[str, Any]) -> dict[str, Any]:
        self.counted.append((tenant, dict(query)))
        return {"matching": 7, "byReason": {"schema_violation": 7}}

    def _of(self, stream: StreamView) -> list[dict[str, Any]]:
        if stream.name not in self.tables:
            raise Refused(Reason.NOT_FOUND, "the table has no commit yet")
        return self.tables[stream.name]


@dataclass
class FakeDeliveries:
    """One delivery a tenant, by its id; remembers what was asked."""

    known: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def way(
        self, tenant: str, delivery_id: str, at: tuple[str, int, int] | None, first: int, limit: int
    ) -> dict[str, Any]:
        self.asked.append((tenant, delivery_id, at, first, limit))
        if (tenant, delivery_id) not in self.known:
            raise Refused(Reason.NOT_FOUND, "no such delivery")
        return self.known[tenant, delivery_id]

    async def page(self, tenant: str, query: Mapping[str, str], limit: int, cursor: str | None) -> dict[str, Any]:
        self.asked.append((tenant, dict(query), limit, cursor))
        items = [one for (owner, _), one in self.known.items() if owner == tenant]
        return {"items": items, "nextCursor": None, "incomplete": False, "why": []}


@dataclass
class FakeCatalog:
    """An Iceberg catalog in memory: metadata by namespace and table."""

    known: dict[str, dict[str, TableMetadata]] = field(default_factory=dict)

    async def namespaces(self) -> list[str]:
        return sorted(self.known)

    async def tables(self, namespace: str) -> list[str] | None:
        return sorted(self.known[namespace]) if namespace in self.known else None

    async def exists(self, namespace: str, table: str) -> bool:
        return await self.metadata(namespace, table) is not None

    async def metadata(self, namespace: str, table: str) -> TableMetadata | None:
        return self.known.get(namespace, {}).get(table)

    async def split_tables(self, _stream: StreamView) -> list[str]:
        return []

    async def latest(self, stream: StreamView, table: str) -> dict[str, Any] | None:
        found = self.known.get(stream.tenant, {}).get(table)
        return None if found is None else {"metadata-location": found.location, "metadata": {}}


@dataclass
class FakeLags:
    """What waits by (raw topic, partition), of the topics asked for; `failure` is raised for ever."""

    told: dict[tuple[str, int], int] = field(default_factory=dict)
    failure: Exception | None = None

    def waiting(self, raw_topics: Iterable[TopicView]) -> Mapping[tuple[str, int], int]:
        if self.failure is not None:
            raise self.failure
        names = {topic.name for topic in raw_topics}
        return {place: records for place, records in self.told.items() if place[0] in names}


RECEIPT_KEY = b"receipt key of the tests"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any

    @property
    def reason(self) -> Any:
        assert self.headers["Content-Type"].startswith("application/problem+json"), self
        assert self.json["status"] == self.status
        return self.json["reason"]

    @property
    def pointers(self) -> list[str]:
        return [fault["pointer"] for fault in self.json["errors"]]


@dataclass(frozen=True)
class Api:
    """The running API and a client; `key` is used unless a call brings headers of its own."""

    url: str
    http: aiohttp.ClientSession
    env: ApiEnv
    topics: FakeTopics
    tables: FakeTables
    deliveries: FakeDeliveries
    lags: FakeLags
    key: str

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        raw: bytes | io.BytesIO | None = None,
        tenant: str | None = None,
    ) -> Reply:
        """Send a call below /api/v1 (or an absolute path of the server) and read its answer."""
        sent = {"Authorization": f"Bearer {key or self.key}", **(headers or {})}
        if tenant is not None:
            sent["X-Tenant-Id"] = tenant
        if method == "PATCH":
            sent.setdefault("Content-Type", "application/merge-patch+json")
        url = self.url + (
            path if path.startswith(("/api/", "/docs", "/iceberg", "/livez", "/readyz")) else f"/api/v1{path}"
        )
        content = {"data": raw} if raw is not None else ({"json": body} if body is not None else {})
        async with self.http.request(method, url, headers=sent, allow_redirects=False, **content) as answer:
            read = await answer.read()
            parsed = await answer.json(content_type=None) if read and "json" in answer.content_type else None
            return Reply(answer.status, answer.headers, read, parsed)

    async def make(self, path: str, body: Any, *, tenant: str | None = None) -> Any:
        """Create something and return its JSON."""
        reply = await self.send("POST", path, body, tenant=tenant)
        assert reply.status == 201, reply
        return reply.json

    async def key_for(self, tenant: str | None, *permissions: Permission) -> str:
        """Make a key and return its text."""
        wanted = {"tenantId": tenant, "permissions": [p.value for p in permissions or tuple(Permission)]}
        return str((await self.make("/keys", wanted))["key"])


SOURCE = {"platform": "github", "name": "github-main", "auth": {"type": "github", "secrets": ["It's a Secret"]}}
STREAM = {
    "name": "slack-events",
    "topics": ["{tenantId}.webhook.slack"],
    "targetTable": "slack_events",
    "valueFormat": "JSON",
}


WEBHOOK = {
    "name": "hook",
    "eventFilters": [{"eventType": "entityCreated"}],
    "webhookConfig": {"endpoint": "https://receiver.example/in"},
}


def registry_in(folder: Path) -> Registry:
    """Open the registry of a folder."""
    return Registry(f"sqlite:///{folder / 'registry.db'}", vault=Vault(bytes(32)), clock=SystemClock())


@asynccontextmanager
async def running(
    folder: Path,
    template: Path,
    *,
    default_tenant: str | None = "default",
    static: Path = STATIC,
    key_requests_per_s: float = 0.0,
    key_burst_requests: int = 100,
    catalog: CatalogReader | None = None,
    iceberg_reader_properties: Mapping[str, str] | None = None,
    data_plane: Env | None = None,
) -> AsyncIterator[Api]:
    """Run the API over an empty registry with tenant `default` and one admin key."""
    shutil.copyfile(template, folder / "registry.db")
    registry = registry_in(folder)
    registry.tenants.create("default", actor=SYSTEM)
    everything = KeyDefinition(permissions=tuple(Permission), name="admin")
    _, key = registry.keys.create(everything, actor=SYSTEM)
    view, made, tables, deliveries = DirectView(registry), FakeTopics(), FakeTables(), FakeDeliveries()
    lags = FakeLags()
    await view.refresh()
    settings = ApiSettings(
        kafka_bootstrap_servers="127.0.0.1:1",
        registry_url="sqlite://",
        default_tenant=default_tenant,
        public_ingest_url="https://hooks.example",
        key_requests_per_s=key_requests_per_s,
        key_burst_requests=key_burst_requests,
        iceberg_reader_properties=dict(iceberg_reader_properties or {}),
    )
    metrics = Metrics()
    env = ApiEnv(
        registry=registry,
        view=view,
        topics=made,
        tables=tables,
        deliveries=deliveries,
        lags=lags,
        catalog=catalog or FakeCatalog(),
        clock=SystemClock(),
        metrics=metrics,
        settings=settings,
        ready=dict,
        random_bytes=os.urandom,
        receipt_key=RECEIPT_KEY,
        static=static,
        rates=Rates.of(settings, SystemClock(), metrics),
    )
    app = build_app(env)
    if data_plane is not None:
        add_data_plane(app, data_plane)
    runner = web.AppRunner(app, max_line_size=MAX_LINE_BYTES)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    try:
        async with aiohttp.ClientSession() as http:
            yield Api(f"http://127.0.0.1:{port}", http, env, made, tables, deliveries, lags, key)
    finally:
        await runner.cleanup()
        registry.close()
