"""When a worker is ended for standing still, and when it is not (streams/engine: stall, pulse, watch)."""

import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from streams.engine import pulse as beating
from streams.engine import watch as watching
from streams.engine.directory import Directory as Kafka
from streams.engine.pulse import Pulse
from streams.engine.stall import ALONE, Stall
from streams.engine.table import Stand
from streams.engine.watch import _EARLIEST, Watch
from tests.house.polling import free_port
from tests.unit.streams.made import TOPIC_ID
from tests.unit.streams.test_ingest import TOPIC

TOP = Path(__file__).resolve().parents[3]
TIMER = ("dump_traceback_later", "cancel_dump_traceback_later")
A, B = (TOPIC_ID, 0), (TOPIC_ID, 1)


def test_records_that_wait_while_nothing_moves_are_a_standstill() -> None:
    stall = Stall(10)
    found = [stall.look(3, {A: 5, B: 7}, {A: 6, B: 7}) for _ in range(6)]
    assert found == [[], [], [], [], [A], [A]]


def test_a_stage_that_has_nothing_to_do_does_not_stand_still() -> None:
    stall = Stall(10)
    assert [stall.look(100, {A: 5}, {A: 5}) for _ in range(5)] == [[]] * 5
    assert [stall.look(100, {A: 5}, {}) for _ in range(5)] == [[]] * 5
    assert stall.look(9, {A: 5}, {A: 9}) == []


def test_progress_anywhere_gives_the_others_more_time() -> None:
    stall = Stall(10)
    found = [stall.look(5, {A: 5, B: number}, {A: 6, B: 999}) for number in range(2 * ALONE + 3)]
    assert found[: 2 * ALONE + 1] == [[]] * (2 * ALONE + 1)
    assert found[-1] == [A]


def test_a_partition_that_moves_begins_anew() -> None:
    stall = Stall(10)
    for at in range(50):
        assert stall.look(6, {A: at}, {A: 999}) == []


class EndedError(Exception):
    """The process would have ended."""


class Directory:
    def __init__(self, ends: int, first: int = 0, *, away: bool = False) -> None:
        self.ends, self.first, self.away = ends, first, away

    def offsets(self, partitions: Mapping[tuple[str, int], Any], spec: Any) -> dict[Any, int]:
        if self.away:
            return {}
        return dict.fromkeys(partitions.values(), self.first if spec is _EARLIEST else self.ends)


def watch(directory: Directory, *, held: frozenset[str] = frozenset()) -> Watch:
    def end(why: str, _cause: BaseException | None) -> NoReturn:
        raise EndedError(why)

    app: Any = SimpleNamespace(
        stall_s=10.0, end=end, live={str(TOPIC.name): TOPIC}, batch_consumer=SimpleNamespace(held=held),
        table=SimpleNamespace(stands={A: Stand(3, 0)}), directory=directory,
    )  # fmt: skip
    return Watch(app)


async def test_ends_the_process_that_stands_still_while_records_wait() -> None:
    made = watch(Directory(ends=5))
    await made._look(4)
    await made._look(4)
    await made._look(4)
    with pytest.raises(EndedError, match=r"no progress .*acme.webhook.shop:0': 2"):
        await made._look(4)


@pytest.mark.parametrize(
    ("directory", "held"),
    [(Directory(ends=5), frozenset({str(TOPIC.name)})), (Directory(ends=5, first=5), frozenset()),
     (Directory(ends=0), frozenset())],
    ids=["paused", "all of it has expired", "idle"],
)  # fmt: skip
async def test_a_topic_that_cannot_move_ends_nothing(directory: Directory, held: frozenset[str]) -> None:
    made = watch(directory, held=held)
    for _ in range(3 * ALONE):
        await made._look(9)


async def test_a_record_that_comes_after_all_others_have_expired_gets_time_of_its_own() -> None:
    directory = Directory(ends=5, first=5)
    made = watch(directory)
    for _ in range(4):
        await made._look(4)
    directory.ends = 6
    for _ in range(3):
        await made._look(4)
    with pytest.raises(EndedError, match="': 1"):
        await made._look(4)


async def test_while_kafka_is_away_no_time_counts() -> None:
    directory = Directory(ends=5)
    made = watch(directory)
    await made._look(9)
    directory.away = True
    for _ in range(3 * ALONE):
        await made._look(9)
    directory.away = False
    await made._look(9)


def test_a_blocked_event_loop_is_ended_from_a_thread() -> None:
    ended, why = threading.Event(), list[str]()

    def end(reason: str, _cause: BaseException | None) -> Any:
        why.append(reason)
        ended.set()

    times = iter([0.0, 0.0, 99.0])
    pulse = Pulse(100.0, end, clock=lambda: next(times, 900.0))
    pulse.start()
    assert ended.wait(40)
    pulse.stop()
    assert why[0] == "the event loop has been blocked for 900 s"


