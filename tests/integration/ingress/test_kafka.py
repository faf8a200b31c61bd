"""The edge on a real broker: every 2xx is in the log, byte for byte; what the broker refuses is no 2xx."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from typing import cast

import aiohttp
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from ingress.app import serve
from ingress.producers import producer_config
from ingress.publish import KafkaPublisher
from ingress.workers import bind
from schemas.errors import Overloaded
from schemas.metrics import Metrics
from schemas.reasons import Reason
from schemas.settings.processes import IngressSettings
from schemas.signing import SignedRequest, sign
from schemas.vendors.github import GITHUB
from schemas.wire.raw import decode
from tests.fakes.clock import ManualClock
from tests.fakes.egress import NoEgress
from tests.fakes.registry import FixedView, RecordingRegistrar, RecordingSink, snapshot, source
from tests.integration.ingress.door import until

POSTS = 2_000
Address = tuple[str, KafkaPublisher, RecordingSink]


@pytest.fixture
def tenant(kafka_bootstrap: str) -> str:
    """Make a tenant's raw topic and return the tenant."""
    name = f"edge{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    topic = NewTopic(f"{name}.webhook.github", 4, 1, config={"message.timestamp.type": "LogAppendTime"})
    for made in admin.create_topics([topic]).values():
        made.result(30)
    return name


@pytest.fixture
async def edge(kafka_bootstrap: str, tenant: str) -> AsyncIterator[Address]:
    """Serve one worker on a free port until the test is over, then drain it."""
    settings = IngressSettings(
        kafka_bootstrap_servers=kafka_bootstrap, registry_url="sqlite://", default_tenant=tenant, tally_flush_s=0.1
    )
    publisher = KafkaPublisher(
        producer_config({"bootstrap.servers": kafka_bootstrap}, settings.body_limit_bytes),
        ack_budget_s=10.0,
        now_ns=ManualClock().time_ns,
    )
    sink, stop = RecordingSink(), asyncio.Event()
    sock = bind("127.0.0.1", 0)
    view = FixedView(snapshot([source("github", tenant=tenant)], tenants=[tenant]))
    serving = asyncio.create_task(
        serve(
            settings,
            view=view,
            publisher=publisher,
            registrar=RecordingRegistrar(),
            tallies=sink,
            clock=ManualClock(),
            metrics=Metrics(),
            egress=NoEgress(),
            sock=sock,
            receipt_key=b"k",
            stop=stop,
        )
    )
    await until(lambda: publisher.problem() is None, 30)
    yield f"http://127.0.0.1:{sock.getsockname()[1]}/api/v1/webhooks/github", publisher, sink
    stop.set()
    assert await serving == 0
    sock.close()


def read_all(bootstrap: str, topic: str) -> dict[str, bytes]:
    """Return the values of a topic by delivery id."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "audit", "enable.auto.commit": False})
    try:
        ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in range(4)}
        consumer.assign([TopicPartition(topic, p, 0) for p in range(4)])
        found: dict[str, bytes] = {}
        for _ in range(sum(ends.values())):
            message = consumer.poll(10)
            assert message is not None
            assert message.error() is None
            headers, value = message.headers(), message.value()
            assert isinstance(headers, list)
            assert isinstance(value, bytes)
            found[decode(cast("list[tuple[str, bytes]]", headers)).delivery_id] = value
        return found
    finally:
        consumer.close()


async def test_every_2xx_is_in_the_log_byte_for_byte(edge: Address, tenant: str, kafka_bootstrap: str) -> None:
    url, _, sink = edge
    scheme = GITHUB.auth
    assert scheme is not None
    accepted: dict[str, bytes] = {}

    async def post(session: aiohttp.ClientSession, numbers: range) -> None:
        for number in numbers:
            body = json.dumps({"action": "opened", "number": number, "pad": "\u2615" * (number % 400)}).encode()
            headers = dict(sign(scheme, SignedRequest("POST", "", (), body), [b"s3cret"], 0))
            headers["X-GitHub-Delivery"] = f"g-{number}"
            async with session.post(url, data=body, headers=headers) as response:
                if response.status == 200:
                    accepted[(await response.json())["deliveryId"]] = body

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(post(session, range(start, POSTS, 32)) for start in range(32)))
    assert len(accepted) == POSTS
    assert await asyncio.to_thread(read_all, kafka_bootstrap, f"{tenant}.webhook.github") == accepted
    await until(lambda: any(row["accepted"] == POSTS for row in sink.rows.values()))


async def test_the_same_event_id_meets_in_one_partition(edge: Address) -> None:
    url, _, _ = edge
    scheme = GITHUB.auth
    assert scheme is not None
    places = set()
    async with aiohttp.ClientSession() as session:
        for number in range(5):
            body = b'{"n":%d}' % number
            headers = dict(sign(scheme, SignedRequest("POST", "", (), body), [b"s3cret"], 0))
            async with session.post(url, data=body, headers=headers | {"X-GitHub-Delivery": "same"}) as response:
                places.add((await response.json())["receipt"].split("at=")[1].rsplit(".", 2)[1])
    assert len(places) == 1


@pytest.fixture
async def make_publisher() -> AsyncIterator[Callable[..., KafkaPublisher]]:
    made: list[KafkaPublisher] = []

    def make(bootstrap: str, budget_s: float) -> KafkaPublisher:
        config = producer_config({"bootstrap.servers": bootstrap}, 1 << 20)
        publisher = KafkaPublisher(config, ack_budget_s=budget_s, now_ns=lambda: 0, retry_after=lambda: 3)
        publisher.start()
        made.append(publisher)
        return publisher

    yield make
    for publisher in made:
        await publisher.drain(0.1)


async def test_a_missing_topic_is_a_503(kafka_bootstrap: str, make_publisher: Callable[..., KafkaPublisher]) -> None:
    publisher = make_publisher(kafka_bootstrap, 8.0)
    with pytest.raises(Overloaded) as caught:
        await publisher.publish("nobody.webhook.nothing", 0, b"k", b"v", [])
    assert caught.value.reason.status == 503


async def test_a_broker_that_is_away_is_a_503_within_the_budget(make_publisher: Callable[..., KafkaPublisher]) -> None:
    publisher = make_publisher("127.0.0.1:1", 0.3)
    with pytest.raises(Overloaded) as caught:
        await asyncio.wait_for(publisher.publish("t.webhook.x", 0, b"k", b"v", []), 5)
    assert (caught.value.reason, caught.value.retry_after_s) == (Reason.BROKER_SLOW, 3)
    with pytest.raises(Overloaded):  # the lane is shut at once, nothing more is queued
        await asyncio.wait_for(publisher.publish("t.webhook.x", 0, b"k", b"v", []), 0.2)
    assert publisher.problem() is not None
    assert await publisher.drain(0.1) == 1
