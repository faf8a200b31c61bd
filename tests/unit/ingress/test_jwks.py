"""Key sets: read beside the requests, kept for a while, read anew no more often than agreed, and closed when unsure."""

import asyncio
import json
from typing import Any

import pytest

from ingress import jwks
from ingress.jwks import KeySets, KeyTimes, wanted_by
from schemas.metrics import Metrics
from tests.contract.vendors.tokens import ISSUERS, JWKS_URL, Issuer
from tests.fakes.clock import ManualClock
from tests.fakes.edge import Edge
from tests.fakes.egress import ScriptedEgress
from tests.fakes.registry import FixedView, snapshot, source
from tests.integration.ingress.door import until

ISSUER = next(one for one in ISSUERS if one.name == "jwt-es256")
TIMES = KeyTimes(cache_s=600, stale_s=86_400, retry_s=60)
PATH = "/in/t0ken"


def key_set(*names: str) -> bytes:
    return json.dumps({"keys": [ISSUER.jwk(name) for name in names]}).encode()


class World:
    """A door with one source, an issuer's answers, a clock."""

    def __init__(self, issuer: Issuer = ISSUER) -> None:
        view = source("shop", auth=issuer.auth(), secrets=())
        self.edge = Edge(snapshot([view], urls={"t0ken": (view.id, "url-1")}))
        self.edge.egress.answers[JWKS_URL] = key_set("one")

    @property
    def calls(self) -> int:
        return self.edge.egress.calls[JWKS_URL]

    async def post(self, key: str = "one") -> tuple[int, str | None]:
        """Post with a token made now; return status and reason."""
        now = int(self.edge.clock.at_s)
        reply = await self.edge.post(PATH, b"{}", {"Authorization": f"Bearer {ISSUER.make(now, key=key)}"})
        return reply.status, None if reply.reason is None else reply.reason.value

    async def follow(self) -> None:
        """Do what the worker's task does each second, and wait for the reads."""
        self.edge.keys.follow(wanted_by(self.edge.now))
        await self.settled()

    async def settled(self) -> None:
        held = list(self.edge.keys._sets.values())
        await asyncio.gather(*(one.reading for one in held if one.reading is not None))


@pytest.fixture
def world() -> World:
    return World()


async def test_the_first_delivery_finds_the_keys_already_there(world: World) -> None:
    await world.follow()
    assert world.calls == 1
    assert await world.post() == (200, None)
    assert world.calls == 1


async def test_a_delivery_before_the_first_read_waits_for_it(world: World) -> None:
    assert await asyncio.gather(*(world.post() for _ in range(9))) == [(200, None)] * 9
    assert world.calls == 1


async def test_a_set_is_read_anew_once_its_time_is_over(world: World) -> None:
    await world.follow()
    world.edge.clock.advance(TIMES.cache_s - 1)
    await world.follow()
    assert world.calls == 1
    world.edge.clock.advance(1)
    await world.follow()
    assert world.calls == 2


async def test_a_new_key_is_taken_at_once_and_the_old_one_until_it_is_gone(world: World) -> None:
    await world.follow()
    world.edge.clock.advance(TIMES.retry_s)
    world.edge.egress.answers[JWKS_URL] = key_set("one", "two")
    assert await world.post("two") == (200, None)
    assert await world.post("one") == (200, None)
    assert world.calls == 2


async def test_a_key_that_is_gone_from_the_set_is_refused_after_the_cache_time(world: World) -> None:
    await world.follow()
    world.edge.egress.answers[JWKS_URL] = key_set("two")
    assert await world.post("one") == (200, None)
    world.edge.clock.advance(TIMES.cache_s)
    await world.follow()
    assert await world.post("one") == (401, "token_key_unknown")
    assert await world.post("two") == (200, None)


async def test_a_set_that_was_emptied_proves_nothing(world: World) -> None:
    await world.follow()
    world.edge.egress.answers[JWKS_URL] = b'{"keys":[]}'
    world.edge.clock.advance(TIMES.cache_s)
    await world.follow()
    assert await world.post() == (401, "token_key_unknown")


