"""A client that librdkafka calls dead ends its worker, by whichever of its calls the news comes.

Found by the fault suite (seed 4): the tail of a raw log was cut off, the broker called the producer's sequence numbers
out of order, librdkafka gave up for good, `poll` raised, and the worker stood there, ready and deaf.
"""

import asyncio
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from ingress.producers import LARGE_BYTES, Producers, producer_config
from ingress.publish import KafkaPublisher
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


class Held:
    """A producer that reports when it is told to."""

    def __init__(self) -> None:
        self.reports: list[Any] = []

    def poll(self, _timeout: float) -> int:
        return 0

    def produce(self, *_args: Any, on_delivery: Any, **_kwargs: Any) -> None:
        self.reports.append(on_delivery)

    def __len__(self) -> int:
        return len(self.reports)


CONFIG = producer_config({"bootstrap.servers": f"127.0.0.1:{free_port()}"}, 1 << 20)


def publisher(*clients: Any) -> KafkaPublisher:
    made = KafkaPublisher(CONFIG, ack_budget_s=1.0, now_ns=lambda: 0)
    made._producers._made[:] = cast("list[Producer]", clients or [Dead()])
    return made


def test_large_records_have_a_client_of_their_own_made_with_the_first() -> None:
    made = Producers(CONFIG)
    small = made.of(LARGE_BYTES)
    assert (made.of(0) is small, len(made._made)) == (True, 1)
    large = made.of(LARGE_BYTES + 1)
    assert large is not small
    assert made.of(32 << 20) is large
    assert made._made == [small, large]


async def test_a_large_record_that_is_late_keeps_no_small_one_from_its_partition() -> None:
    small, large = Held(), Held()
    made = publisher(small, large)
    loop = asyncio.get_running_loop()
    late = [asyncio.ensure_future(made.publish("t.webhook.x", 0, b"k", b"v" * size, [])) for size in (LARGE_BYTES + 1,)]
    await asyncio.sleep(0)
    assert (len(small), len(large), len(made._producers)) == (0, 1, 1)
    made._budget = -1.0  # everything outstanding is late now
    with pytest.raises(Overloaded):
        await made.publish("t.webhook.x", 0, b"k", b"v" * (LARGE_BYTES + 1), [])
    early = loop.create_task(made.publish("t.webhook.x", 0, b"k", b"v", []))
    await asyncio.sleep(0)
    assert len(small) == 1
    for task in (*late, early):
        task.cancel()


async def test_whoever_is_told_cannot_end_the_polling() -> None:
    held = Held()
    made = publisher(held)
    made._budget = -1.0
    told: list[Any] = []

    def done(result: Any) -> None:
        told.append(result)
        raise ValueError("a bug")

    made.send("t.webhook.x", 0, b"k", b"v", [], done)
    made._expire()
    held.reports.pop()(FATAL, None)
    assert [type(one) for one in told] == [Overloaded]
    assert (made._outstanding, made.failed.is_set()) == (0, True)


@pytest.mark.parametrize("clients", [(Dead(),), (Held(), Dead())], ids=["small", "large"])
async def test_a_fatal_error_that_poll_raises_ends_the_worker(clients: tuple[Any, ...]) -> None:
    made = publisher(*clients)
    made.start()
    await asyncio.wait_for(made.failed.wait(), 20)
    assert made.problem() == "the producer has failed for good"
    assert await made.drain(0.1) == 0


async def test_a_fatal_error_that_produce_raises_ends_the_worker() -> None:
    made = publisher()
    with pytest.raises(Overloaded):
        await made.publish("t.webhook.x", 0, b"k", b"v", [])
    assert made.failed.is_set()
