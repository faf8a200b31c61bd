"""Reads `_hookberg.pressure`: one consumer, in a thread of its own, from the beginning, then what comes.

Lives here: the consumer and what its records say. The topic is compacted to one record a source and origin, so a client
that fails is followed by another that begins anew. Not here: what a record means to whom (ingress/overload/watch.py,
streams/alerts), the other end (pressure.py).
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from schemas import topics
from schemas.errors import Poison
from schemas.logs import logger
from schemas.wire import pressure
from schemas.wire.pressure import News

BATCH = 1_000
WAIT_S = 0.25
"""How long a record may wait for others: far below the second within which whoever reads knows of it."""
ANEW_S = 5.0
"""Until a client that failed is followed by another."""
_JOIN_S = 5.0
_log = logger(__name__)


def reader_config(client: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a client's connection settings: no group is joined, nothing committed, nothing made."""
    return {
        **client,
        "group.id": "hookberg-pressure",
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
    """One thread; `take` is called on it with what was read, in order. `make` makes a consumer of its settings."""

    def __init__(
        self,
        client: Mapping[str, Any],
        take: Callable[[list[News]], None],
        make: Callable[[dict[str, Any]], Any] = Consumer,
    ) -> None:
        self._config, self._take, self._make = reader_config(client), take, make
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pressure", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; blocks, bounded."""
        self._stop.set()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except KafkaException as exc:  # of this client: another one begins, the topic is small
                _log.error("pressure_not_read", error=exc.args[0].name())
                self._stop.wait(ANEW_S)

    def _follow(self) -> None:
        consumer = self._make(self._config)
        try:
            consumer.assign([TopicPartition(topics.PRESSURE, 0, OFFSET_BEGINNING)])
            while not self._stop.is_set():
                news = list(read(consumer.consume(BATCH, WAIT_S)))
                if news:
                    self._take(news)
        finally:
            consumer.close()


def read(messages: Iterable[Message]) -> Iterator[News]:
    """Return what records say; errors of the client and records that nobody can read say nothing."""
    for message in messages:
        key, value = message.key(), message.value()
        if message.error() is not None or not isinstance(key, bytes):
            continue
        source_id, _, origin = key.decode("utf-8", "replace").partition("/")
        if value is None:
            yield source_id, origin, None
            continue
        with contextlib.suppress(Poison):
            yield source_id, origin, pressure.decode(value)
