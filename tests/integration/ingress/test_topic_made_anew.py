"""A raw topic that was gone and is back takes records again within seconds, without a new process.

Found by the fault suite (seed 32, three brokers): the client held the topic for unknown, its next refresh of metadata
was five minutes away, and each delivery was answered 503. On one broker the client asks again by itself.
"""

import asyncio
import time
import uuid

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from ingress.producers import producer_config
from ingress.publish import KafkaPublisher
from schemas.errors import Overloaded
from schemas.ports import Stored

DEADLINE_S = 60.0


async def stored(publisher: KafkaPublisher, topic: str) -> Stored | None:
    try:
        return await publisher.publish(topic, 0, b"k", b"v", [])
    except Overloaded:
        return None


async def test_a_topic_that_is_back_takes_records(kafka_bootstrap: str) -> None:
    admin, name = AdminClient({"bootstrap.servers": kafka_bootstrap}), f"anew{uuid.uuid4().hex[:8]}.webhook.x"

    def create() -> bool:
        try:
            admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)
        except KafkaException:
            return False
        return True

    async def until(good: bool) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while (await stored(publisher, name) is not None) is not good:
            assert time.monotonic() < deadline, f"not within {DEADLINE_S:g} s: records are taken: {good}"
            await asyncio.sleep(0.05)

    assert create()
    publisher = KafkaPublisher(
        producer_config({"bootstrap.servers": kafka_bootstrap}, 1 << 20), ack_budget_s=2.0, now_ns=time.time_ns
    )
    publisher.start()
    await until(good=True)
    admin.delete_topics([name])[name].result(30)
    await until(good=False)
    unknown = time.monotonic() + 8.0
    while time.monotonic() < unknown:  # longer than a topic's absence is believed to be a rumour
        await stored(publisher, name)
        await asyncio.sleep(0.05)
    assert await asyncio.to_thread(create)
    await until(good=True)
    await publisher.drain(10.0)
