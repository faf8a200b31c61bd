"""Seeking while topics are subscribed to: a subscription drops the assignment, and the next one seeks anew (rule 8)."""

from collections.abc import Awaitable, Callable
from typing import Any

from faust.types import TP

from streams.engine.consumer import BatchConsumer

HERE, GONE = TP("acme.webhook.here", 0), TP("acme.webhook.gone", 1)


class Aiokafka:
    """Has `HERE` assigned, or nothing; refuses to seek elsewhere as aiokafka does."""

    def __init__(self, *assigned: TP) -> None:
        self._assigned = frozenset(assigned)
        self.sought: dict[TP, int] = {}

    def assignment(self) -> frozenset[TP]:
        return self._assigned

    def seek(self, partition: TP, offset: int) -> None:
        assert partition in self._assigned
        self.sought[partition] = offset


class Thread:
    """Runs what it is given at once."""

    def __init__(self, consumer: Aiokafka) -> None:
        self._consumer = consumer

    def _ensure_consumer(self) -> Aiokafka:
        return self._consumer

    async def call_thread(self, fun: Callable[[], Awaitable[None]]) -> None:
        await fun()


def reader(consumer: Aiokafka) -> Any:
    made: Any = object.__new__(BatchConsumer)
    made._thread = Thread(consumer)
    return made


async def test_what_is_assigned_is_sought_and_nothing_else() -> None:
    consumer = Aiokafka(HERE)
    await reader(consumer).seek_wait({HERE: 7, GONE: 3})
    assert consumer.sought == {HERE: 7}


async def test_without_an_assignment_nothing_is_sought_and_nothing_fails() -> None:
    consumer = Aiokafka()
    await reader(consumer).seek_wait({HERE: 7})
    assert consumer.sought == {}
