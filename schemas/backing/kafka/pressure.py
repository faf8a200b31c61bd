"""What is told on `_hookberg.pressure`: newest measures, never late ones, and nobody waits for them.

Lives here: the producer, and what is newest of all that was told. Not here: how the topic is read (pressure_reader.py),
what is measured and when it is told (schemas/pressure.py). It is no part of any transaction, and whatever Kafka says to
it ends nothing: a record that is not taken within seconds is dropped, for the next one says more.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import (
    KafkaError,
    KafkaException,
    Message,
    Producer,
)

from schemas import topics
from schemas.backing.kafka.errors import NOT_THERE
from schemas.backing.kafka.pressure_reader import PressureReader
from schemas.errors import HookbergError
from schemas.logs import logger
from schemas.wire import pressure
from schemas.wire.pressure import News, Origin, Pressure

DELIVERY_MS = 5_000
AGAIN_S = 5.0
"""So often the topic is asked for while it is not there."""
_CLOSE_S = 1.0
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


class PressureLog:
    """The newest record of each source and origin, read in a thread of its own; `newest` may be asked from any."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._newest: dict[tuple[str, Origin], Pressure] = {}
        self._reader = PressureReader(client, self.take)

    def start(self) -> None:
        """Begin."""
        self._reader.start()

    def stop(self) -> None:
        """End the thread; bounded."""
        self._reader.stop()

    def newest(self) -> dict[tuple[str, Origin], Pressure]:
        """Return the newest records by (source id, origin); old ones, too: a record tells when it was measured."""
        return dict(self._newest)

    def take(self, news: Iterable[News]) -> None:
        """Take in what was read; the newest by the measurer's clock counts, a tombstone removes it."""
        for source_id, name, record in news:
            origin: Origin = "tables" if name == "tables" else "stage"
            before = self._newest.get((source_id, origin))
            if record is None:
                self._newest.pop((source_id, origin), None)
            elif before is None or before.measured_at_ms <= record.measured_at_ms:
                self._newest[source_id, origin] = record
