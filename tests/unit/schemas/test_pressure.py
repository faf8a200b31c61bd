"""What an origin tells of its sources, and when: schemas/pressure.py; and that Kafka's refusals stop nobody."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from schemas.backing.kafka.pressure import AGAIN_S, PressureLog, PressureTopic
from schemas.backing.kafka.pressure_reader import read
from schemas.definitions.view import SourceView
from schemas.errors import Transient
from schemas.overload import LEAVE, Backlog, Level
from schemas.pressure import CALM_S, KNOWN_S, WINDOW_S, Measure, Pressures, Rate
from schemas.wire import pressure
from schemas.wire.pressure import STALE_S, Pressure
from tests.unit.streams.made import source

CALM = Measure(Backlog(0, 0.0), None)
OVERLOAD = {
    "warn": {"events": 100, "ageSeconds": 60}, "alarm": {"events": 1000, "ageSeconds": 600},
    "bound": {"events": 10_000, "ageSeconds": 6000, "bytes": 10**6},
}  # fmt: skip


def lag(events: int, age_s: float = 0.0, size: int = 0) -> Measure:
    return Measure(Backlog(events, age_s, size), 5.0, 0.25)


class World:
    """One origin that looks once a second."""

    def __init__(self, **definition: Any) -> None:
        self.pressures, self.now_ms = Pressures("stage"), 1_000_000
        self.sources: dict[str, SourceView] = {"source-1": source(overload=OVERLOAD, **definition)}

    def look(self, measure: Measure | None, after_s: float = 1.0) -> Pressure | None:
        self.now_ms += int(after_s * 1000)
        found = {} if measure is None else {"source-1": measure}
        records = self.pressures.take(self.now_ms, self.sources, found)
        return records[0] if records else None

    def levels(self, *measures: Measure) -> list[int]:
        told = [self.look(measure) for measure in measures]
        return [-1 if one is None else one.level for one in told]


def test_a_calm_source_is_told_seldom_but_before_its_record_is_stale() -> None:
    world = World()
    told = [world.look(CALM) is not None for _ in range(21)]
    assert told == [number % int(CALM_S) == 0 for number in range(21)]
    assert 2 * CALM_S <= STALE_S, "one may get lost"


def test_a_source_near_its_threshold_is_told_every_time() -> None:
    world = World()
    assert [world.look(lag(50)) is not None for _ in range(5)] == [True] * 5


def test_a_level_that_changes_is_told_at_once() -> None:
    world = World()
    assert world.levels(CALM, CALM, lag(100), lag(0), CALM) == [0, -1, 1, 0, -1]


def test_a_level_is_left_only_well_below_its_threshold() -> None:
    world = World()
    inside = int(1000 * LEAVE)
    assert world.levels(lag(1000), lag(inside), lag(inside - 1)) == [Level.ALARM, Level.ALARM, Level.WARN]
    assert world.levels(lag(0, 6000), lag(0, 0, 10**6), CALM) == [Level.BOUND, Level.BOUND, Level.CALM]


def test_the_record_says_what_was_measured() -> None:
    record = World().look(lag(1200, 61.23456, 777))
    assert record == Pressure("acme", "source-1", "stage", 1_001_000, 2, 1200, 61.235, 777, 5.0, 0.25)


def test_what_could_not_be_measured_is_not_told_and_keeps_its_level() -> None:
    world = World()
    assert world.levels(lag(1000)) == [Level.ALARM]
    assert [world.look(None) for _ in range(30)] == [None] * 30
    assert world.levels(lag(800)) == [Level.ALARM], "in the band: it was never seen to be better"


def test_what_waits_for_a_paused_source_is_meant_to() -> None:
    world = World(paused=True)
    told = world.look(lag(20_000, 10_000, 10**9))
    assert told is not None
    assert (told.level, told.lag_events) == (Level.CALM, 20_000)
    world.sources["source-1"] = source(overload=OVERLOAD)
    assert world.levels(lag(20_000)) == [Level.BOUND]


def test_a_deleted_source_is_told_gone_once() -> None:
    world = World()
    world.look(CALM)
    assert world.pressures.gone(world.sources) == []
    world.sources = {}
    assert world.pressures.gone({}) == ["source-1"]
    assert world.look(CALM) is None
    assert world.pressures.gone({}) == []


def test_a_rate_is_known_after_a_while_and_is_that_of_the_window() -> None:
    rate = Rate()
    assert (rate.per_s, rate.grown) == (None, 0)
    for second in range(int(KNOWN_S)):
        rate.add(second, second * 10)
    assert rate.per_s is None
    rate.add(KNOWN_S, int(KNOWN_S) * 10)
    assert rate.per_s == pytest.approx(10)
    for second in range(6, 100):
        rate.add(second, 50 if second < 60 else 50 + second * 7)
    assert rate.per_s == pytest.approx(7, rel=0.01)
    assert rate.grown == pytest.approx(7 * WINDOW_S, rel=0.1)
    rate.add(101, 3)  # counted anew
    assert (rate.per_s, rate.grown) == (None, 0)


class Producer:
    """What librdkafka does: takes records, tells later what became of them."""

    def __init__(self, _config: dict[str, Any]) -> None:
        self.sent: list[tuple[bytes, bytes | None]] = []
        self.error: KafkaError | None = None
        self.full: Exception | None = None
        self.reports: list[Callable[[KafkaError | None, None], None]] = []

    def produce(self, topic: str, value: bytes | None, key: bytes, partition: int, on_delivery: Any) -> None:
        assert (topic, partition) == ("_hookberg.pressure", 0)
        if self.full is not None:
            raise self.full
        self.sent.append((key, value))
        self.reports.append(on_delivery)

    def poll(self, _timeout: float) -> None:
        for report in self.reports:
            report(self.error, None)
        self.reports.clear()


class Topic:
    """A topic that is there, or not, and its producer."""

    def __init__(self) -> None:
        self.now, self.there, self.asked = 0.0, True, 0
        self.producer = Producer({})
        made: Any = lambda _config: self.producer  # noqa: E731
        self.topic = PressureTopic({}, self.ensure, lambda: self.now, made)

    def ensure(self) -> None:
        self.asked += 1
        if not self.there:
            raise Transient("Kafka is away")

    def tell(self) -> int:
        before = len(self.producer.sent)
        self.topic.tell([RECORD], [("source-2", "stage")])
        return len(self.producer.sent) - before


RECORD = Pressure("acme", "source-1", "stage", 1, 0, 0, 0.0, 0, None, 0.0)


def test_records_and_tombstones_go_under_their_keys() -> None:
    topic = Topic()
    assert topic.tell() == 2
    assert topic.producer.sent == [(b"source-1/stage", pressure.encode(RECORD)), (b"source-2/stage", None)]


def test_nothing_is_written_before_the_topic_is_there_and_it_is_asked_for_now_and_then() -> None:
    topic = Topic()
    topic.there = False
    assert [topic.tell() for _ in range(5)] == [0] * 5
    assert topic.asked == 1
    topic.there, topic.now = True, AGAIN_S
    assert topic.tell() == 2


@pytest.mark.parametrize(
    "error", [BufferError("full"), KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))]
)
def test_whatever_kafka_refuses_nobody_is_stopped(error: Exception) -> None:
    topic = Topic()
    topic.producer.full = error
    assert topic.tell() == 0
    topic.producer.full = None
    topic.producer.error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    assert topic.tell() == 2
    assert topic.tell() == 2


class Message:
    def __init__(self, key: bytes, value: bytes | None) -> None:
        self._key, self._value = key, value

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def error(self) -> None:
        return None


def test_of_what_is_read_the_newest_by_the_measurers_clock_counts() -> None:
    log = PressureLog({})
    told = [Pressure("acme", "s", "stage", at_ms, 0, at_ms, 0.0, 0, None, 0.0) for at_ms in (5, 9, 7)]
    messages: Any = [Message(one.key, pressure.encode(one)) for one in told] + [Message(b"s/tables", b"no record")]
    log.take(read(messages))
    assert {key: one.lag_events for key, one in log.newest().items()} == {("s", "stage"): 9}
    gone: Any = [Message(b"s/tables", None), Message(b"s/stage", None)]
    log.take(read(gone))
    assert log.newest() == {}


def test_a_topic_that_was_deleted_is_made_again() -> None:
    topic = Topic()
    topic.producer.error = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
    topic.tell()
    topic.producer.error, topic.now = None, AGAIN_S
    assert topic.tell() == 2
    assert topic.asked == 2
