"""Both ends of `_hookberg.pressure`: newest measures, never late ones, and nobody waits for them.

Lives here: the producer, and the reader of those who are not the edge (which has its own, on its loop). Not here: what
is measured and when it is told (schemas/pressure.py). It is no part of any transaction, and whatever Kafka says to it
ends nothing: a record that is not taken within seconds is dropped, for the next one says more.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from schemas import topics
from schemas.backing.kafka.errors import NOT_THERE
from schemas.errors import HookbergError, Poison
from schemas.logs import logger
from schemas.wire import pressure
from schemas.wire.pressure import Origin, Pressure

DELIVERY_MS = 5_000
AGAIN_S = 5.0
"""So often the topic is asked for while it is not there."""
_CLOSE_S = 1.0
_BATCH, _WAIT_S = 1_000, 0.5
_log = logger(__name__)


def producer_config(client: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a client's connection settings: in order, a bounded queue, and late is never."""
    return {
        **client,
        "acks": "1",
        "linger.ms": 5,
        "compression.type": "lz4",
        "max.in.flight.requests.per.connection": 1,
        "delivery.timeout.ms": DELIVERY_MS,
        "queue.buffering.max.messages": 20_000,
        "queue.buffering.max.kbytes": 8 << 10,
        "log_level": 2,
    }


class PressureTopic:
    """Tells measures; one thread calls it. `ensure` makes the topic: it may block, and raise what `Topics` raises."""

    def __init__(
        self,
        client: Mapping[str, Any],
        ensure: Callable[[], object],
        monotonic: Callable[[], float] = time.monotonic,
        make: Callable[[dict[str, Any]], Producer] = Producer,
    ) -> None:
        self._config, self._ensure, self._monotonic, self._make = producer_config(client), ensure, monotonic, make
        self._producer: Producer | None = None
        self._there, self._again_at, self._quiet = False, 0.0, False

    def tell(self, records: Iterable[Pressure], gone: Iterable[tuple[str, Origin]] = ()) -> None:
        """Hand records, and tombstones of (source id, origin), to the producer; never raises, waits for the topic."""
        try:
            self._look()
            if self._there:
                self._send([(one.key, pressure.encode(one)) for one in records])
                self._send([(pressure.key(*one), None) for one in gone])
        except (KafkaException, BufferError, HookbergError) as error:
            self._refused(str(error))

    def close(self) -> None:
        """Send what is under way for at most a second."""
        if self._producer is not None:
            self._producer.flush(_CLOSE_S)

    def _look(self) -> None:
        if not self._there and self._monotonic() >= self._again_at:
            self._again_at = self._monotonic() + AGAIN_S
            self._ensure()  # a producer that writes to a topic that is not there may have the broker make another one
            self._there = True

    def _send(self, entries: list[tuple[bytes, bytes | None]]) -> None:
        if self._producer is None:
            self._producer = self._make(self._config)
        for key, value in entries:
            self._producer.produce(topics.PRESSURE, value, key, 0, on_delivery=self._delivered)
        self._producer.poll(0)

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            if self._quiet:
                _log.info("pressure_told_again")
            self._quiet = False
            return
        if error.code() in NOT_THERE:
            self._there = False
        self._refused(error.str())

    def _refused(self, why: str) -> None:
        if not self._quiet:
            _log.warning("pressure_not_told", error=why[:300])
        self._quiet = True


def reader_config(client: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a client's connection settings: no group is joined, nothing committed, nothing made."""
    return {
        **client,
        "group.id": "hookberg-pressure",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "allow.auto.create.topics": False,
        "topic.metadata.refresh.interval.ms": 5_000,
        "log_level": 2,
    }


class PressureLog:
    """The newest record of each source and origin, read in a thread of its own; `newest` may be asked from any."""

    def __init__(self, client: Mapping[str, Any], make: Callable[[dict[str, Any]], Any] = Consumer) -> None:
        self._config, self._make = reader_config(client), make
        self._newest: dict[tuple[str, Origin], Pressure] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pressure-log", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; bounded."""
        self._stop.set()
        self._thread.join(5)

    def newest(self) -> dict[tuple[str, Origin], Pressure]:
        """Return the newest records by (source id, origin); old ones, too: a record tells when it was measured."""
        return dict(self._newest)

    def take(self, messages: Iterable[Message]) -> None:
        """Take in what was read; the newest by the measurer's clock counts, a tombstone removes it."""
        for message in messages:
            named, value = message.key(), message.value()
            if message.error() is not None or not isinstance(named, bytes):
                continue
            if value is None:
                source_id, _, origin = named.decode("utf-8", "replace").partition("/")
                self._newest.pop((source_id, "tables" if origin == "tables" else "stage"), None)
                continue
            with contextlib.suppress(Poison):
                record = pressure.decode(value)
                before = self._newest.get((record.source_id, record.origin))
                if before is None or before.measured_at_ms <= record.measured_at_ms:
                    self._newest[record.source_id, record.origin] = record

    def _run(self) -> None:
        consumer = self._make(self._config)
        try:
            consumer.assign([TopicPartition(topics.PRESSURE, 0, OFFSET_BEGINNING)])
            while not self._stop.is_set():
                self.take(consumer.consume(_BATCH, _WAIT_S))
        except KafkaException as error:
            _log.error("pressure_not_read", error=str(error))
        finally:
            consumer.close()
