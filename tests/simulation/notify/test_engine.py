"""The engine on simulated time: hanging endpoints delay nobody, what waits too long or is too much is given up."""

import asyncio
import logging
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.backing.registry import SYSTEM, Registry, Vault
from schemas.definitions.base import read
from schemas.definitions.notification import Cursor, DeliveryState, Lane, Matched
from schemas.definitions.webhook import WebhookDefinition, WebhookStatus
from schemas.reasons import Reason
from schemas.settings.notify import DeliverySettings
from schemas.wire.entity_event import Description, EntityEvent, EventType
from tests.simulation.notify.history import careless, template
from tests.simulation.notify.loop import Clock, Loop
from tests.simulation.notify.network import Endpoint, Network
from tests.simulation.notify.process import FEED, Fate, Ground, Process
from tests.simulation.notify.rules import deliveries

DAY_S = 86_400.0
FOREVER = 1e9


class Stage:
    """One process, its endpoints and its events; all events happen at the start."""

    def __init__(self, path: Path, **given: object) -> None:
        logging.disable(logging.CRITICAL)
        self.clock, chance = Clock(), random.Random(7)
        self.registry = Registry(f"sqlite:///{path}", vault=Vault(bytes(32)), clock=self.clock)
        careless(self.registry)
        self.network = Network(self.clock, chance)
        self.story: list[Matched] = []
        settings = DeliverySettings(**{"notify_linger_s": 0.0, "notify_poll_s": 5.0, **given})  # type: ignore[arg-type]
        self._ground = Ground(
            self.registry, self.network, self.clock, settings, self.story, lambda: len(self.story), []
        )
        self._chance = chance
        self.ids: dict[str, str] = {}

    def webhook(self, name: str, ill: str = "", **members: object) -> Endpoint:
        url = f"https://{name}.example/in"
        ills = [(0.0, FOREVER, ill)] if ill else []
        self.network.endpoints[url] = Endpoint(url, ills)
        value = {
            "name": name, "batchSize": 1, "eventFilters": [{"eventType": "entityUpdated"}],
            "webhookConfig": {"endpoint": url, "timeout": 15}, **members,
        }  # fmt: skip
        self.ids[name] = self.registry.webhooks.create("acme", read(WebhookDefinition, value), actor=SYSTEM).id
        return self.network.endpoints[url]

    def tell(self, count: int, *names: str) -> None:
        """Let events happen for these webhooks."""
        lanes = tuple(Lane(self.ids[name]) for name in names)
        for _ in range(count):
            number = len(self.story)
            event = EntityEvent(
                f"e{number}", "acme", EventType.UPDATED, "s", "1", "s", number, {"n": number}, Description()
            )
            self.story.append(Matched(event, lanes))

    def run(self, seconds: float) -> None:
        """Let a process live for so long."""

        async def live() -> None:
            process = Process("one", self._ground, self._chance, Fate())
            running = asyncio.create_task(process.run())
            await asyncio.wait({running}, timeout=seconds)
            process.stop.set()
            await running

        loop = Loop(self.clock)
        try:
            loop.run_until_complete(live())
        finally:
            loop.close()

    def states(self, name: str) -> list[tuple[str, str | None]]:
        return [(row.state, row.last_reason) for row in deliveries(self.registry) if row.webhook_id == self.ids[name]]

    def status(self, name: str) -> WebhookStatus:
        return self.registry.webhooks.get("acme", name).status


@pytest.fixture(scope="module")
def begin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return template(tmp_path_factory.mktemp("engine"))


@pytest.fixture
def place(begin: Path, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "registry.db"
    path.write_bytes(begin.read_bytes())
    yield path
    logging.disable(logging.NOTSET)


def test_hanging_endpoints_delay_no_other(place: Path) -> None:
    stage = Stage(place)
    healthy = [stage.webhook(f"h{number}") for number in range(18)]
    for number in range(6):
        stage.webhook(f"s{number}", "hang")
    stage.tell(3, *stage.ids)
    stage.run(12.0)
    assert all(len({one.message_id for one in endpoint.seen}) == 3 for endpoint in healthy)
    last = max(one.at for endpoint in healthy for one in endpoint.seen)
    assert last < 6.0, "somebody waited for an endpoint that hangs for 15 s"


def test_what_waits_behind_an_open_circuit_uses_up_no_retry_and_is_given_up_in_the_end(place: Path) -> None:
    stage = Stage(place, notify_retry_s="60,60", notify_circuit_failures=2, notify_circuit_probe_s=300.0)
    fallback = stage.webhook("fallback")
    stage.webhook("down", "away", fallback={"type": "webhook", "name": "fallback"})
    stage.tell(40, "down")
    stage.run(600.0)
    untried = [row for row in deliveries(stage.registry) if row.state == "pending" and row.attempts == 0]
    assert len(untried) >= 30
    assert stage.status("down") is WebhookStatus.FAILED
    stage.clock.now += DAY_S
    stage.run(900.0)
    states = stage.states("down")
    assert states.count((DeliveryState.RETRY_LIMIT_REACHED.value, Reason.WAITED_TOO_LONG.value)) >= 30
    assert stage.status("down") is WebhookStatus.RETRY_LIMIT_REACHED
    assert len({one.message_id for one in fallback.seen}) == 1


def test_the_oldest_of_too_many_are_given_up(place: Path) -> None:
    stage = Stage(place, notify_max_pending=100)
    stage.webhook("down", "away")
    stage.tell(130, "down")
    stage.run(60.0)
    states = [state for state, _ in stage.states("down")]
    assert states.count("canceled") >= 25
    assert states.count("pending") <= 100
    assert ("canceled", Reason.TOO_MANY_PENDING.value) in stage.states("down")


def test_a_gone_endpoint_is_called_once_and_what_waits_goes_on_when_it_is_enabled_again(place: Path) -> None:
    stage = Stage(place)
    endpoint = stage.webhook("gone", "gone")
    stage.tell(5, "gone")
    stage.run(30.0)
    assert len(endpoint.seen) == 1
    webhook = stage.registry.webhooks.get("acme", "gone")
    assert (webhook.status, webhook.definition.enabled) == (WebhookStatus.DISABLED, False)
    endpoint.ills.clear()
    enabled = webhook.definition.model_copy(update={"enabled": True})
    stage.registry.webhooks.update("acme", "gone", enabled, overlap_s=0, actor=SYSTEM)
    stage.run(90.0)
    assert {state for state, _ in stage.states("gone")} == {"delivered"}
    assert stage.status("gone") is WebhookStatus.ACTIVE


def test_a_cursor_is_stored_with_its_events(place: Path) -> None:
    stage = Stage(place)
    stage.webhook("one")
    stage.tell(9, "one")
    stage.run(30.0)
    assert stage.registry.outbound.cursors() == {FEED: Cursor(FEED, 9).position}
