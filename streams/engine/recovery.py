"""Before the group is joined: fence the predecessor, then read what is true (rule 8).

Lives here: own marks, reading the changelog read_committed up to them. Not here: positions of the Kafka group, which
are never asked. A mark replaces every question about end offsets: control records are never delivered, high
watermarks may be stale. KIP-98 (fencing by init_transactions): https://cwiki.apache.org/confluence/x/ou1JB
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from schemas.errors import Transient
from schemas.logs import logger
from streams.engine.table import FirstSeenTable

CHANGELOG_PARTITIONS = 4
_BATCH = 10_000
_QUIET_S = 60.0
_ASK_S = 30.0
_log = logger(__name__)


def changelog(group: str) -> str:
    """Name the changelog topic of a group."""
    return f"_hookberg.{group}.changelog"


def ensure_changelog(admin: AdminClient, group: str, *, replication: int, min_insync: int) -> None:
    """Make the changelog topic if it is absent: compacted only, for ids and positions outlive any time (rule 12)."""
    topic = NewTopic(
        changelog(group),
        CHANGELOG_PARTITIONS,
        replication,
        config={"cleanup.policy": "compact", "min.insync.replicas": str(min_insync), "retention.ms": "-1"},
    )
    try:
        admin.create_topics([topic], request_timeout=_ASK_S)[topic.topic].result(_ASK_S)
    except KafkaException as exc:
        if exc.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


def recover(
    kafka: Mapping[str, Any],
    table: FirstSeenTable,
    group: str,
    topic_id: str,
    ends: Mapping[int, int],
    *,
    reader: Callable[[dict[str, Any]], Any] = Consumer,
    monotonic: Callable[[], float] = time.monotonic,
) -> int:
    """Bring the table to the state of the changelog at our own marks `ends` (offset by partition); return records read.

    The changelog wins: a database that is ahead of it, or made from another one, is thrown away. Blocks.
    `reader` makes a consumer of a configuration. Raises `Transient` when the changelog stays silent for a minute.
    """
    table.open()
    marks = table.marks(len(ends))
    if table.changelog_id() not in (None, topic_id) or any(offset > ends.get(n, 0) for n, offset in marks.items()):
        _log.warning("state_thrown_away", group=group, why="not made from this changelog", marks=marks)
        table.wipe()
        marks = {}
    table.set_changelog_id(topic_id)
    consumer = reader(
        {
            **kafka,
            "group.id": f"{changelog(group)}.recovery",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "queued.max.messages.kbytes": 65_536,
        }
    )
    try:
        consumer.assign([TopicPartition(changelog(group), number, marks.get(number, 0)) for number in ends])
        return _read(consumer, table, dict(ends), monotonic)
    finally:
        consumer.close()


def _read(consumer: Any, table: FirstSeenTable, left: dict[int, int], monotonic: Callable[[], float]) -> int:  # noqa: ANN401 confluent_kafka is untyped
    read, heard = 0, monotonic()
    while left:
        reached: dict[int, int] = {}
        entries: list[tuple[bytes, bytes | None]] = []
        for message in consumer.consume(_BATCH, 1.0):
            if message.error():
                raise KafkaException(message.error())
            entries.append((message.key() or b"", message.value()))
            reached[message.partition() or 0] = (message.offset() or 0) + 1
        if entries:
            table.restore(entries, reached)
            read, heard = read + len(entries), monotonic()
        elif monotonic() - heard > _QUIET_S:
            raise Transient(f"the changelog went silent before our own marks: left {left}")
        for number, offset in reached.items():
            if number in left and offset > left[number]:
                del left[number]
    return read
