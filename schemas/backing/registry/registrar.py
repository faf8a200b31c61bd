"""Makes a source by itself when an API key posts to a platform that nobody registered.

Lives here: the order of steps (source, topics, open, view). Implements ports.Registrar.
A source opens only when its topics have leaders (rule 2); a crash between two steps is healed by the next delivery.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from schemas.backing.growth import Grower, grow
from schemas.backing.registry import Registry
from schemas.backing.registry.record import Actor, PageRequest, SourceRecord, TopicRecord
from schemas.definitions.auth import Auth
from schemas.definitions.source import SourceDefinition
from schemas.definitions.view import KeyView, SourceView
from schemas.errors import Overloaded, Refused
from schemas.logs import logger
from schemas.ports import RegistryView
from schemas.reasons import Reason
from schemas.settings.processes import DoorSettings
from schemas.vendors import adapter

MAX_FLIGHTS = 4
"""Sources that a process makes at a time, whoever asks: each takes a thread and work of Kafka's controller."""
_LOG = logger(__name__)


class TopicMaker(Grower, Protocol):
    """What makes a source's topics; implemented by schemas.backing.kafka.Topics."""

    def ensure_source_topics(self, source: SourceRecord) -> Sequence[TopicRecord]:
        """Create the topics and wait for leaders; blocking."""


class SelfRegistrar:
    """Registers sources with auth `none`, whose credential is the API key; one flight per (tenant, platform)."""

    def __init__(self, registry: Registry, kafka_admin: TopicMaker, view: RegistryView, settings: DoorSettings) -> None:
        self._registry = registry
        self._kafka = kafka_admin
        self._view = view
        self._partitions = settings.topic_partitions
        self._most = settings.self_registered_sources
        self._flights: dict[tuple[str, str], asyncio.Task[SourceView]] = {}

    async def register(self, tenant: str, platform: str, key: KeyView) -> SourceView:
        """Make the source and its topics, open; returns the existing one if somebody was faster.

        Raises `Refused` (names, topics, too_many_sources), `Overloaded(registry_away)` when the view cannot see it yet
        and `Overloaded(overloaded_requests)` while MAX_FLIGHTS others are being made.
        """
        flight = self._flights.get((tenant, platform))
        if flight is None:
            self._refuse_too_many(tenant, platform)
            flight = asyncio.create_task(self._register(tenant, platform, key), name=f"register-{platform}")
            self._flights[tenant, platform] = flight
            flight.add_done_callback(lambda _: self._flights.pop((tenant, platform), None))
        return await asyncio.shield(flight)

    def _refuse_too_many(self, tenant: str, platform: str) -> None:
        """Bound what one key can make; several processes together may pass the bound by MAX_FLIGHTS each."""
        sources = self._view.current().sources.values()
        made = {one.platform for one in sources if one.tenant == tenant and one.key_id is not None}
        made |= {name for owner, name in self._flights if owner == tenant}
        if platform not in made and len(made) >= self._most:
            raise Refused(
                Reason.TOO_MANY_SOURCES,
                f"{len(made)} sources of this tenant were made by posting, and HOOKBERG_SELF_REGISTERED_SOURCES allows "
                f"{self._most}: register the source with POST /api/v1/sources, or delete one that is not needed",
            )
        if len(self._flights) >= MAX_FLIGHTS:
            raise Overloaded(Reason.OVERLOADED_REQUESTS, retry_after_s=1)

    async def _register(self, tenant: str, platform: str, key: KeyView) -> SourceView:
        record = await asyncio.to_thread(self._make, tenant, platform, key)
        snapshot = await self._view.refresh()
        source = snapshot.sources.get(record.id)
        if source is None or not source.open:
            raise Overloaded(Reason.REGISTRY_AWAY, retry_after_s=1)
        _LOG.info("source_registered", tenant=tenant, source=source.name, topic=source.topic)
        return source

    def _make(self, tenant: str, platform: str, key: KeyView) -> SourceRecord:
        actor = Actor(key.id)
        record = self._present(tenant, platform) or self._create(tenant, platform, key, actor)
        if record.open:
            return record
        for topic in self._kafka.ensure_source_topics(record):
            self._registry.topics.put(topic, actor=actor)
        grow(self._registry, self._kafka, tenant, actor)
        return self._registry.sources.set_open(tenant, record.id, actor=actor)

    def _create(self, tenant: str, platform: str, key: KeyView, actor: Actor) -> SourceRecord:
        definition = SourceDefinition(platform=platform, auth=Auth(type="none"))
        try:
            return self._registry.sources.create(
                tenant,
                definition,
                partitioning=adapter(platform).partitioning,
                partitions=self._partitions,
                key_id=key.id,
                actor=actor,
            )
        except Refused as exc:
            faster = self._present(tenant, platform) if exc.reason is Reason.NAME_TAKEN else None
            if faster is None:
                raise
            return faster

    def _present(self, tenant: str, platform: str) -> SourceRecord | None:
        """Return the platform's source that takes API keys; sources with their own signature are not touched."""
        for record in self._registry.sources.list(tenant, PageRequest(limit=200), platform).items:
            if record.definition.auth.type == "none":
                return record
        return None
