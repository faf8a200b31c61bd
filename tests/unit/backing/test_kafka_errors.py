"""A dead client is known as dead, in whichever way librdkafka tells it."""

import pytest
from confluent_kafka import KafkaError

from schemas.backing.kafka import fatal


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