async def test_unknown_key_ids_cannot_make_us_hammer_the_issuer(world: World) -> None:
    await world.follow()
    world.edge.clock.advance(TIMES.retry_s)
    for _ in range(20):
        answers = await asyncio.gather(*(world.post("nobody") for _ in range(5)))
        assert set(answers) == {(401, "token_key_unknown")}
        world.edge.clock.advance(TIMES.retry_s / 20)
    assert world.calls == 2
    await world.post("nobody")
    assert world.calls == 3


@pytest.mark.parametrize("change", [{"iss": "https://evil.example"}, {"aud": "x"}, {"exp": 1}])
async def test_a_token_that_is_wrong_anyway_asks_nobody(world: World, change: dict[str, Any]) -> None:
    await world.follow()
    world.edge.clock.advance(TIMES.retry_s)
    said = ISSUER.make(int(world.edge.clock.at_s), key="nobody", **change)
    reply = await world.edge.post(PATH, b"{}", {"Authorization": f"Bearer {said}"})
    assert reply.status == 401
    assert world.calls == 1


@pytest.mark.parametrize(
    "answer",
    [None, b"", b"no json", b"[]", b"{}", b'{"keys":{}}', b"[" * 9999, json.dumps({"keys": [{}] * 65}).encode()],
    ids=range(8),
)
async def test_no_keys_no_delivery_but_a_503_that_says_what_to_do(world: World, answer: bytes | None) -> None:
    if answer is None:
        del world.edge.egress.answers[JWKS_URL]
    else:
        world.edge.egress.answers[JWKS_URL] = answer
    await world.follow()
    token = ISSUER.make(int(world.edge.clock.at_s))
    reply = await world.edge.post(PATH, b"{}", {"Authorization": f"Bearer {token}"})
    said = json.loads(reply.body)
    assert (reply.status, said["reason"]) == (503, "token_keys_away")
    assert ("Retry-After", "60") in reply.headers
    assert "auth.jwksUrl" in said["detail"]
    assert "issuer.example.com" not in said["detail"]
    assert world.edge.publisher.records == []


async def test_a_token_that_is_wrong_anyway_is_told_so_without_any_keys(world: World) -> None:
    changes: tuple[tuple[dict[str, Any], str], ...] = (({"iss": "x"}, "token_issuer"), ({"exp": 1}, "token_expired"))
    for change, reason in changes:
        said = ISSUER.make(int(world.edge.clock.at_s), **change)
        reply = await world.edge.post(PATH, b"{}", {"Authorization": f"Bearer {said}"})
        assert (reply.status, reply.reason) == (401, reason)
    assert world.calls == 0


async def test_kept_keys_outlive_an_issuer_that_is_away_but_not_for_ever(world: World) -> None:
    await world.follow()
    del world.edge.egress.answers[JWKS_URL]
    world.edge.clock.advance(TIMES.cache_s)
    await world.follow()
    assert await world.post() == (200, None)
    world.edge.clock.advance(TIMES.stale_s - TIMES.cache_s)
    assert await world.post() == (200, None)
    world.edge.clock.advance(1)
    assert await world.post() == (503, "token_keys_away")


async def test_a_key_is_not_called_unknown_while_the_issuer_cannot_be_asked(world: World) -> None:
    await world.follow()
    del world.edge.egress.answers[JWKS_URL]
    world.edge.clock.advance(TIMES.retry_s)
    assert await world.post("two") == (503, "token_keys_away")
    assert await world.post("one") == (200, None)


async def test_an_issuer_that_fails_is_asked_less_and_less(world: World) -> None:
    del world.edge.egress.answers[JWKS_URL]
    asked = []
    for second in range(700):
        before = world.calls
        await world.follow()
        if world.calls > before:
            asked.append(second)
        world.edge.clock.advance(1)
    assert asked == [0, 5, 15, 35, 75, 155, 315, 635]
    read = world.edge.metrics.registry.get_sample_value
    assert read("hookberg_key_set_reads_total", {"result": "failed"}) == len(asked)


