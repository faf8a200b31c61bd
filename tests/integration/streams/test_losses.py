"""What the log no longer holds is written off as lost, and a topic made anew starts anew (rules 9 and 19)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaException, TopicPartition

from tests.house.polling import wait_until
from tests.integration.streams.stack import Stage


@pytest.fixture
def stage(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(kafka_bootstrap, tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


def send(stage: Stage, source: str, first: int, last: int) -> None:
    for number in range(first, last):
        stage.send("shop", source, {"id": str(number)})
    stage.flush()


def truncate(stage: Stage, offset: int) -> None:
    place = TopicPartition(f"{stage.tenant}.webhook.shop", 0, offset)
    for future in stage.admin.delete_records([place]).values():
        future.result(20)


def test_records_gone_before_they_were_read_are_lost_with_their_range(stage: Stage) -> None:
    source = stage.add("shop")
    send(stage, source, 0, 3)
    stage.start()
    stage.await_items(["shop"], 3)
    assert stage.stop() == 0
    send(stage, source, 3, 10)
    truncate(stage, 7)
    stage.start()
    found = stage.await_items(["shop"], 6)
    assert [span for record in found.ledger for span in record.lost] == [(3, 7)]
    assert found.outcomes() == {"clean": 6}


def test_records_gone_before_the_first_start_are_lost_too(stage: Stage) -> None:
    source = stage.add("shop")
    send(stage, source, 0, 5)
    truncate(stage, 5)
    stage.start()
    ledger = wait_until(lambda: stage.read(["shop"]).ledger, 20, what="the loss in the ledger")
    assert [(record.first, record.next_offset, record.items, record.lost) for record in ledger] == [
        (0, 5, 0, ((0, 5),))
    ]


def test_a_topic_made_anew_starts_anew_and_remembers_its_events(stage: Stage) -> None:
    source = stage.add("shop")
    send(stage, source, 0, 4)
    stage.start()
    stage.await_items(["shop"], 4)
    assert stage.stop() == 0
    name = f"{stage.tenant}.webhook.shop"
    stage.admin.delete_topics([name])[name].result(20)

    def made() -> bool:
        try:
            stage.create(name)
        except KafkaException:
            return False
        return True

    wait_until(made, 20, what="the topic made anew")
    send(stage, source, 2, 6)
    stage.start()
    found = stage.await_items(["shop"], 8)
    assert found.outcomes() == {"clean": 6, "duplicate": 2}
    assert len({record.topic_id for record in found.ledger}) == 2
    assert [span for record in found.ledger for span in record.lost] == []
