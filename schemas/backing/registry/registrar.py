"""Makes a source by itself when an API key posts to a platform that nobody registered.

Lives here: the order of steps (source, topics, open, view). Implements ports.Registrar.
A source opens only when its topics have leaders (rule 2); a crash between two steps is healed by the next delivery.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from schemas.backing.registry import Registry
from schemas.backing.registry.record import Actor, PageRequest, SourceRecord, TopicRecord
from schemas.definitions.auth import Auth
from schemas.definitions.source import SourceDefinition
from schemas.definitions.view import KeyView, SourceView
from schemas.errors import Overloaded, Refused
from schemas.logs import logger
from schemas.ports import RegistryView
from schemas.reasons import Reason
from schemas.settings.processes import KafkaSettings
from schemas.vendors import adapter

_LOG = logger(__name__)


class TopicMaker(Protocol):
    """What makes a source's topics; implemented by schemas.backing.kafka.Topics."""

    def ensure_source_topics(self, source: SourceRecord) -> Sequence[TopicRecord]:
        """Create the topics and wait for leaders; blocking."""


class SelfRegistrar:
    """Registers sources with auth `none`, whose credential is the API key; one flight per (tenant, platform)."""

    def __init__(
        self, registry: Registry, kafka_admin: TopicMaker, view: RegistryView, settings: KafkaSettings
    ) -> None:
        self._registry = registry
        self._kafka = kafka_admin
        self._view = view
        self._partitions = settings.topic_partitions
        self._flights: dict[tuple[str, str], asyncio.Task[SourceView]] = {}

    async def register(self, tenant: str, platform: str, key: KeyView) -> SourceView:
        """Make the source and its topics, open; returns the existing one if somebody was faster.

        Raises `Refused` (names, topics) and `Overloaded(registry_away)` when the view cannot see it yet.
        """
        flight = self._flights.get((tenant, platform))
        if flight is None:
            flight = asyncio.create_task(self._register(tenant, platform, key), name=f"register-{platform}")
            self._flights[tenant, platform] = flight
            flight.add_done_callback(lambda _: self._flights.pop((tenant, platform), None))
        return await asyncio.shield(flight)

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
