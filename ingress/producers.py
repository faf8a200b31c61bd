"""The Kafka clients of one worker: idempotent producers, one for small records and one for large ones.

Lives here: their settings, and which record goes by which. On one connection a small record waits for the large ones
before it: five of 20 MB were in flight at a time, and deliveries of others took half a second longer. Not here: what a
report means (publish.py).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

_MIB = 1 << 20
_OVERHEAD = 2 * _MIB
LARGE_BYTES = _MIB
"""Above this a record goes by the producer for large ones, which is made with the first of them."""


def producer_config(client: Mapping[str, Any], body_limit: int) -> dict[str, Any]:
    """Complete a client's connection settings: acks=all, idempotent, small linger, bounded queues and times."""
    return {
        **client,
        "acks": "all",
        "enable.idempotence": True,
        "max.in.flight.requests.per.connection": 5,
        "linger.ms": 2,
        "batch.size": _MIB,
        "compression.type": "none",
        "message.max.bytes": body_limit + _OVERHEAD,
        "queue.buffering.max.messages": 100_000,
        "queue.buffering.max.kbytes": 512 << 10,
        "delivery.timeout.ms": 30_000,
        "socket.nagle.disable": True,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1_000,
        "topic.metadata.propagation.max.ms": 5_000,
        "topic.metadata.refresh.interval.ms": 10_000,  # until then a topic that was gone stays unknown
        "log_level": 2,
    }


class Producers:
    """Both clients; `config` as made by `producer_config`. Make and use it on one thread, but for `ask`."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = dict(config)
        self._made = [Producer(self._config)]

    def of(self, size: int) -> Producer:
        """Return the client for a record whose value has `size` bytes."""
        if size <= LARGE_BYTES:
            return self._made[0]
        if len(self._made) == 1:
            self._made.append(Producer(self._config))
        return self._made[1]

    def poll(self) -> Iterator[KafkaError]:
        """Serve what has come; yield what a client says of itself: a dead one tells it here and calls nobody back."""
        for producer in self._made:
            try:
                producer.poll(0)
            except KafkaException as exc:
                yield exc.args[0]

    def ask(self, topic: str, timeout_s: float) -> None:
        """Ask a broker for a topic's metadata; blocks; raise `KafkaException` when none answers in time."""
        self._made[0].list_topics(topic, timeout=timeout_s)

    def purge(self) -> None:
        """Give up what is not reported yet."""
        for producer in self._made:
            producer.purge()

    def __len__(self) -> int:
        """Return how many records are not reported yet."""
        return sum(map(len, self._made))
