"""A worker started again goes on where it stood; what the log lost is written off; a topic made anew starts anew.

Rules 8, 9 and 19. One worker, drained and started once more, for all tests of this file: a topic each.
"""

from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaException, TopicPartition

from tests.house.polling import wait_until
from tests.integration.streams.stack import Stage


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


@pytest.fixture(scope="module")
def stage(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Yield a stage whose worker was drained and started again while its topics changed."""
    made = Stage(kafka_bootstrap, tmp_path_factory.mktemp("losses"))
    drained, cut, anew = (made.add(name) for name in ("drained", "cut", "anew"))
    send(made, "drained", drained, 1, 2)
    send(made, "cut", cut, 0, 3)
    send(made, "anew", anew, 0, 4)
    made.start()
    made.await_items(["drained", "cut", "anew"], 8)
    assert made.stop() == 0
    send(made, "drained", drained, 1, 3)
    send(made, "cut", cut, 3, 10)
    truncate(made, "cut", 7)
    make_anew(made, "anew")
    send(made, "anew", anew, 2, 6)
    late = made.add("late")
    send(made, "late", late, 0, 5)
    truncate(made, "late", 5)
    made.start()
    yield made
    made.close()


def test_a_drained_worker_goes_on_where_it_stood(stage: Stage) -> None:
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


def test_a_topic_made_anew_starts_anew_and_remembers_its_events(stage: Stage) -> None:
    found = stage.await_items(["anew"], 8)
    assert found.outcomes() == {"clean": 6, "duplicate": 2}
    assert len({record.topic_id for record in found.ledger}) == 2
    assert [span for record in found.ledger for span in record.lost] == []
