"""Kafka that does not answer in time leaves topics as they are (fault suite: a slow answer ended the stage)."""

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.engine.conductor import resolve


@pytest.mark.parametrize("away", [KafkaException(KafkaError(KafkaError._TRANSPORT)), TimeoutError()])
async def test_topics_that_cannot_be_described_now_are_left_out(away: Exception) -> None:
    def refuse(_names: list[str]) -> Any:
        raise away

    directory: Any = SimpleNamespace(resolve=refuse)
    topics: Any = {"t.webhook.x": None}
    assert await resolve(directory, topics) == {}
