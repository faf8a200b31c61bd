"""The sender of "table advanced": one Kafka producer a process, in a thread of its own (rule 22).

Lives here: from the books of the tables (table/advanced.py) to `{tenant}.table`. Nothing here delays or fails a commit:
a record that cannot be sent waits in its book. The same record may be sent twice, and late ones may come after younger
ones; its id and sequence number are for that.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas import logs, topics
from schemas.metrics import Metrics
from schemas.ports import Clock
from schemas.wire import table as wire
from sinks.table.advanced import Book

DELIVERY_MS = 30_000
POLL_S = 0.1
ASK_S = 5.0
AGAIN_S, LONGEST_S = 1.0, 30.0
COUNT_S = 300.0
"""How long the number of a topic's partitions is believed: it grows with worker groups only."""
CLOSE_S = 1.0
log = logs.logger(__name__)


def producer_config(client: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a client's connection settings: acks=all, idempotent, a bounded queue."""
    return {
        **client,
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": 5,
        "delivery.timeout.ms": DELIVERY_MS,
        "queue.buffering.max.messages": 10_000,
        "queue.buffering.max.kbytes": 16 << 10,
        "log_level": 2,
    }


class KafkaAdvances:
    """Implements `sinks.table.advanced.Advances`. The producer is made with the first record."""

    def __init__(
        self,
        client: Mapping[str, Any],
        clock: Clock,
        metrics: Metrics,
        make: Callable[[dict[str, Any]], Producer] = Producer,
    ) -> None:
        self._config, self._clock, self._make = producer_config(client), clock, make
        self._sent = metrics.counter("hookberg_table_advanced_total")
        self._open: set[Book] = set()
        self._at: dict[Book, float] = {}
        """Books to look at, each not before a time."""
        self._waits: dict[Book, float] = {}
        self._counts: dict[str, tuple[int, float]] = {}
        self._flying: set[tuple[Book, int]] = set()
        self._producer: Producer | None = None
        self._dead = self._ended = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="table-advanced", daemon=True)
        self._thread.start()

    def open(self, book: Book) -> None:
        """Send what this book holds from now on."""
        with self._news:
            self._open.add(book)

    def close(self, book: Book) -> None:
        """Forget a book; what is under way may still arrive."""
        with self._news:
            self._open.discard(book)
            self._at.pop(book, None)
            self._waits.pop(book, None)

    def wake(self, book: Book) -> None:
        """Say that a book has news; never blocks."""
        with self._news:
            if book in self._open:
                self._at.setdefault(book, 0.0)
                self._news.notify()

    def end(self) -> None:
        """Send what is under way for at most a second, then end: the tables' next owners tell the rest."""
        with self._news:
            self._ended = True
            self._news.notify()
        self._thread.join(CLOSE_S + ASK_S)

    # ---- its own thread
    def _run(self) -> None:
        while not self._ended:
            due = self._due()
            try:
                for book in due:
                    self._send(book)
                if self._producer is not None:
                    self._producer.poll(POLL_S if self._flying else 0.0)
            except Exception:
                log.exception("table_advanced_failed")
                self._dead = True
            if self._dead:
                self._drop_producer()
        if self._producer is not None:
            self._producer.flush(CLOSE_S)

    def _due(self) -> list[Book]:
        """Wait until a book is to be looked at or records are under way; return the books."""
        with self._news:
            while not self._ended and not self._flying:
                soonest = min(self._at.values(), default=None)
                wait_s = None if soonest is None else soonest - self._clock.monotonic()
                if wait_s is not None and wait_s <= 0:
                    break
                self._news.wait(wait_s)
            now = self._clock.monotonic()
            due = [book for book, at in self._at.items() if at <= now]
            for book in due:
                del self._at[book]
            return due

    def _send(self, book: Book) -> None:
        topic = topics.table(book.tenant)
        taken = book.take()
        for place, (number, record) in enumerate(taken):
            try:
                producer = self._producer or self._make_producer()
                partition = topics.partition(record.key, self._partitions(producer, topic))
                report = self._report(book, number, topic)
                producer.produce(topic, wire.encode(record), record.key, partition, on_delivery=report)
            except (BufferError, KafkaException) as error:
                for late, _record in taken[place:]:
                    book.failed(late)
                self._later(book, topic, str(error))
                return
            self._flying.add((book, number))

    def _report(self, book: Book, number: int, topic: str) -> Callable[[KafkaError | None, Message], None]:
        def report(error: KafkaError | None, _message: Message) -> None:
            self._flying.discard((book, number))
            if error is None:
                book.sent(number)
                self._sent.labels("sent").inc()
                with self._news:
                    self._waits.pop(book, None)
                return
            book.failed(number)
            self._dead = self._dead or error.fatal()
            self._later(book, topic, error.str())

        return report

    def _later(self, book: Book, topic: str, why: str) -> None:
        """Look at a book again after a while that doubles."""
        self._sent.labels("failed").inc()
        self._counts.pop(topic, None)
        with self._news:
            wait_s = self._waits[book] = min(LONGEST_S, 2 * self._waits.get(book, AGAIN_S / 2))
            if book in self._open:
                self._at[book] = self._clock.monotonic() + wait_s
        log.warning("table_advanced_waits", topic=topic, error=why, wait_s=wait_s)

    def _partitions(self, producer: Producer, topic: str) -> int:
        known, until = self._counts.get(topic, (0, 0.0))
        if not known or self._clock.monotonic() >= until:
            found = producer.list_topics(topic, timeout=ASK_S).topics[topic]
            if found.error is not None:
                raise KafkaException(found.error)
            known = len(found.partitions)
            self._counts[topic] = known, self._clock.monotonic() + COUNT_S
        return known

    def _make_producer(self) -> Producer:
        self._producer = self._make(self._config)
        return self._producer

    def _drop_producer(self) -> None:
        """Go on with another producer: an idempotent one that has met a fatal error sends nothing more."""
        self._producer, self._dead = None, False
        flying, self._flying = self._flying, set()
        for book, number in flying:
            book.failed(number)
            self._later(book, topics.table(book.tenant), "the producer was dropped")
