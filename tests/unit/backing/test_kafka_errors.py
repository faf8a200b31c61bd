"""What an error of Kafka's means: dead for good, passing, or a refusal."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from schemas.backing.kafka import fatal
from schemas.backing.kafka.errors import explained
from schemas.errors import Refused, Transient


@pytest.mark.parametrize(
    ("error", "dead"),
    [
        (KafkaError(KafkaError.FENCED_INSTANCE_ID), True),
        (KafkaError(KafkaError._FATAL), True),
        (KafkaError(KafkaError.UNKNOWN_PRODUCER_ID, "x", True), True),
        (KafkaError(KafkaError._ALL_BROKERS_DOWN), False),
        (KafkaError(KafkaError._MAX_POLL_EXCEEDED), False),
    ],
    ids=lambda value: value.name() if isinstance(value, KafkaError) else str(value),
)
def test_a_dead_client_is_known_as_dead(error: KafkaError, *, dead: bool) -> None:
    assert fatal(error) is dead


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (KafkaError.UNKNOWN_LEADER_EPOCH, Transient),
        (KafkaError.FENCED_LEADER_EPOCH, Transient),
        (KafkaError.NOT_LEADER_FOR_PARTITION, Transient),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, Transient),
        (KafkaError._ALL_BROKERS_DOWN, Transient),
        (KafkaError.INVALID_REPLICATION_FACTOR, Refused),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Refused),
    ],
)
def test_what_a_topics_first_moments_answer_may_be_tried_again(code: int, meaning: type[Exception]) -> None:
    with pytest.raises(meaning, match="listing offsets"), explained("listing offsets"):
        raise KafkaException(KafkaError(code))
