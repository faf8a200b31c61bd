"""A worker started again goes on where it stood; what the log lost is written off; a topic made anew starts anew.

Rules 8, 9 and 19. A position beyond the end is planted by a transaction of the engine. One worker, drained and started
once more, for all tests of this file: a topic each.
"""

import asyncio
import signal
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from streams.engine.directory import Directory
from streams.engine.table import Stand
from tests.house.polling import wait_until
from tests.integration.streams.ground import World
from tests.integration.streams.stack import Stage

_FETCH_S = 2.5


def send(stage: Stage, platform: str, source: str, first: int, last: int) -> None:
    for number in range(first, last):
        stage.send(platform, source, {"id": str(number)})
    stage.flush()


def truncate(stage: Stage, platform: str, offset: int) -> None:
    place = TopicPartition(f"{stage.tenant}.webhook.{platform}", 0, offset)
    for future in stage.admin.delete_records([place]).values():
        future.result(20)


def make_anew(stage: Stage, platform: str) -> None:
    name = f"{stage.tenant}.webhook.{platform}"
    stage.admin.delete_topics([name])[name].result(20)

    def made() -> bool:
        try:
            stage.create(name)
        except KafkaException:
            return False
        return True

    wait_until(made, 20, what="the topic made anew")


async def plant(stage: Stage, platform: str, stand: Stand) -> None:
    """Commit a position, as a worker would whose log has lost its tail since."""
    name = f"{stage.tenant}.webhook.{platform}"
    worker = World(stage.bootstrap, stage.folder, stage.group).worker("planted")
    await asyncio.to_thread(worker.begin)
    topic_id = Directory({"bootstrap.servers": stage.bootstrap}).ids([name])[name][0]
    worker.transactions.add((topic_id, 0), stand, {}, [])
    await worker.transactions.commit()
    worker.table.close()


@pytest.fixture(scope="module")
def stage(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Yield a stage whose worker was drained and started again while its topics changed."""
    made = Stage(kafka_bootstrap, tmp_path_factory.mktemp("losses"), stage_session_timeout_s=30)
    drained, cut, anew = (made.add(name) for name in ("drained", "cut", "anew"))
    send(made, "drained", drained, 1, 2)
    send(made, "cut", cut, 0, 3)
    send(made, "anew", anew, 0, 4)
    made.start()
    made.await_items(["drained", "cut", "anew"], 8)
    assert made.stop() == 0
    send(made, "drained", drained, 1, 3)
    group = ConsumerGroupTopicPartitions(
        f"hookberg-{made.group}", [TopicPartition(f"{made.tenant}.webhook.drained", 0, 3)]
    )
    for future in made.admin.alter_consumer_group_offsets([group]).values():
        future.result(20)
    send(made, "cut", cut, 3, 10)
    truncate(made, "cut", 7)
    make_anew(made, "anew")
    send(made, "anew", anew, 2, 6)
    short = made.add("short")
    send(made, "short", short, 0, 3)
    asyncio.run(plant(made, "short", Stand(10, time.time_ns() // 1_000_000)))
    late = made.add("late")
    send(made, "late", late, 0, 5)
    truncate(made, "late", 5)
    made.start()
    yield made
    made.close()


def test_a_drained_worker_goes_on_where_it_stood_whatever_the_groups_offsets_say(stage: Stage) -> None:
    found = stage.await_items(["drained"], 3)
    assert found.outcomes() == {"clean": 2, "duplicate": 1}


def test_records_gone_before_they_were_read_are_lost_with_their_range(stage: Stage) -> None:
    found = stage.await_items(["cut"], 6)
    assert [span for record in found.ledger for span in record.lost] == [(3, 7)]
    assert found.outcomes() == {"clean": 6}


def test_records_gone_before_the_first_start_are_lost_too(stage: Stage) -> None:
    ledger = wait_until(lambda: stage.read(["late"]).ledger, 20, what="the loss in the ledger")
    assert [(record.first, record.next_offset, record.items, record.lost) for record in ledger] == [
        (0, 5, 0, ((0, 5),))
    ]


def test_a_position_beyond_the_end_is_a_loss_and_the_stage_goes_on_from_the_end(stage: Stage) -> None:
    ledger = wait_until(lambda: stage.read(["short"]).ledger, 20, what="the loss in the ledger")
    assert [(record.first, record.next_offset, record.items, record.lost) for record in ledger] == [
        (3, 3, 0, ((3, 10),))
    ]
    source = next(row["id"] for row in stage.registry["sources"] if row["platform"] == "short")
    send(stage, "short", source, 3, 5)
    found = stage.await_items(["short"], 2)
    assert sorted(event["position"]["offset"] for event in found.clean) == [3, 4]
    assert [span for record in found.ledger for span in record.lost] == [(3, 10)]


def test_records_that_expire_under_a_running_worker_are_lost_with_their_range(stage: Stage) -> None:
    source = stage.add("slow")
    send(stage, "slow", source, 0, 2)
    stage.await_items(["slow"], 2)
    assert stage.process is not None
    stage.process.send_signal(signal.SIGSTOP)
    answered = time.monotonic() + _FETCH_S
    wait_until(lambda: time.monotonic() > answered, 60)  # the fetch that waits at the broker comes back empty
    send(stage, "slow", source, 2, 7)
    truncate(stage, "slow", 6)
    stage.process.send_signal(signal.SIGCONT)
    found = stage.await_items(["slow"], 3)
    assert [span for record in found.ledger for span in record.lost] == [(2, 6)]
    assert sorted(event["position"]["offset"] for event in found.clean) == [0, 1, 6]


def test_a_topic_made_anew_starts_anew_and_remembers_its_events(stage: Stage) -> None:
    found = stage.await_items(["anew"], 8)
    assert found.outcomes() == {"clean": 6, "duplicate": 2}
    assert len({record.topic_id for record in found.ledger}) == 2
    assert [span for record in found.ledger for span in record.lost] == []
