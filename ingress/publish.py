"""The publisher: records out, delivery reports in, polled on the event loop.

Lives here: the acknowledgement budget, what a report means, draining. The clients: producers.py; how much of a
partition they have at a time: lanes.py. Polling on the loop (every millisecond while something is outstanding, else
once a second) needs no thread and no wake-up across threads; it was the cheapest of the documented ways (README).
Private or undocumented API of the client: none.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

from confluent_kafka import KafkaError, KafkaException, Message

from ingress.admission import spread
from ingress.lanes import Lane, Sent
from ingress.producers import LARGE_BYTES, Producers
from schemas import topics
from schemas.backing.kafka import fatal
from schemas.errors import Overloaded, Refused
from schemas.logs import logger
from schemas.ports import Done, Publisher, Stored
from schemas.reasons import Reason
from schemas.wire.raw import Header

BUSY_POLL_S = 0.001
IDLE_POLL_S = 1.0
_DRAIN_STEP_S = 0.005
_ASK_S = 2.0
_MS = 1000
_Headers = list[tuple[str, str | bytes | None]]
_Place = tuple[str, int, bool]
"""Topic, partition, whether of large records."""
_log = logger("ingress")


class DoorPublisher(Publisher, Protocol):
    """A publisher that a worker can start, watch and end. Implemented by KafkaPublisher and tests.fakes."""

    failed: asyncio.Event

    def start(self) -> None:
        """Begin on the running loop."""

    def problem(self) -> str | None:
        """Say why nothing can be stored now; None when all is well."""

    def clock_skew_s(self) -> float | None:
        """Return our wall clock less the broker's, as of the newest report; None before the first."""

    async def drain(self, limit_s: float) -> int:
        """Wait for what is outstanding, at most `limit_s`; return how many records were left unknown."""


