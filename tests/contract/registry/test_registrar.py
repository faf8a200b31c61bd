"""Self-registration: one source a platform whoever asks, open only after its topics."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest
from pydantic import SecretStr

from schemas.backing.registry import Registry, SourceRecord, TopicRecord
from schemas.backing.registry.registrar import MAX_FLIGHTS, SelfRegistrar
from schemas.backing.registry.view import CachedView
from schemas.definitions.key import Permission
from schemas.definitions.view import KeyView
from schemas.errors import Overloaded, Refused, Transient
from schemas.reasons import Reason
from schemas.settings.processes import DoorSettings
from tests.contract.registry.make import topic
from tests.fakes.clock import ManualClock

KEY = KeyView("key-1", "acme", frozenset({Permission.INGESTION_WRITE}), "k")
SETTINGS = DoorSettings(kafka_bootstrap_servers="none:1", registry_url=SecretStr("sqlite:///unused"))


class Kafka:
    """Makes no topics but says so; fails the first `faults` times."""

    def __init__(self, faults: int = 0) -> None:
        self.faults, self.calls = faults, 0
        self._lock = threading.Lock()

    def ensure_source_topics(self, source: SourceRecord) -> Sequence[TopicRecord]:
        with self._lock:
            self.calls += 1
            if self.calls <= self.faults:
                raise Transient("Kafka is away")
        return [topic(source.topic, partitions=source.partitions)]

    def grow(self, topic: TopicRecord, partitions: int) -> TopicRecord:
        return replace(topic, partitions=partitions)


async def test_many_deliveries_at_once_make_one_open_source(registry: Registry, clock: ManualClock) -> None:
    view, kafka = CachedView(registry, poll_s=1, clock=clock), Kafka()
    await view.start()
    clock.advance(10)
    both = [SelfRegistrar(registry, kafka, view, SETTINGS) for _ in range(2)]
    made = await asyncio.gather(*(both[n % 2].register("acme", "my_app", KEY) for n in range(10)))
    assert {source.id for source in made} == {made[0].id}
    assert (made[0].open, made[0].key_id, made[0].name, made[0].definition.auth.type) == (
        True,
        KEY.id,
        "my-app",
        "none",
    )
    assert kafka.calls <= 2
    assert view.current().topics["acme.webhook.my_app"].partitions == 4
    await view.stop()


async def test_a_failure_half_way_is_healed_by_the_next_delivery(registry: Registry, clock: ManualClock) -> None:
    view = CachedView(registry, poll_s=1, clock=clock)
    await view.start()
    clock.advance(10)
    registrar = SelfRegistrar(registry, Kafka(faults=1), view, SETTINGS)
    (fault,) = await asyncio.gather(registrar.register("acme", "app", KEY), return_exceptions=True)
    assert isinstance(fault, Transient)
    clock.advance(10)
    assert (await view.refresh()).by_platform["acme", "app"][0].open is False
    clock.advance(10)
    assert (await registrar.register("acme", "app", KEY)).open
    await view.stop()


async def test_a_tenants_keys_make_so_many_sources_and_no_more(registry: Registry, clock: ManualClock) -> None:
    view, kafka = CachedView(registry, poll_s=1, clock=clock), Kafka()
    await view.start()
    registrar = SelfRegistrar(registry, kafka, view, SETTINGS.model_copy(update={"self_registered_sources": 2}))
    for platform in ("app_a", "app_b"):
        clock.advance(10)
        await registrar.register("acme", platform, KEY)
    clock.advance(10)
    with pytest.raises(Refused) as caught:
        await registrar.register("acme", "app_c", KEY)
    assert caught.value.reason is Reason.TOO_MANY_SOURCES
    assert "HOOKBERG_SELF_REGISTERED_SOURCES" in caught.value.detail
    assert (await registrar.register("acme", "app_a", KEY)).open  # what is there stays in use
    assert kafka.calls == 2
    await view.stop()


async def test_only_a_few_sources_are_made_at_a_time(registry: Registry, clock: ManualClock) -> None:
    view = CachedView(registry, poll_s=1, clock=clock)
    await view.start()
    clock.advance(10)
    registrar = SelfRegistrar(registry, Kafka(), view, SETTINGS)
    made = await asyncio.gather(
        *(registrar.register("acme", f"app_{number}", KEY) for number in range(MAX_FLIGHTS + 3)), return_exceptions=True
    )
    turned_away = [one for one in made if isinstance(one, Overloaded)]
    assert [one.reason for one in turned_away] == [Reason.OVERLOADED_REQUESTS] * 3
    await view.stop()
