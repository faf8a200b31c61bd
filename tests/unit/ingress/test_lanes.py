"""How much of a partition the Kafka client has at a time: what waits goes on in order, once, and is never stored late.

Found beside 200 uploads of 20 MB: while the broker was slow, the client's thread took the core that the broker wanted.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from ingress.lanes import MOST, SLOW_S
from ingress.producers import LARGE_BYTES, producer_config
from ingress.publish import KafkaPublisher
from schemas.errors import Overloaded, Refused
from schemas.ports import Stored
from tests.house.polling import free_port

TOPIC = "t.webhook.x"
LARGE = b"v" * (LARGE_BYTES + 1)
AWAY: Any = KafkaError(KafkaError._ALL_BROKERS_DOWN, "away")


class Message:
    """A report of what was stored."""

    def __init__(self, partition: int, offset: int) -> None:
        self._place = partition, offset

    def partition(self) -> int:
        return self._place[0]

    def offset(self) -> int:
        return self._place[1]

    def timestamp(self) -> tuple[int, int]:
        return 1, 0


@dataclass
class Client:
    """A Kafka client that reports when it is told to; `raises` when it is given the next."""

    given: list[tuple[bytes, int]] = field(default_factory=list)
    reports: list[Any] = field(default_factory=list)
    raises: Exception | None = None
    purged: bool = False

    def produce(self, _topic: str, value: bytes, _key: bytes, partition: int, *, on_delivery: Any, **_: Any) -> None:
        if self.raises is not None:
            raise self.raises
        self.given.append((value, partition))
        self.reports.append(on_delivery)

    def poll(self, _timeout: float) -> int:
        return 0

    def purge(self) -> None:
        self.purged = True

    def report(self, error: KafkaError | None = None) -> None:
        """Tell of the oldest record."""
        self.reports.pop(0)(error, Message(0, 7))

    def __len__(self) -> int:
        return len(self.reports)


@dataclass
class Loop:
    """A loop's clock, moved by hand; nothing is called later."""

    now: float = 0.0

    def time(self) -> float:
        return self.now

    def call_later(self, _delay: float, _call: Any) -> None:
        return None