class KafkaPublisher:
    """Implements DoorPublisher on Kafka; make and use it on one event loop.

    `config` as made by `producer_config`. After `ack_budget_s` without a report a record counts as "maybe stored":
    the caller answers 503 and the sender's retry is a duplicate (rule 1). A partition whose oldest record is older than
    the budget takes no more until a report comes, so the producer's queue stays short while Kafka is slow.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        ack_budget_s: float,
        now_ns: Callable[[], int],
        retry_after: Callable[[], int] = spread,
    ) -> None:
        self.failed = asyncio.Event()
        self._producers = Producers({**config, "error_cb": self._on_error})
        self._budget = ack_budget_s
        self._now_ns = now_ns
        self._retry_after = retry_after
        self._lanes: dict[_Place, Lane] = {}
        self._waiting: deque[Sent] = deque()
        self._outstanding = 0
        self._sequence = 0
        self._away: str | None = "no broker has answered yet"
        self._asking = False
        self._skew_s: float | None = None
        self._skew_read = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._busy = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin polling on the running loop; asks for metadata, so readiness does not wait for a delivery."""
        self._loop = asyncio.get_running_loop()
        self._tick()

    def problem(self) -> str | None:
        """Say why nothing can be stored now; None when all is well."""
        return "the producer has failed for good" if self.failed.is_set() else self._away

    def clock_skew_s(self) -> float | None:
        """Return our wall clock less the broker's, read from a delivery report at most once a second."""
        return self._skew_s

    async def publish(
        self, topic: str, partition: int, key: bytes, value: bytes | bytearray, headers: list[Header]
    ) -> Stored:
        """Return after acks=all with an offset >= 0; raise `Overloaded(broker_slow|broker_away)` otherwise."""
        future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()

        def done(result: Stored | Exception) -> None:
            if future.done():
                return
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

        self.send(topic, partition, key, value, headers, done)
        return await future

    def send(
        self, topic: str, partition: int, key: bytes, value: bytes | bytearray, headers: list[Header], done: Done
    ) -> None:
        """Publish and call `done` once with where it was stored, or with what `publish` would raise.

        Raises `Overloaded` or `Refused` when it cannot even be tried; `done` is not called then.
        """
        loop = self._loop or asyncio.get_running_loop()
        now = loop.time()
        place = topic, partition, len(value) > LARGE_BYTES
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = Lane(topic, partition, large=place[2])
        elif lane.age_s(now) > self._budget:
            raise Overloaded(Reason.BROKER_SLOW, self._retry_after())
        self._sequence += 1
        sent = Sent(self._sequence, now + self._budget, key, value, headers, done)
        if lane.held or not lane.takes(now):
            lane.held.append(sent)
        else:
            try:
                self._give(lane, sent, now)
            finally:
                self._forget(lane)
        self._waiting.append(sent)
        if not self._busy:
            self._schedule()

    def _give(self, lane: Lane, sent: Sent, now: float) -> None:
        """Hand a record to the client; raise `Overloaded` or `Refused` when it does not take it."""

        def reported(error: KafkaError | None, message: Message) -> None:
            self._outstanding -= 1
            lane.given.pop(sent.sequence, None)
            sent.settle(self._result(error, message))
            self._go_on(lane)

        value, sent.value = sent.value, b""
        try:
            self._producers.of(len(value)).produce(
                lane.topic,
                bytes(value),
                sent.key,
                lane.partition,
                on_delivery=reported,
                headers=cast("_Headers", sent.headers),
            )
        except BufferError:
            raise Overloaded(Reason.BROKER_SLOW, self._retry_after()) from None
        except KafkaException as exc:
            raise self._meaning(exc.args[0]) from None
        lane.given[sent.sequence] = now
        self._outstanding += 1

    def _go_on(self, lane: Lane) -> None:
        """Hand over what waited for a report, as far as it may go."""
        held = lane.held
        if held:
            now = (self._loop or asyncio.get_running_loop()).time()
            goes = lane.takes(now)
            while held and goes:
                sent = held.popleft()
                if sent.done is None:  # told that it is late: its sender comes again
                    continue
                try:
                    self._give(lane, sent, now)
                except Exception as exc:  # noqa: BLE001 its own answer: who calls this is the client, for another one
                    sent.settle(exc)
                goes = not lane.large or lane.takes(now)  # small ones are one batch
        self._forget(lane)

    def _forget(self, lane: Lane) -> None:
        """Let go of a lane with nothing in it."""
        if not lane.given and not lane.held:
            place = lane.topic, lane.partition, lane.large
            if self._lanes.get(place) is lane:
                del self._lanes[place]

    async def drain(self, limit_s: float) -> int:
        """Wait for what is outstanding, at most `limit_s`; stop polling; return how many records stay unknown."""
        loop = asyncio.get_running_loop()
        end = loop.time() + limit_s
        while len(self._producers) and loop.time() < end:
            self._poll()
            await asyncio.sleep(_DRAIN_STEP_S)
        if self._timer is not None:
            self._timer.cancel()
        left = len(self._producers) + self._give_up_held()
        if left:
            self._producers.purge()
            self._poll()
        return left

    def _give_up_held(self) -> int:
        """Tell those that wait that it is over; return how many."""
        held = [sent for lane in self._lanes.values() for sent in lane.held if sent.done is not None]
        for sent in held:
            sent.settle(Overloaded(Reason.BROKER_SLOW, self._retry_after()))
        return len(held)

    def _result(self, error: KafkaError | None, message: Message) -> Stored | Exception:
        if error is not None:
            return self._meaning(error)
        self._away = None
        offset, partition = message.offset(), message.partition()
        self._read_clock(message)
        if offset is None or partition is None or offset < 0:
            return Overloaded(Reason.BROKER_SLOW, self._retry_after())
        return Stored(partition, offset)

    def _read_clock(self, message: Message) -> None:
        now = self._loop.time() if self._loop else 0.0
        if now - self._skew_read >= 1.0 or self._skew_s is None:
            self._skew_read = now
            _, broker_ms = message.timestamp()
            self._skew_s = self._now_ns() / 1e9 - broker_ms / _MS

    def _meaning(self, error: KafkaError) -> Overloaded | Refused:
        if fatal(error):
            self.failed.set()
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            return Refused(Reason.BODY_TOO_LARGE, "body and headers together exceed the topic's record limit")
        _log.warning("record_not_stored", error=error.name())
        slow = error.code() in {KafkaError._MSG_TIMED_OUT, KafkaError.REQUEST_TIMED_OUT}  # noqa: SLF001 a constant
        return Overloaded(Reason.BROKER_SLOW if slow else Reason.BROKER_AWAY, self._retry_after())

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 a constant of the client
            self._away = "no broker can be reached"
        if fatal(error):
            self.failed.set()
        _log.warning("kafka_error", error=error.name())

    def _ask_broker(self) -> None:
        """Ask for metadata, in a thread, bounded: a worker that is not ready gets no delivery that could heal it."""
        try:
            self._producers.ask(topics.PRESSURE, _ASK_S)
        except KafkaException as exc:
            self._away = f"no broker answers: {exc.args[0].name()}"
        else:
            self._away = None
        finally:
            self._asking = False

    def _poll(self) -> None:
        """Serve what has come. A dead client is told by `poll` itself: its error callback is not called then."""
        for fault in self._producers.poll():
            self._on_error(fault)

    def _tick(self) -> None:
        self._poll()
        if self._waiting:
            self._expire()
        if self._away is not None and not self._asking and self._loop is not None:
            self._asking = True
            self._loop.run_in_executor(None, self._ask_broker)
        self._schedule()

    def _expire(self) -> None:
        now = self._loop.time() if self._loop else 0.0
        while self._waiting:
            sent = self._waiting[0]
            if sent.done is not None:
                if sent.deadline > now:
                    return
                sent.settle(Overloaded(Reason.BROKER_SLOW, self._retry_after()))
            self._waiting.popleft()

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._busy = self._outstanding > 0
        if self._loop is not None:
            self._timer = self._loop.call_later(BUSY_POLL_S if self._busy else IDLE_POLL_S, self._tick)
