"""Table advanced on the real broker: what readers of `{tenant}.table` see of a table's commits (rule 22)."""

from confluent_kafka import Consumer, TopicPartition

from schemas import topics
from schemas.wire import table as wire
from tests.house.polling import wait_until
from tests.integration.sinks.world import World

PARTITIONS = 2


def test_commits_are_told_once_the_topic_is_there_and_again_by_the_next_owner(world: World) -> None:
    world.make_topic(world.topic)
    stream = world.stream()
    world.start()
    world.events([{"n": n} for n in range(3)])
    world.wait_rows(stream, 3)  # no topic to tell: no commit waits for it
    topic = topics.table(world.tenant)
    world.make_topic(topic, PARTITIONS)
    consumer = Consumer({**world.kafka, "group.id": "reader", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    told: list[wire.Advanced] = []

    def heard() -> set[int]:
        if (message := consumer.poll(0.2)) is not None and message.error() is None:
            told.append(wire.decode(message.value() or b""))
            assert message.key() == told[-1].key
            assert message.partition() == topics.partition(told[-1].key, PARTITIONS)
        return {one.sequence_number for one in told}

    try:
        wait_until(lambda: 1 in heard(), 60, what="the commit that came before the topic is told")
        world.stop()
        world.start()
        world.events([{"n": n} for n in range(3, 5)], first=3)
        world.wait_rows(stream, 5)
        wait_until(lambda: heard() >= {1, 2}, 60, what="the next owner tells")
    finally:
        consumer.close()
    metadata = world.catalog().load_table((world.tenant, "orders")).metadata
    by_sequence = {one.sequence_number: one for one in metadata.snapshots}
    for one in told:
        snapshot = by_sequence[one.sequence_number]
        assert (one.snapshot_id, one.committed_at_ms) == (snapshot.snapshot_id, snapshot.timestamp_ms)
        assert (one.tenant_id, one.stream_id, one.table) == (world.tenant, stream.id, "orders")
    assert len({one.id for one in told}) == len({one.sequence_number for one in told}) < len(told) + 1
    assert max(told, key=lambda one: one.sequence_number).rows == 5