async def test_an_issuer_that_is_back_is_believed_at_once(world: World) -> None:
    good = world.edge.egress.answers.pop(JWKS_URL)
    await world.follow()
    world.edge.egress.answers[JWKS_URL] = good
    assert await world.post() == (503, "token_keys_away")
    world.edge.clock.advance(5)
    assert await world.post() == (200, None)


class SlowEgress(ScriptedEgress):
    """Answers once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()

    async def get(self, url: str, *, limit_bytes: int) -> bytes:
        answer = await super().get(url, limit_bytes=limit_bytes)
        await self.let.wait()
        return answer


async def test_one_read_serves_those_who_wait_and_no_more_than_agreed_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "WAIT_S", 3_600)
    egress = SlowEgress()
    egress.answers[JWKS_URL] = key_set("one")
    sets = KeySets(egress, ManualClock(), TIMES, Metrics())
    waiting = [asyncio.create_task(sets.renewed(JWKS_URL)) for _ in range(jwks.MAX_WAITING)]
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        assert await sets.renewed(JWKS_URL) is False
    egress.let.set()
    assert await asyncio.gather(*waiting) == [True] * jwks.MAX_WAITING
    assert egress.calls[JWKS_URL] == 1


async def test_nobody_waits_long_for_a_slow_issuer_and_its_keys_count_once_they_are_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jwks, "WAIT_S", 0.01)
    egress = SlowEgress()
    egress.answers[JWKS_URL] = key_set("one")
    sets = KeySets(egress, ManualClock(), TIMES, Metrics())
    assert await sets.renewed(JWKS_URL) is False
    assert sets.keys(JWKS_URL) is None
    egress.let.set()
    await until(lambda: sets.keys(JWKS_URL) is not None)
    assert [one.kid for one in sets.keys(JWKS_URL) or ()] == ["kid-one"]
    assert egress.calls[JWKS_URL] == 1


async def test_metadata_leads_to_the_set_in_one_step_and_no_further() -> None:
    egress = ScriptedEgress()
    egress.answers = {
        "https://a.example/meta": b'{"jwks_uri":"https://b.example/keys"}',
        "https://b.example/keys": key_set("one"),
        "https://c.example/loop": b'{"jwks_uri":"https://c.example/loop"}',
    }
    sets = KeySets(egress, ManualClock(), TIMES, Metrics())
    assert await sets.renewed("https://a.example/meta")
    assert not await sets.renewed("https://c.example/loop")
    assert egress.calls["https://c.example/loop"] == 2
    assert sets.keys("https://c.example/loop") is None


async def test_follows_the_registry_and_forgets_what_nobody_needs() -> None:
    view = source("shop", auth=ISSUER.auth(), secrets=())
    egress, registry = ScriptedEgress(), FixedView(snapshot([view, source("github")]))
    egress.answers[JWKS_URL] = key_set("one")
    sets = KeySets(egress, ManualClock(), TIMES, Metrics())
    running = asyncio.create_task(sets.run(registry))
    await until(lambda: sets.keys(JWKS_URL) is not None)
    registry.now = snapshot([source("shop", auth=ISSUER.auth(), secrets=(), enabled=False)])
    await until(lambda: sets.keys(JWKS_URL) is None)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_the_number_of_sets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "MAX_SETS", 2)
    egress = ScriptedEgress()
    sets = KeySets(egress, ManualClock(), TIMES, Metrics())
    sets.follow(f"https://{name}.example/keys" for name in "abc")
    assert not await sets.renewed("https://d.example/keys")
    await sets.close()
    assert egress.calls["https://d.example/keys"] == 0


def test_pinned_keys_and_shared_secrets_are_fetched_nowhere() -> None:
    pinned = {name: value for name, value in ISSUER.auth(keys=[ISSUER.jwk()]).items() if name != "jwksUrl"}
    shared = next(one for one in ISSUERS if one.shared).auth()
    auths = (pinned, shared, {"type": "teams", "audience": "a"})
    now = snapshot([source("shop", name=f"s{place}", auth=auth) for place, auth in enumerate(auths)])
    assert wanted_by(now) == {"https://login.botframework.com/v1/.well-known/openidconfiguration"}
