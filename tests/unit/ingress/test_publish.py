"""A client that librdkafka calls dead ends its worker, by whichever of its calls the news comes.

Found by the fault suite (seed 4): the tail of a raw log was cut off, the broker called the producer's sequence numbers
out of order, librdkafka gave up for good, `poll` raised, and the worker stood there, ready and deaf.
"""

import asyncio
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from ingress.publish import KafkaPublisher, producer_config
from schemas.errors import Overloaded
from tests.house.polling import free_port

FATAL: Any = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "sequence desynchronization", fatal=True)


class Dead:
    """A producer after its fatal error."""

    def poll(self, _timeout: float) -> int:
        raise KafkaException(FATAL)

    def produce(self, *_args: Any, **_kwargs: Any) -> None:
        raise KafkaException(KafkaError(KafkaError._FATAL, "the client is dead"))

    def list_topics(self, *_args: Any, **_kwargs: Any) -> None:
        raise KafkaException(FATAL)

    def __len__(self) -> int:
        return 0


def publisher() -> KafkaPublisher:
    config = producer_config({"bootstrap.servers": f"127.0.0.1:{free_port()}"}, 1 << 20)
    made = KafkaPublisher(config, ack_budget_s=1.0, now_ns=lambda: 0)
    made._producer = Dead()  # type: ignore[assignment]
    return made


async def test_a_fatal_error_that_poll_raises_ends_the_worker() -> None:
    made = publisher()
    made.start()
    await asyncio.wait_for(made.failed.wait(), 20)
    assert made.problem() == "the producer has failed for good"
    assert await made.drain(0.1) == 0


async def test_a_fatal_error_that_produce_raises_ends_the_worker() -> None:
    made = publisher()
    with pytest.raises(Overloaded):
        await made.publish("t.webhook.x", 0, b"k", b"v", [])
    assert made.failed.is_set()
