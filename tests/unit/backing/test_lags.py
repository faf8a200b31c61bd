"""How much waits for the stage, asked of a broker whose coordinator moves."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from schemas.backing.kafka.lags import Lags, Standing
from schemas.definitions.view import TopicView
from schemas.errors import Transient
from tests.fakes.mock_kafka import mock_kafka

OFFSET_FETCH = 9
RAW = "acme.webhook.github"


class Ends:
    """Implements what Lags asks of Topics: one topic of two partitions, 10 records each."""

    def describe(self, names: Iterable[str]) -> dict[str, Any]:
        return {name: SimpleNamespace(partitions=2) for name in names}

    def offsets(self, places: Iterable[tuple[str, int]], which: str) -> dict[tuple[str, int], int]:
        return dict.fromkeys(places, 10 if which == "latest" else 0)


TOPIC = TopicView(RAW, "id", "acme", "webhook", "github", 2, "g", False)


def test_what_waits_is_the_end_less_what_the_group_has_committed() -> None:
    with mock_kafka() as kafka:
        kafka.topic(RAW, 2)
        stage = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "hookberg-g"})
        stage.commit(offsets=[TopicPartition(RAW, 1, 7)], asynchronous=False)
        stage.close()
        lags = Lags({"bootstrap.servers": kafka.bootstrap}, Ends())  # type: ignore[arg-type]
        assert lags.standing([TOPIC]) == {(RAW, 0): Standing(0, 10), (RAW, 1): Standing(7, 3)}
        assert lags.waiting([TOPIC]) == {(RAW, 0): 10, (RAW, 1): 3}


@pytest.mark.parametrize("error", [KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE])
def test_a_coordinator_that_has_moved_is_asked_again_later_and_ends_no_process(error: int) -> None:
    with mock_kafka() as kafka:
        kafka.topic(RAW, 2)
        lags = Lags({"bootstrap.servers": kafka.bootstrap}, Ends())  # type: ignore[arg-type]
        kafka.answer(OFFSET_FETCH, *[error] * 20)
        with pytest.raises(Transient, match="the stage's offsets"):
            lags.standing([TOPIC])
