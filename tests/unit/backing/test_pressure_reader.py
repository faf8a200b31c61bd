"""Following the pressure topic: what is read is handed on, and a client that fails is followed by another."""

import asyncio

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from schemas import topics
from schemas.backing.kafka import pressure_reader
from schemas.backing.kafka.pressure_reader import PressureReader
from schemas.wire import pressure
from schemas.wire.pressure import News, Pressure
from tests.fakes.mock_kafka import mock_kafka

TOLD = Pressure("acme", "s-1", "stage", 1, 2, 10, 5.0, 100, None, 0.0)


async def test_a_client_that_fails_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Failing(pressure_reader.Consumer):  # type: ignore[name-defined, misc]
        def __init__(self, config: dict[str, object]) -> None:
            super().__init__(config)
            made.append(self)

        def consume(self, *given: object) -> object:
            if len(made) == 1:
                raise KafkaException(KafkaError(KafkaError._FATAL))
            return super().consume(*given)

    monkeypatch.setattr(pressure_reader, "ANEW_S", 0.01)
    taken: list[News] = []
    with mock_kafka() as kafka:
        kafka.topic(topics.PRESSURE, 1)
        sender = Producer({"bootstrap.servers": kafka.bootstrap})
        sender.produce(topics.PRESSURE, pressure.encode(TOLD), TOLD.key)
        sender.produce(topics.PRESSURE, None, b"s-2/tables")
        assert sender.flush(10) == 0
        following = PressureReader({"bootstrap.servers": kafka.bootstrap}, taken.extend, Failing)
        following.start()
        try:
            async with asyncio.timeout(20):
                while len(taken) < 2:
                    await asyncio.sleep(0.01)
        finally:
            await asyncio.to_thread(following.stop)
    assert taken == [("s-1", "stage", TOLD), ("s-2", "tables", None)]
    assert len(made) == 2