def test_a_pulse_that_is_stopped_ends_nothing_later(monkeypatch: pytest.MonkeyPatch) -> None:
    did = list[str]()
    timer = {name: lambda *_, name=name, **__: did.append(name) for name in TIMER}
    monkeypatch.setattr(beating, "faulthandler", SimpleNamespace(**timer))
    pulse = Pulse(100.0, print)  # type: ignore[arg-type]
    pulse.start()
    pulse.stop()
    pulse._thread.join(60)
    assert (did, pulse._thread.is_alive()) == ([*TIMER], False)


def test_a_call_that_keeps_the_interpreter_lock_is_ended_too() -> None:
    code = """
import re
from streams.engine import pulse as beating
from streams.engine import watch as watching
from streams.engine.directory import Directory as Kafka
from streams.engine.pulse import Pulse
Pulse(1.0, print).start()
re.match(r"(a+)+$", "a" * 64 + "b")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, check=False, capture_output=True, timeout=120)
    assert done.returncode == 1
    assert b"most recent call first" in done.stderr


class Thread:
    """The consumer thread of a group whose coordinator raises `fault`, which aiokafka tells nobody."""

    def __init__(self, fault: Exception | None) -> None:
        self.fault = fault
        self._consumer = SimpleNamespace(_coordinator=self)

    def check_errors(self) -> None:
        if self.fault is not None:
            raise self.fault

    async def call_thread(self, fun: Callable[[], Awaitable[None]]) -> None:
        await fun()


async def test_a_group_that_stays_broken_ends_the_process_and_one_error_does_not() -> None:
    made, errors = watch(Directory(ends=0)), 0
    thread = Thread(RuntimeError("not authorized"))
    made.app.batch_consumer._thread = thread  # type: ignore[assignment]
    for _ in range(9):
        errors = await made._group_errors(errors)
    thread.fault = None
    assert await made._group_errors(errors) == 0
    thread.fault = RuntimeError("not authorized")
    with pytest.raises(EndedError, match="stays broken"):
        await made._group_errors(errors)


def test_a_kafka_that_cannot_be_reached_tells_no_offsets_and_raises_nothing() -> None:
    nowhere = {"bootstrap.servers": f"127.0.0.1:{free_port()}", "socket.timeout.ms": 1000}
    nowhere |= {"log_level": 0}
    assert Kafka(nowhere).offsets({("t", 0): A}, _EARLIEST, 1.0) == {}


def rounds(made: Watch, count: int) -> None:
    """Let the tasks of the watch go round so many times without waiting."""
    left = count

    async def sleep(_seconds: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            made._stopped.set()

    made.sleep = sleep  # type: ignore[assignment, method-assign]


@pytest.mark.parametrize(
    ("committing", "busy", "ended"), [(True, False, False), (False, True, False), (False, False, True)],
    ids=["a commit runs", "a trial runs", "neither"],
)  # fmt: skip
async def test_what_the_stage_cannot_help_is_no_standstill(*, committing: bool, busy: bool, ended: bool) -> None:
    made = watch(Directory(ends=5))
    made.app.transactions = SimpleNamespace(committing=committing)  # type: ignore[assignment]
    made.app.busy = lambda: busy
    rounds(made, 3 * ALONE * 4)
    if not ended:
        await Watch._stalled.fun(made)
        return
    with pytest.raises(EndedError, match="no progress"):
        await Watch._stalled.fun(made)


@pytest.mark.parametrize("reason", ["", "frozen for 7 s", "the parent process is gone"])
async def test_a_frozen_process_and_one_without_its_parent_are_ended(
    monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    made, beats = watch(Directory(ends=0)), list[int]()
    step = 7.0 if reason.startswith("frozen") else 6.0
    times = iter(number * step for number in range(100))
    monkeypatch.setattr(watching, "time", SimpleNamespace(monotonic=lambda: next(times)))
    made.app.conf = SimpleNamespace(broker_session_timeout=6.0)  # type: ignore[assignment]
    made.app.batch_consumer._thread = Thread(None)  # type: ignore[assignment]
    made._pulse = SimpleNamespace(beat=lambda: beats.append(1))  # type: ignore[assignment]
    if reason.startswith("the parent"):
        made._parent = -1
    rounds(made, 5)
    if reason:
        with pytest.raises(EndedError, match=reason):
            await Watch._watch.fun(made)
    else:
        await Watch._watch.fun(made)
        assert len(beats) >= 5
