"""A reader that lives through the chaos: read_committed, from the first record on, never started again.

What it saw must be what the topics hold in the end. It also knows the longest silence of the ledger.
"""

import threading
import time
import zlib
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, TopicPartition

Key = tuple[str, int, int]
END_S = 60.0


class Witness:
    """Reads topics in a thread; `seen` maps (topic, partition, offset) to the checksum of the value."""

    def __init__(self, bootstrap: str, topics: dict[str, int], ledger: str) -> None:
        self._consumer: Any = Consumer({
            "bootstrap.servers": bootstrap,
            "group.id": "witness",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "reconnect.backoff.max.ms": 500,
        })  # fmt: skip
        places = [TopicPartition(topic, n, 0) for topic, partitions in topics.items() for n in range(partitions)]
        self._consumer.assign(places)
        self._ledger = ledger
        self.seen: dict[Key, int] = {}
        self.faults: list[str] = []
        self.silence_s = 0.0
        self._heard: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="witness", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(END_S)
        self._consumer.close()

    def deaf(self) -> None:
        """Forget the last sound: the silence that follows is meant (no traffic)."""
        self._heard = None

    def _run(self) -> None:
        while not self._stop.is_set():
            for message in self._consumer.consume(500, 0.2):
                self._take(message)

    def _take(self, message: Any) -> None:
        error = message.error()
        if error is not None:
            if error.code() in (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET):
                self.faults.append(f"the reader's position is out of range: {error}")
            return
        key = (message.topic(), message.partition(), message.offset())
        if key in self.seen:
            self.faults.append(f"the reader got {key} twice")
        self.seen[key] = zlib.crc32(message.value() or b"")
        if message.topic() == self._ledger:
            now = time.monotonic()
            if self._heard is not None:
                self.silence_s = max(self.silence_s, now - self._heard)
            self._heard = now
