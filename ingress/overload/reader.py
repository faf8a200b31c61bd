"""Reads `_hookberg.pressure`: one consumer a worker, in a thread of its own, from the beginning, then what comes.

Lives here: the consumer. The topic is compacted to one record a source and origin. What is read goes to the loop in one
call a batch; a request never waits for it. What a record means: watch.py.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from ingress.overload.watch import News
from schemas import topics
from schemas.errors import Poison
from schemas.logs import logger
from schemas.wire import pressure

BATCH = 1_000
WAIT_S = 0.25
"""How long a record may wait for others: far below the second within which a worker knows of it."""
ANEW_S = 5.0
"""Until a client that failed is followed by another."""
_JOIN_S = 5.0
_log = logger("ingress")


def reader_config(client: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a client's connection settings: no group is joined, nothing committed, nothing made."""
    return {
        **client,
        "group.id": "hookberg-ingress-pressure",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "allow.auto.create.topics": False,
        "fetch.wait.max.ms": 250,
        "topic.metadata.refresh.interval.ms": 5_000,
        "reconnect.backoff.max.ms": 1_000,
        "log_level": 2,
    }


class PressureReader:
    """One thread; `take` is called on the loop with what was read, in order."""

    def __init__(self, config: Mapping[str, Any], take: Callable[[list[News]], None]) -> None:
        self._config = dict(config)
        self._take = take
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin on the running loop."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, args=(loop,), name="pressure", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """End the thread; bounded."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _JOIN_S)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._stop.is_set():
            try:
                self._follow(loop)
            except KafkaException as exc:  # of this client: another one begins, the topic is small
                _log.error("pressure_not_read", error=exc.args[0].name())
                self._stop.wait(ANEW_S)

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        consumer = Consumer(self._config)
        try:
            consumer.assign([TopicPartition(topics.PRESSURE, 0, OFFSET_BEGINNING)])
            while not self._stop.is_set():
                news = list(read(consumer.consume(BATCH, WAIT_S)))
                if news:
                    with contextlib.suppress(RuntimeError):  # the loop has ended
                        loop.call_soon_threadsafe(self._take, news)
        finally:
            consumer.close()


def read(messages: Iterable[Message]) -> Iterable[News]:
    """Return what records say; errors of the client and records that nobody can read say nothing."""
    for message in messages:
        key = message.key()
        if message.error() is not None or not isinstance(key, bytes):
            continue
        source_id, _, origin = key.decode("utf-8", "replace").partition("/")
        value = message.value()
        if value is None:
            yield source_id, origin, None
            continue
        with contextlib.suppress(Poison):
            yield source_id, origin, pressure.decode(value)
