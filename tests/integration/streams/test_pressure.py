"""What waits for the stage is on `_hookberg.pressure` about a second later, and calm again when it is done."""

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from schemas import topics
from schemas.backing.kafka import Topics
from schemas.backing.kafka.pressure import PressureLog
from schemas.overload import Level
from schemas.settings import StreamsSettings
from schemas.wire import pressure
from schemas.wire.pressure import Pressure
from tests.house.polling import wait_until
from tests.integration.streams.stack import Stage

OVERLOAD = {
    "warn": {"events": 100, "ageSeconds": 60}, "alarm": {"events": 300, "ageSeconds": 600},
    "bound": {"events": 10**6, "ageSeconds": 6000, "bytes": 10**12},
}  # fmt: skip


class Listener:
    """Reads the topic from now on; `until` returns the first record of a source that is as wanted."""

    def __init__(self, stage: Stage) -> None:
        settings: dict[str, Any] = stage.settings
        Topics(StreamsSettings(**settings)).ensure_cluster_topics()
        self._stage = stage
        given = {"bootstrap.servers": stage.bootstrap, "group.id": uuid.uuid4().hex, "fetch.wait.max.ms": 20}
        self._consumer = Consumer(given)
        _low, high = self._consumer.get_watermark_offsets(TopicPartition(topics.PRESSURE, 0), 20)
        self._consumer.assign([TopicPartition(topics.PRESSURE, 0, high)])

    def until(
        self, source: str, wanted: Callable[[Pressure | None], bool], deadline_s: float = 20.0
    ) -> Pressure | None:
        deadline, last = time.monotonic() + deadline_s, None
        while time.monotonic() < deadline:
            message = self._consumer.poll(0.2)
            if message is None or message.error() or message.key() != pressure.key(source, "stage"):
                continue
            value = message.value()
            last = None if value is None else pressure.decode(value)
            if wanted(last):
                return last
        raise AssertionError(f"last told: {last}\n{self._stage.log()}")

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture
def stage(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Stage]:
    made = Stage(kafka_bootstrap, tmp_path)
    yield made
    made.close()


def test_a_backlog_is_told_within_a_moment_and_that_it_is_over(stage: Stage) -> None:
    source = stage.add("shop", overload=OVERLOAD)
    quiet = stage.add("quiet", overload=OVERLOAD)
    listener, log = Listener(stage), PressureLog({"bootstrap.servers": stage.bootstrap})
    log.start()
    stage.start(pressure=True)
    assert listener.until(quiet, lambda told: told is not None and (told.level, told.lag_events) == (0, 0))

    for number in range(150):
        stage.send("shop", source, {"id": f"first{number}"}, number % 2)
    stage.flush()
    stage.await_items(["shop"], 150)
    topic = next(row for row in stage.registry["topics"] if row["platform"] == "shop")
    topic["paused"] = True  # the group holds the topic; the source itself is not paused: a stage that is too slow
    stage.save()
    wait_until(lambda: "topics_held" in stage.log(), 10, what="the topic held")
    began = time.time()
    for number in range(400):
        stage.send("shop", source, {"id": f"more{number}"}, number % 2)
    stage.flush()
    told = listener.until(source, lambda told: told is not None and told.lag_events == 400)
    assert told is not None
    assert (told.tenant_id, told.level) == (stage.tenant, Level.ALARM)
    assert told.lag_bytes > 400 * 100
    assert 0 <= told.lag_seconds <= told.measured_at_ms / 1000 - began + 1
    assert listener.until(source, lambda told: told is not None and told.lag_seconds >= 1.5)

    topic["paused"] = False
    stage.save()
    calm = listener.until(source, lambda told: told is not None and told.level == 0 and told.lag_events == 0)
    assert calm is not None
    assert (calm.lag_seconds, calm.lag_bytes, calm.quarantine_ratio) == (0.0, 0, 0.0)

    stage.registry["sources"] = [row for row in stage.registry["sources"] if row["id"] != quiet]
    stage.save()
    assert (quiet, "stage") in log.newest()
    listener.until(quiet, lambda told: told is None)
    wait_until(lambda: (quiet, "stage") not in log.newest(), 10, what="a tombstone read")
    assert log.newest()[source, "stage"].level == Level.CALM
    log.stop()
    listener.close()
    assert stage.stop() == 0
