"""Policies on a real broker, through both doors: pressure is read from its topic, markers are in the log, sums hold.

The sources are the test's own, so that the run's one pressure topic can be shared.
"""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from ingress.app import ended, followed, make_env
from ingress.env import Env
from ingress.fast import Door
from ingress.mount import add_data_plane, server_options
from ingress.overload.measure import Backlogs, Measure
from ingress.producers import producer_config
from ingress.publish import KafkaPublisher
from schemas import topics
from schemas.backing.kafka import Topics
from schemas.backing.kafka.lags import Lags
from schemas.metrics import Metrics
from schemas.overload import Level
from schemas.settings.processes import IngressSettings, KafkaSettings
from schemas.wire import pressure
from schemas.wire.pressure import Pressure
from tests.fakes.egress import NoEgress
from tests.fakes.registry import FixedView, RecordingRegistrar, RecordingSink, key, snapshot, source
from tests.integration.ingress.door import until
from tests.integration.ingress.measure import WallClock
from tests.integration.ingress.test_kafka import read_all

LIMITS = {
    "warn": {"events": 20, "ageSeconds": 60},
    "alarm": {"events": 40, "ageSeconds": 600},
    "bound": {"events": 10**6, "ageSeconds": 6000, "bytes": 10**12},
}
SHED = {"keepRatio": 0.25, "lossRatio": 0.5, "windowSeconds": 3600}
POLICIES = ("queue", "reject", "shed")


@dataclass(frozen=True, slots=True)
class Ground:
    """One tenant's edge over a real broker: three sources, one a policy, both doors on one Env."""

    tenant: str
    kafka: str
    env: Env
    urls: Mapping[str, str]

    def tell(self, level: Level, events: int) -> None:
        """Tell of all three sources as the stage does."""
        producer = Producer({"bootstrap.servers": self.kafka})
        for policy in POLICIES:
            one = Pressure(
                self.tenant, self.id(policy), "stage", time.time_ns() // 10**6, level, events, 1.0, 0, 10.0, 0
            )
            producer.produce(topics.PRESSURE, pressure.encode(one), one.key, 0)
        assert producer.flush(10) == 0

    def id(self, policy: str) -> str:
        return f"src-{self.tenant}-{policy}"

    async def post(self, session: aiohttp.ClientSession, door: str, policy: str) -> tuple[int, str, float]:
        """Post once; return status, reason and seconds."""
        began = time.monotonic()
        headers = {"X-Tenant-Id": self.tenant, "Authorization": "Bearer hbk_a"}
        url = f"{self.urls[door]}/api/v1/webhooks/shop?source={policy}"
        async with session.post(url, data=b'{"n":1}', headers=headers) as answer:
            told = (await answer.json()).get("reason", "")
            assert answer.status < 300 or int(answer.headers["Retry-After"]) >= 2
            return answer.status, told, time.monotonic() - began


@pytest.fixture
async def ground(kafka_bootstrap: str) -> AsyncIterator[Ground]:
    """Serve both doors on free ports, following the pressure topic, until the test is over."""
    tenant = f"over{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    made = admin.create_topics(
        [NewTopic(f"{tenant}.webhook.shop", 4, 1, config={"message.timestamp.type": "LogAppendTime"})]
    )
    await asyncio.gather(*(asyncio.to_thread(one.result, 30) for one in made.values()))
    asked = Topics(_settings(kafka_bootstrap))
    await asyncio.to_thread(asked.ensure_cluster_topics)
    sources = [
        source("shop", tenant=tenant, name=each, auth="none", overload={"policy": each, "shed": SHED, **LIMITS})
        for each in POLICIES
    ]
    client = {"bootstrap.servers": kafka_bootstrap}
    given = IngressSettings(kafka_bootstrap_servers=kafka_bootstrap, registry_url="sqlite://", ack_budget_s=10.0)
    publisher = KafkaPublisher(producer_config(client, given.body_limit_bytes), ack_budget_s=10.0, now_ns=time.time_ns)
    env = make_env(
        given,
        view=FixedView(snapshot(sources, tenants=[tenant], keys={"hbk_a": key(tenant)})),
        publisher=publisher,
        registrar=RecordingRegistrar(),
        tallies=RecordingSink(),
        clock=WallClock(),
        metrics=Metrics(),
        egress=NoEgress(),
        receipt_key=b"k",
    )
    publisher.start()
    following = asyncio.create_task(followed(env, Backlogs(client, Lags(client, asked).standing)))
    async with _doors(env) as urls:
        yield Ground(tenant, kafka_bootstrap, env, urls)
        env.overload.delays.end()
        await ended(following)
    await publisher.drain(10)


@asynccontextmanager
async def _doors(env: Env) -> AsyncIterator[Mapping[str, str]]:
    app = web.Application()
    add_data_plane(app, env)
    runners: dict[str, web.BaseRunner] = {
        "fast": web.ServerRunner(Door(env, {}).server(30.0)),
        "mount": web.AppRunner(app, **server_options(30)),
    }
    urls = {}
    for name, runner in runners.items():
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        urls[name] = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield urls
    for runner in runners.values():
        await runner.cleanup()