class Bench:
    """A publisher over such clients, a clock moved by hand, and what each sender was told."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.client = Client()
        config = producer_config({"bootstrap.servers": f"127.0.0.1:{free_port()}"}, 1 << 20)
        self.made = KafkaPublisher(config, ack_budget_s=1.0, now_ns=lambda: 0, retry_after=lambda: 2)
        self.made._loop = cast("asyncio.AbstractEventLoop", self.loop)
        self.made._producers._made[:] = cast("list[Producer]", [self.client])
        self.told: dict[bytes, Any] = {}

    def send(self, value: bytes, *, partition: int = 0, after_s: float = 0.0) -> None:
        self.loop.now += after_s
        self.made.send(TOPIC, partition, b"k", value, [], lambda result: self.told.__setitem__(value[:9], result))

    def values(self) -> list[bytes]:
        return [value for value, _ in self.client.given]


@pytest.fixture
async def bench() -> Bench:
    return Bench()


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


async def test_past_five_unreported_records_of_a_partition_wait_and_go_on_together_in_order(bench: Bench) -> None:
    for value in numbered(MOST + 4):
        bench.send(value, after_s=0.01)
    assert bench.values() == numbered(MOST)
    bench.client.report()
    assert bench.values() == numbered(MOST + 4)
    while len(bench.client):
        bench.client.report()
    assert bench.told == dict.fromkeys(numbered(MOST + 4), Stored(0, 7))
    assert bench.made._lanes == {}


async def test_while_reports_are_not_late_the_client_gathers_the_next_batch_itself(bench: Bench) -> None:
    for value in numbered(50):
        bench.send(value)
    assert len(bench.values()) == 50
    bench.send(b"next", after_s=SLOW_S)
    assert len(bench.values()) == 50
    while len(bench.client) > MOST:
        bench.client.report()
    assert b"next" not in bench.values()
    bench.client.report()
    assert bench.values()[-1] == b"next"


async def test_none_overtakes_those_that_wait(bench: Bench) -> None:
    for value in numbered(MOST + 1):
        bench.send(value, after_s=0.01)
    bench.client.given.clear()
    bench.made._lanes[TOPIC, 0, False].given.clear()  # as while those that were reported are told
    bench.send(b"late comer", after_s=0.01)
    assert bench.values() == []
    bench.client.report()
    assert bench.values() == [b"%d" % MOST, b"late comer"]


async def test_large_records_of_a_partition_go_one_by_one_and_small_ones_and_others_do_not_wait(bench: Bench) -> None:
    bench.made._producers._made.append(cast("Producer", bench.client))
    large = [b"%d" % number + LARGE for number in range(3)]
    for value in large:
        bench.send(value)
    bench.send(b"small")
    bench.send(large[0], partition=1)
    assert bench.client.given == [(large[0], 0), (b"small", 0), (large[0], 1)]
    bench.client.report()
    assert bench.values()[3:] == [large[1]]
    while len(bench.client):
        bench.client.report()
    assert bench.values()[3:] == large[1:]


async def test_what_was_answered_as_late_while_it_waited_is_never_stored_and_its_body_let_go(bench: Bench) -> None:
    for value in numbered(MOST + 1):
        bench.send(value, after_s=0.01)
    for sent in bench.made._waiting:
        sent.deadline = -1.0
    bench.made._expire()
    assert {type(result) for result in bench.told.values()} == {Overloaded}
    [waits] = bench.made._lanes[TOPIC, 0, False].held
    assert waits.value == b""
    while len(bench.client):
        bench.client.report()
    assert bench.values() == numbered(MOST)
    assert bench.made._lanes == {}


async def test_a_partition_whose_oldest_record_is_late_holds_no_more_either(bench: Bench) -> None:
    for value in numbered(MOST + 1):
        bench.send(value, after_s=0.01)
    bench.made._budget = -1.0
    with pytest.raises(Overloaded):
        bench.send(b"one more")


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (BufferError(), Overloaded),
        (KafkaException(AWAY), Overloaded),
        (KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "large")), Refused),
        (ValueError("a bug"), ValueError),
    ],
    ids=["full", "away", "large", "bug"],
)
async def test_a_client_that_takes_no_more_answers_those_that_waited(
    bench: Bench, raised: Exception, told: type[Exception]
) -> None:
    for value in numbered(MOST + 2):
        bench.send(value, after_s=0.01)
    bench.client.raises = raised
    bench.client.report()  # within the client's own poll: nothing may be raised
    assert [type(bench.told[value]) for value in numbered(MOST + 2)[MOST:]] == [told, told]
    while len(bench.client):
        bench.client.report()
    assert bench.made._lanes == {}
    with pytest.raises(told):
        bench.send(b"first of its partition")
    assert bench.made._lanes == {}


async def test_a_drain_tells_those_that_wait_and_hands_none_of_them_over(bench: Bench) -> None:
    for value in numbered(MOST + 2):
        bench.send(value, after_s=0.01)
    assert await bench.made.drain(0.0) == MOST + 2
    assert bench.client.purged
    assert [type(bench.told[value]) for value in numbered(MOST + 2)[MOST:]] == [Overloaded, Overloaded]
    while len(bench.client):
        bench.client.report(AWAY)
    assert bench.values() == numbered(MOST)


async def test_beside_a_slow_broker_the_client_does_not_ask_without_a_pause() -> None:
    """The client's thread woke some 40,000 times (librdkafka 2.16) when it had all of these at once."""
    wakeups = [0]

    def told(text: str) -> None:
        wakeups.append(sum(broker["wakeups"] for broker in orjson.loads(text)["brokers"].values()))

    config = {
        **producer_config({"bootstrap.servers": "mock"}, 1 << 20),
        "test.mock.num.brokers": 1,
        "test.mock.broker.rtt": 100,
        "statistics.interval.ms": 50,
        "stats_cb": told,
    }
    made = KafkaPublisher(config, ack_budget_s=30.0, now_ns=time.time_ns)
    made.start()
    try:
        sent = []
        for number in range(40):
            sent.append(asyncio.ensure_future(made.publish("t", 0, b"k", b"%d" % number, [])))
            await asyncio.sleep(0.005)
        stored = await asyncio.gather(*sent)
    finally:
        await made.drain(5.0)
    assert [one.offset for one in stored] == list(range(40))
    assert 0 < wakeups[-1] < 5_000
