"""confluent_kafka's clients over the log in memory: as much of them as the product calls.

Lives here: what is queued in a client, when it reaches the broker, which errors come back. Not here: the log (log.py).
https://docs.confluent.io/platform/current/clients/confluent-kafka-python/html/index.html
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from tests.simulation.log import Broker, Entry, Fenced

LOST_BEFORE, LOST_AFTER = "lost before", "lost after"
Pause = Callable[[str], None]


def error(code: int, text: str, *, fatal: bool = False, retriable: bool = False) -> KafkaException:
    """Make what a client raises."""
    return KafkaException(KafkaError(code, text, fatal, retriable))


class Producer:
    """A transactional producer. Its calls from a thread of their own pause; those from the event loop only queue."""

    def __init__(self, broker: Broker, name: str, pause: Pause) -> None:
        self._broker, self._name, self._pause = broker, name, pause
        self._epoch = -1
        self._queue: list[tuple[str, int, bytes, bytes | None, Any]] = []
        self._reports: list[tuple[Any, Any, Any]] = []
        self._begun = False
        self._fatal = False
        self.faults: list[str] = []
        """What happens to the next answers of commits, in order."""

    def init_transactions(self, _timeout: float) -> None:
        self._pause("fence")
        self._epoch = self._broker.init(self._name)
        self._pause("fenced")

    def begin_transaction(self) -> None:
        self._check()
        if self._begun:
            raise error(KafkaError._STATE, "a transaction is open")
        self._begun = True

    def produce(self, topic: str, value: bytes | None, key: bytes, partition: int, on_delivery: Any = None) -> None:
        self._check()
        if not self._begun:
            raise error(KafkaError._STATE, "no transaction is open")
        self._queue.append((topic, partition, key, value, on_delivery))

    def poll(self, _timeout: float) -> int:
        reports, self._reports = self._reports, []
        for report, problem, message in reports:
            report(problem, message)
        return len(reports)

    def flush(self, _timeout: float) -> int:
        self.send(len(self._queue))
        self.poll(0)
        return 0

    def send(self, most: int) -> None:
        """Let queued records reach the broker, as the client's own thread does at any time."""
        batch, self._queue = self._queue[:most], self._queue[most:]
        for topic, partition, key, value, report in batch:
            try:
                if self._fatal:
                    raise Fenced  # noqa: TRY301 one way for both
                offset = self._broker.send(self._name, self._epoch, topic, partition, key, value)
            except Fenced:
                self._fatal = True
                if report is not None:
                    self._reports.append((report, KafkaError(KafkaError._PURGE_QUEUE), _message(partition, None)))
                continue
            if report is not None:
                self._reports.append((report, None, _message(partition, offset)))

    def commit_transaction(self, _timeout: float) -> None:
        self._check()
        self._pause("flush")
        self.send(len(self._queue))
        self.poll(0)
        self._pause("commit")
        self._check()
        fault = self.faults.pop(0) if self.faults else ""
        if fault == LOST_BEFORE:
            raise error(KafkaError._TIMED_OUT, "no answer", retriable=True)
        try:
            self._broker.end(self._name, self._epoch, commit=True)
        except Fenced as exc:
            self._fatal = True
            raise error(KafkaError._FENCED, str(exc), fatal=True) from exc
        self._pause("committed")
        if fault == LOST_AFTER:
            raise error(KafkaError._TIMED_OUT, "no answer", retriable=True)
        self._begun = False

    def _check(self) -> None:
        if self._fatal:
            raise error(KafkaError._FENCED, "another producer has this id", fatal=True)


def _message(partition: int, offset: int | None) -> Any:
    return SimpleNamespace(partition=lambda: partition, offset=lambda: offset)


class Message:
    """A consumed record, or an error in its place."""

    __slots__ = ("_at", "_entry", "_error", "_partition", "_topic")

    def __init__(
        self, topic: str, partition: int, entry: Entry | None, problem: KafkaError | None = None, at: int = -1
    ) -> None:
        self._topic, self._partition, self._entry, self._error, self._at = topic, partition, entry, problem, at

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int | None:
        return self._at if self._entry is None else self._entry.offset

    def key(self) -> bytes | None:
        return None if self._entry is None else self._entry.key

    def value(self) -> bytes | None:
        return None if self._entry is None else self._entry.value

    def timestamp(self) -> tuple[int, int]:
        return 2, 0 if self._entry is None else self._entry.timestamp_ms

    def error(self) -> KafkaError | None:
        return self._error


class Consumer:
    """A consumer that is assigned by hand; a call returns at most `most` records."""

    def __init__(self, broker: Broker, config: dict[str, Any], pause: Pause, most: int) -> None:
        self._broker, self._pause, self._most = broker, pause, most
        self._committed = config["isolation.level"] == "read_committed"
        self._reset = config["auto.offset.reset"]
        self._at: dict[tuple[str, int], int] = {}
        self._told: dict[tuple[str, int], int] = {}
        self._tells_ends = bool(config.get("enable.partition.eof"))
        self.starved = 0
        """How many polls in a row have brought nothing."""

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        self._at = {(one.topic, one.partition): one.offset for one in partitions}
        self._told.clear()

    def consume(self, most: int, _timeout: float) -> list[Message]:
        self._pause("poll")
        found: list[Message] = []
        left = min(most, self._most)
        for (topic, partition), at in self._at.items():
            if topic not in self._broker.topics:
                continue
            log = self._broker.log(topic, partition)
            if not log.start <= at <= log.end:
                if self._reset == "error":
                    problem = KafkaError(KafkaError._AUTO_OFFSET_RESET, f"{at} is not in the log")
                    return [*found, Message(topic, partition, None, problem)]
                at = log.start  # noqa: PLW2901 auto.offset.reset
            entries, self._at[topic, partition] = log.read(at, left - len(found), committed=self._committed)
            found += [Message(topic, partition, entry) for entry in entries]
            at = self._at[topic, partition]  # noqa: PLW2901 it has moved
            if self._tells_ends and at == log.stable and self._told.get((topic, partition)) != at:
                self._told[topic, partition] = at
                found.append(Message(topic, partition, None, KafkaError(KafkaError._PARTITION_EOF), at))
            if len(found) >= left:
                break
        self.starved = 0 if found else self.starved + 1
        if found:  # another partition begins next time
            first = next(iter(self._at))
            self._at[first] = self._at.pop(first)
        return found

    def get_watermark_offsets(self, where: TopicPartition, **_options: Any) -> tuple[int, int]:
        log = self._broker.log(where.topic, where.partition)
        return log.start, log.stable if self._committed else log.end

    def close(self) -> None:
        self._at = {}


class Admin:
    """Answers what topics there are."""

    def __init__(self, broker: Broker, pause: Pause) -> None:
        self._broker, self._pause = broker, pause

    def describe_topics(self, wanted: Any, **_options: Any) -> dict[str, Future[Any]]:
        answers = {}
        for name in wanted.topic_names:
            answer: Future[Any] = Future()
            topic = self._broker.topics.get(name)
            if topic is None:
                answer.set_exception(error(KafkaError.UNKNOWN_TOPIC_OR_PART, name))
            else:
                answer.set_result(SimpleNamespace(topic_id=topic.id, partitions=topic.logs))
            answers[name] = answer
        return answers
