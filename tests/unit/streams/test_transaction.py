"""What ends a worker and what is written then: nothing (rules 6, 7 and 10); a producer stands in for Kafka's."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams import seen
from streams.emit import Record
from streams.engine.producer import producer_config
from streams.engine.table import FirstSeenTable, Stand
from streams.engine.transaction import Transactions
from tests.unit.streams.made import TOPIC_ID
from tests.unit.streams.test_table import EVENT, state

RAW = (TOPIC_ID, 0)
KEY = seen.key("s", EVENT)


class EndedError(Exception):
    """The process would have ended here."""


def end(why: str, _cause: BaseException | None) -> NoReturn:
    raise EndedError(why)


def error(code: int, *, retriable: bool = False) -> KafkaException:
    return KafkaException(KafkaError(code, "made up", False, retriable))


class Producer:
    """Delivers at once; `fail` is called before each call and may raise."""

    def __init__(self, _config: dict[str, Any]) -> None:
        self.calls: list[str] = []
        self.records: list[tuple[str, bytes | None]] = []
        self.buried: list[bytes] = []
        self.offsets = 0
        self.open = False
        self.undelivered: KafkaError | None = None
        self.fail: Callable[[str], None] = lambda _call: None

    def call(self, name: str) -> None:
        self.calls.append(name)
        self.fail(name)

    def init_transactions(self, _timeout: float) -> None:
        self.call("init")

    def begin_transaction(self) -> None:
        assert not self.open, "a transaction begins while another is open"
        self.call("begin")
        self.open = True

    def commit_transaction(self, _timeout: float) -> None:
        self.call("commit")
        self.open = False

    def poll(self, _timeout: float) -> int:
        return 0

    def produce(self, topic: str, value: bytes | None, key: bytes, partition: int, on_delivery: Any = None) -> None:
        assert self.open, "a record outside any transaction"
        self.call("produce")
        self.records.append((topic, key))
        if value is None:
            self.buried.append(key)
        self.offsets += 1
        if on_delivery is not None:
            at = self.offsets

            class Message:
                def partition(self) -> int:
                    return partition

                def offset(self) -> int:
                    return at

            on_delivery(self.undelivered, Message())


@pytest.fixture
def table(tmp_path: Path) -> FirstSeenTable:
    made = FirstSeenTable("seen", tmp_path)
    made.open()
    return made


def transactions(table: FirstSeenTable, **more: Any) -> tuple[Transactions, Producer]:
    given: dict[str, Any] = {
        "interval_s": 0.1,
        "max_records": 10,
        "timeout_s": 10.0,
        "on_commit": lambda _took, _writes: None,
        "producer": Producer,
    } | more
    made = Transactions({}, "g", "changelog", table, end=end, **given)
    made.fence()
    made.start()
    producer: Any = made._producer
    return made, producer


def add(made: Transactions, offset: int) -> None:
    made.add(RAW, Stand(offset + 1, 1), {KEY: state(1).pack()}, [Record("clean", 0, b"k", b"v")])


async def test_a_transaction_holds_outputs_states_ledger_positions_and_marks(table: FirstSeenTable) -> None:
    made, producer = transactions(table)
    before, written = len(producer.records), producer.calls.count("commit")
    add(made, 4)
    made.at_close(lambda: [Record("ledger", 0, b"k", b"v")])
    assert table.stands == {}
    await made.commit()
    topics = [topic for topic, _ in producer.records[before:]]
    assert topics == ["clean", "changelog", "ledger", "changelog", *["changelog"] * 4]
    assert producer.calls.count("commit") == written + 1
    assert table.stands == {RAW: Stand(5, 1)}
    assert sorted(table.marks(4)) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ("begin", error(KafkaError._FENCED)),
        ("produce", error(KafkaError._FATAL)),
        ("produce", BufferError("the queue is full")),
        ("commit", error(KafkaError._FENCED)),
        ("commit", error(KafkaError._FATAL)),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
async def test_any_error_ends_the_process_with_nothing_written(
    table: FirstSeenTable, step: str, fault: Exception
) -> None:
    made, producer = transactions(table)

    def fail(call: str) -> None:
        if call == step:
            raise fault

    producer.fail = fail

    async def decide() -> None:
        add(made, 4)
        await made.commit()

    with pytest.raises(EndedError):
        await decide()
    assert table.stands == {}
    assert table.many([KEY]) == [None]


async def test_a_commit_that_only_timed_out_is_asked_again(table: FirstSeenTable) -> None:
    made, producer = transactions(table)
    left = 2

    def fail(call: str) -> None:
        nonlocal left
        if call == "commit" and left:
            left -= 1
            raise error(KafkaError._TIMED_OUT, retriable=True)

    producer.fail = fail
    add(made, 4)
    await made.commit()
    assert table.stands == {RAW: Stand(5, 1)}


async def test_a_commit_that_never_answers_ends_the_process(table: FirstSeenTable) -> None:
    seconds = iter(range(0, 10_000, 30))
    made, producer = transactions(table, monotonic=lambda: float(next(seconds)))

    def fail(call: str) -> None:
        if call == "commit":
            raise error(KafkaError._TIMED_OUT, retriable=True)

    producer.fail = fail
    add(made, 4)
    with pytest.raises(EndedError):
        await made.commit()
    assert table.many([KEY]) == [None]


async def test_the_disk_is_written_after_the_commit_and_not_before(table: FirstSeenTable) -> None:
    made, producer = transactions(table)
    found: list[bytes | None] = []

    def look(call: str) -> None:
        if call == "commit":
            found.extend(table.many([KEY]))

    producer.fail = look
    add(made, 4)
    await made.commit()
    assert found == [None]
    assert table.many([KEY]) == [state(1).pack()]


async def test_a_second_transaction_does_not_begin_before_the_first_is_committed(table: FirstSeenTable) -> None:
    made, producer = transactions(table)
    add(made, 4)

    def meanwhile(call: str) -> None:
        if call == "commit" and not made._now.held:
            producer.fail = lambda _call: None
            add(made, 5)

    producer.fail = meanwhile
    await made.commit()
    assert made._begun
    await made.commit()
    order = [call for call in producer.calls if call != "produce"]
    assert order == ["init", "begin", "commit", "begin", "commit", "begin", "commit"]
    assert table.stands == {RAW: Stand(6, 1)}


def test_the_producer_is_idempotent_waits_for_all_and_is_fenced_by_the_groups_name() -> None:
    config = producer_config({}, "7", 10.0)
    assert (config["transactional.id"], config["acks"]) == ("hookberg-7", "all")
    assert config["message.timeout.ms"] <= config["transaction.timeout.ms"] == 10_000


async def test_a_commit_whose_marks_were_not_delivered_ends_the_process(table: FirstSeenTable) -> None:
    made, producer = transactions(table)
    producer.undelivered = KafkaError(KafkaError._MSG_TIMED_OUT)
    add(made, 4)
    with pytest.raises(EndedError):
        await made.commit()
    assert table.many([KEY]) == [None]


async def test_while_a_commit_runs_look_ups_see_what_it_writes_and_who_waits_for_it_waits(
    table: FirstSeenTable,
) -> None:
    made, producer = transactions(table)
    running, go = threading.Event(), threading.Event()

    def hold(call: str) -> None:
        if call == "commit":
            running.set()
            assert go.wait(60)

    producer.fail = hold
    add(made, 4)
    first = asyncio.create_task(made.commit())
    assert await asyncio.to_thread(running.wait, 60)
    try:
        assert (table.read(()).look(KEY), table.stand(RAW), table.stands) == (state(1), Stand(5, 1), {})
        add(made, 5)
        assert (table.stand(RAW), table.stands) == (Stand(6, 1), {})
        second = asyncio.create_task(made.commit())  # as before partitions go: nothing may be on its way then
        for _ in range(10):
            await asyncio.sleep(0)
        assert not second.done()
    finally:
        go.set()
    await first
    await second
    assert table.open_writes == (made._now.writes,)
    assert table.stands == {RAW: Stand(6, 1)}
    assert [topic for topic, _ in producer.records].count("clean") == 2, "what was held meanwhile is sent"


async def test_a_disk_that_cannot_be_written_after_a_commit_ends_the_process(
    table: FirstSeenTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError("no space left")

    made, _ = transactions(table)
    monkeypatch.setattr(table, "apply", full)
    add(made, 4)
    with pytest.raises(EndedError):
        await made.commit()
    assert table.stands == {}


async def test_a_full_transaction_takes_no_more_and_is_committed_before_its_interval_is_over(
    table: FirstSeenTable,
) -> None:
    committed = asyncio.Event()
    made, _ = transactions(table, interval_s=3_600.0, on_commit=lambda _took, _writes: committed.set())
    for offset in range(4, 9):
        assert made.left > 0
        add(made, offset)
    assert made.left <= 0
    room = asyncio.create_task(made.room())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not room.done()
    made._wake.clear()
    room.cancel()
    add(made, 9)
    rhythm = asyncio.create_task(made.run())
    await asyncio.wait_for(committed.wait(), 60)
    await asyncio.wait_for(made.room(), 60)
    rhythm.cancel()
    assert (table.stands, made.fresh) == ({RAW: Stand(10, 1)}, True)


async def test_an_interval_without_records_commits_nothing(table: FirstSeenTable) -> None:
    made, producer = transactions(table)
    before = list(producer.calls)
    await made.commit()
    assert producer.calls == before


async def test_what_expired_is_removed_by_a_tombstone_of_the_transaction(table: FirstSeenTable) -> None:
    made, producer = transactions(table)
    add(made, 4)
    await made.commit()
    before = len(producer.records)
    made.add(RAW, Stand(6, 1), {}, [])
    made.remove([KEY])
    assert producer.records[before:] == [("changelog", KEY)]
    assert (table.read(()).look(KEY), table.many([KEY])) == (None, [state(1).pack()])
    await made.commit()
    assert table.many([KEY]) == [None]


def test_fencing_is_asked_again_while_it_only_times_out_and_not_for_ever(table: FirstSeenTable) -> None:
    made, producer = transactions(table)
    left = [error(KafkaError._TIMED_OUT, retriable=True)] * 2

    def fail(call: str) -> None:
        if call == "init" and left:
            raise left.pop()

    producer.fail = fail
    assert sorted(made.fence()) == [0, 1, 2, 3]
    left = [error(KafkaError._TIMED_OUT, retriable=True)] * 1_000
    seconds = iter(range(0, 100_000, 30))
    made._monotonic = lambda: float(next(seconds))
    with pytest.raises(EndedError):
        made.fence()
    assert len(left) > 900


def test_a_whole_state_is_written_in_transactions_of_bounded_size_and_marked(table: FirstSeenTable) -> None:
    made, producer = transactions(table)
    before = len(producer.calls)
    marks = made.republish((b"k%d" % number, b"v") for number in range(25))
    calls = producer.calls[before:]
    sizes = [part.count("produce,") for part in ",".join([*calls, ""]).split("commit,")]
    assert sizes == [10, 10, 5, 4, 0]
    assert marks == {0: 30, 1: 31, 2: 32, 3: 33}  # behind the first marks and all of the state