async def _many(ground: Ground, door: str, policy: str, count: int) -> Counter[tuple[int, str]]:
    async with aiohttp.ClientSession() as session:
        told = await asyncio.gather(*(ground.post(session, door, policy) for _ in range(count)))
    return Counter((status, reason) for status, reason, _ in told)


async def test_each_policy_through_both_doors_by_what_the_topic_tells(ground: Ground) -> None:
    for policy in POLICIES:
        for door in ground.urls:
            assert await _many(ground, door, policy, 40) == {(200, ""): 40}
    ground.env.overload.tend()
    assert await _read_after_s(ground) < 1.0 + 1.0  # read within a second, and what this machine takes

    shed = Counter[tuple[int, str]]()
    for door in ground.urls:
        assert await _many(ground, door, "reject", 5) == {(429, "backlog_alarm"): 5}
        shed += await _many(ground, door, "shed", 60)
    assert set(shed) <= {(200, ""), (429, "loss_budget_spent")}
    ground.tell(Level.WARN, 22)  # a tenth of the way: 0.8 of the 8 s
    await until(lambda: len(ground.env.overload.strained) == 1)
    async with aiohttp.ClientSession() as session:
        waited = await asyncio.gather(*(ground.post(session, door, "queue") for door in ground.urls))
    assert all(status == 200 and 0.75 <= seconds < 4.0 for status, _, seconds in waited)
    ground.tell(Level.BOUND, 10**7)
    await until(lambda: len(ground.env.overload.strained) == 3)
    for policy in POLICIES:
        assert await _many(ground, "fast", policy, 2) == {(503, "backlog_bound"): 2}
    ground.tell(Level.CALM, 0)
    await until(lambda: not ground.env.overload.strained)
    await _sums_hold(ground, shed)


async def _read_after_s(ground: Ground) -> float:
    """Tell of a backlog; return how long the edge took to know it, of up to three times the shortest.

    One may fall into a moment in which the machine does something else; an edge that asks too rarely is late in all.
    """
    fastest = float("inf")
    for _ in range(3):
        ground.tell(Level.ALARM, 50)
        began = time.monotonic()
        await until(lambda: len(ground.env.overload.strained) == 3)
        fastest = min(fastest, time.monotonic() - began)
        if fastest < 1.0:
            break
        ground.tell(Level.CALM, 0)
        await until(lambda: not ground.env.overload.strained)
    else:
        ground.tell(Level.ALARM, 50)
        await until(lambda: len(ground.env.overload.strained) == 3)
    return fastest


async def _sums_hold(ground: Ground, shed: Mapping[tuple[int, str], int]) -> None:
    """Every 2xx is one record, every shed one a marker; no more are shed than the budget has."""
    await ground.env.tally.flush()
    sink = ground.env.tally._sink
    assert isinstance(sink, RecordingSink)
    rows = {str(row["source_id"]): row for row in sink.rows.values()}
    stored = await asyncio.to_thread(read_all, ground.kafka, f"{ground.tenant}.webhook.shop")
    assert sum(int(row["accepted"]) for row in rows.values()) == len(stored)
    row = rows[ground.id("shed")]
    markers = sum(value == b"" for value in stored.values())
    assert markers == row["shed"] > 0
    assert row["shed"] <= SHED["lossRatio"] * row["accepted"]
    assert row["refused"].get("loss_budget_spent", 0) == shed.get((429, "loss_budget_spent"), 0)


async def test_while_nobody_tells_the_edge_asks_kafka_itself(ground: Ground) -> None:
    """No stage has read the topic: all that it holds waits."""
    lags = Lags({"bootstrap.servers": ground.kafka}, Topics(_settings(ground.kafka)))
    measure = Measure(
        ground.env.overload, ground.env.view, ground.env.tally, ground.env.clock, Backlogs(ask=lags.standing)
    )
    assert await _many(ground, "fast", "reject", 15) == {(200, ""): 15}
    await ground.env.tally.flush()
    await measure.look()
    assert ground.env.overload.strained == {}
    assert await _many(ground, "mount", "reject", 30) == {(200, ""): 30}
    await measure.look()
    assert await _many(ground, "fast", "reject", 3) == {(429, "backlog_alarm"): 3}
    ground.tell(Level.CALM, 0)
    await until(lambda: not ground.env.overload.strained)
    assert await _many(ground, "fast", "reject", 3) == {(200, ""): 3}


def _settings(kafka: str) -> KafkaSettings:
    return KafkaSettings(kafka_bootstrap_servers=kafka, replication_factor=1, min_insync_replicas=1)


async def test_answers_that_are_held_go_out_when_the_worker_ends(ground: Ground) -> None:
    ground.tell(Level.ALARM, 50)
    await until(lambda: len(ground.env.overload.strained) == 3)
    posting = [asyncio.create_task(_many(ground, door, "queue", 3)) for door in ground.urls]
    await until(lambda: len(ground.env.overload.delays) == 6)
    began = time.monotonic()
    ground.env.overload.delays.end()
    assert await asyncio.gather(*posting) == [{(200, ""): 3}] * 2
    assert time.monotonic() - began < 4.0  # of the 8 s that they would have waited
