"""The one partition of a Faust table that an app of one process writes, from agents and timers, and who stored it.

Lives here: writing outside of a stream's event, waiting until Kafka has what was written. Private names: README.md.
"""

import asyncio
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from faust import Event, Sensor, streams
from faust.types import Message

from streams.engine.exits import Die

PARTITION = 0
_SEGMENT_BYTES = 1 << 20
_ASK_S = 30.0


def ensure_journal(admin: AdminClient, name: str, *, replication: int, min_insync: int) -> None:
    """Make the table's changelog if it is absent: compacted early, for all of it is read at each start."""
    config = {
        "cleanup.policy": "compact",
        "min.insync.replicas": str(min_insync),
        "retention.ms": "-1",
        "segment.bytes": str(_SEGMENT_BYTES),
        "min.cleanable.dirty.ratio": "0.1",
        "delete.retention.ms": "3600000",
    }
    topic = NewTopic(name, 1, replication, config=config)
    try:
        admin.create_topics([topic], request_timeout=_ASK_S)[name].result(_ASK_S)
    except KafkaException as exc:
        if exc.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


class Journal(Sensor):
    """Writes a table; as Faust's sensor it hears what became of each record of the changelog.

    A record that Kafka did not take ends the process: Faust only logs it, and what follows would stand on a gap.
    """

    def __init__(self, app: Any, table: Any, end: Die) -> None:  # noqa: ANN401 Faust's are untyped
        super().__init__()
        self._table, self._end = table, end
        self._written = self._stored = 0
        self._news = asyncio.Event()
        here = Message(table.changelog_topic_name, PARTITION, 0, 0.0, 0, None, None, None, None)
        self._event = Event(app, None, None, None, here)
        app.sensors.add(self)

    def read(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield what the table holds, once Faust has recovered it."""
        yield from self._table.items()

    def write(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Put values, in this order, which the changelog keeps."""
        with self._here():
            for key, value in items:
                self._table[key] = value
                self._written += 1

    def delete(self, keys: Iterable[bytes]) -> None:
        """Remove keys that are there."""
        with self._here():
            for key in keys:
                del self._table[key]
                self._written += 1

    async def stored(self) -> None:
        """Wait until Kafka has everything that was written before this call."""
        wanted = self._written
        while self._stored < wanted:
            self._news.clear()
            await self._news.wait()

    def on_send_completed(self, *_: Any) -> None:  # noqa: ANN401 Faust's signature
        """Count an acknowledged record."""
        self._stored += 1
        self._news.set()

    def on_send_error(self, *told: Any) -> None:  # noqa: ANN401 producer, error, state: Faust's signature
        """End the process."""
        self._end("the table's changelog could not be written", told[1])

    @contextmanager
    def _here(self) -> Iterator[None]:
        """Have Faust take the table's partition from an event of ours: ledgers have more, or other numbers of them."""
        token = streams._current_event.set(weakref.ref(self._event))  # noqa: SLF001 README.md
        try:
            yield
        finally:
            streams._current_event.reset(token)  # noqa: SLF001
