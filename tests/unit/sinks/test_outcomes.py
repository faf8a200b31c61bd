"""Whatever call fails, whatever dies: every row once, nothing deleted that a snapshot holds (rules 17, 18, 20, 21)."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException, ServiceUnavailableError
from pyiceberg.table import Table
from sqlalchemy.exc import OperationalError

from schemas.definitions.stream import State
from sinks.table import manifests, snapshot
from tests.unit.sinks.ground import GATE, NAME, STREAM, TOPIC, Ground

REPOSITORY = Path(__file__).parents[3]
ERRORS: list[Callable[[], Exception]] = [
    lambda: requests.exceptions.ConnectionError("connection reset"),
    lambda: requests.exceptions.ReadTimeout("no answer"),
    lambda: CommitStateUnknownException("502"),
    lambda: ServiceUnavailableError("503"),
    lambda: OperationalError("COMMIT", {}, Exception("server closed the connection")),
    lambda: CommitFailedException("conflict, or a retry that met its own commit"),
    lambda: KeyError("a bug"),
]


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expire and fold after two commits instead of forty and fifty."""
    monkeypatch.setattr(snapshot, "EXPIRE_AT", 2)
    monkeypatch.setattr(snapshot, "KEEP_SNAPSHOTS", 1)
    monkeypatch.setattr(manifests, "FOLD_AT", 2)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_every_row_once_wherever_the_writer_is_killed(tmp_path: Path, mode: str) -> None:
    """The table is made, a commit adds a column or hides rows, one expires and folds; killed before every call."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.sinks.kills", str(tmp_path), mode],
        cwd=REPOSITORY, check=True, capture_output=True, timeout=570,
    )  # fmt: skip
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["faults"] == [], done.stderr.decode()[-2000:]
    assert told["kills"] > 45


@pytest.mark.usefixtures("early")
def test_every_row_once_whichever_call_raises(tmp_path: Path) -> None:
    """Before and after each call, another kind of error at each: the same writer goes on by itself."""
    at, last = 0, False
    while not last:
        at += 1
        GATE.clear()
        ground = Ground(tmp_path / str(at))
        ground.log.make(TOPIC)
        ground.log.events(0, 5)
        ground.log.events(5, 10, x=1)
        error = ERRORS[at % len(ERRORS)]

        def act(error: Callable[[], Exception] = error) -> None:
            raise error()

        GATE.at, GATE.act = at, act
        ground.run()
        last = len(GATE.calls) < at
        where = "nowhere" if last else GATE.calls[at - 1]
        assert ground.numbers() == list(range(15)), f"call {at} ({where})"
        ground.close()
    assert at > 60
    GATE.clear()


def fail(ground: Ground, when: str, errors: list[Exception]) -> list[int]:
    """Let the next commits fail `before` they reach the catalog's table or `after`; returns what counts them."""
    real, hits = ground.catalog.commit_table, [0]

    def commit_table(*args: Any) -> Any:
        if not errors:
            return real(*args)
        hits[0] += 1
        if when == "after":
            real(*args)
        raise errors.pop(0)

    ground.catalog.commit_table = commit_table  # type: ignore[method-assign]
    return hits


def two_batches(ground: Ground) -> None:
    ground.log.make(TOPIC)
    ground.log.events(0, 5)
    ground.run()
    ground.log.events(5, 5)


def test_deletes_the_manifests_of_refused_tries(ground: Ground) -> None:
    two_batches(ground)
    assert fail(ground, "before", [CommitFailedException("conflict") for _ in range(3)]) == [0]
    ground.run()
    assert ground.numbers() == list(range(10))
    assert ground.unreferenced() == set()


def test_keeps_everything_of_a_commit_that_was_refused_and_yet_landed(ground: Ground) -> None:
    two_batches(ground)
    fail(ground, "after", [CommitFailedException("a retry met its own commit")])
    ground.run()
    assert ground.numbers() == list(range(10))
    assert ground.unreferenced() == set()


def test_leaves_the_files_of_an_unknown_outcome(ground: Ground) -> None:
    two_batches(ground)
    before = len(list(ground.folder.rglob("*.parquet")))
    hits = fail(ground, "before", [OSError("connection reset") for _ in range(8)])
    ground.run()
    assert hits == [8]
    assert ground.numbers() == list(range(10))
    assert len(list(ground.folder.rglob("*.parquet"))) == before + 2  # given up once, then written again
    assert len([name for name in ground.unreferenced() if name.endswith(".parquet")]) == 1


def other(ground: Ground, end: int) -> None:
    """Let another writer of the same stream, with its own catalog client, write up to `end`."""
    second = Ground(ground.folder)
    second.log = ground.log
    second.run(until=lambda: end <= len(second.numbers()))
    second.close()


def test_a_fenced_writer_leaves_the_files_of_a_try_whose_answer_was_lost(ground: Ground) -> None:
    two_batches(ground)
    real, lost = ground.catalog.commit_table, [False]

    def commit_table(*args: Any) -> Any:
        if lost[0]:
            return real(*args)
        lost[0] = True
        other(ground, 10)
        raise OSError("connection reset")

    ground.catalog.commit_table = commit_table  # type: ignore[method-assign]
    ground.run()
    assert ground.numbers() == list(range(10))
    assert len([name for name in ground.unreferenced() if name.endswith(".parquet")]) == 1


@pytest.mark.parametrize("moment", ["data files written", "the catalog is asked"])
def test_a_fenced_writer_leaves_no_files(ground: Ground, moment: str) -> None:
    two_batches(ground)
    real, raced = ground.catalog.commit_table, [False]

    def commit_table(*args: Any) -> Any:
        if not raced[0]:
            raced[0] = True
            other(ground, 10)
            ground.log.events(10, 5)
        return real(*args)

    if moment == "the catalog is asked":
        ground.catalog.commit_table = commit_table  # type: ignore[method-assign]
    else:
        GATE.clear()
        GATE.act = lambda: other(ground, 10)
        run = Ground(ground.folder)  # counts the calls of a tail up to its first data file
        run.close()
        GATE.at = 1 + next_parquet(ground)
    ground.run()
    assert ground.numbers() == list(range(len(ground.log.topics[TOPIC][1][0])))
    assert ground.unreferenced() == set()


def next_parquet(ground: Ground) -> int:
    """Return how many calls a tail makes before it creates a data file: those that load the table."""
    GATE.clear()
    ground.catalog.load_table(NAME)
    calls = len(GATE.calls)
    act = GATE.act
    GATE.clear()
    GATE.act = act
    return calls


def test_a_stopped_writer_leaves_no_files(ground: Ground) -> None:
    two_batches(ground)
    GATE.clear()
    stopped: list[str] = []

    def stop() -> None:
        assert ground.tail is not None
        ground.tail.stop()
        stopped.append(GATE.calls[-1])

    GATE.act, GATE.at = stop, next_parquet(ground) + 1
    ground.run()
    assert stopped
    assert stopped[0].endswith(".parquet")
    assert ground.numbers() == list(range(5))
    assert ground.unreferenced() == set()
    ground.run()
    assert ground.numbers() == list(range(10))


def test_a_stop_during_the_commit_lets_it_land(ground: Ground) -> None:
    two_batches(ground)
    real = ground.catalog.commit_table

    def commit_table(*args: Any) -> Any:
        assert ground.tail is not None
        ground.tail.stop()
        return real(*args)

    ground.catalog.commit_table = commit_table  # type: ignore[method-assign]
    ground.run()
    assert ground.numbers() == list(range(10))
    assert ground.unreferenced() == set()


def test_a_writer_stopped_after_a_refusal_leaves_no_files(ground: Ground) -> None:
    """Frozen in a commit until its session was over: it hears the refusal and is told to stop at once."""
    two_batches(ground)

    def commit_table(*_args: Any) -> Any:
        assert ground.tail is not None
        ground.tail.stop()
        raise CommitFailedException("somebody was faster")

    ground.catalog.commit_table = commit_table  # type: ignore[method-assign]
    ground.run()
    assert ground.numbers() == list(range(5))
    assert ground.unreferenced() == set()


def test_a_full_disk_loses_nothing_and_leaves_nothing(ground: Ground) -> None:
    """Storage refuses every byte for ten minutes, data and metadata alike; then there is room again."""
    two_batches(ground)
    started = ground.clock.monotonic()
    states = set()

    def look() -> bool:
        assert ground.tail is not None
        states.add(ground.tail.status().state)
        if ground.clock.monotonic() - started > 600:
            GATE.full = False
        return GATE.full is False and ground.drained()

    GATE.full = True
    ground.tail = None
    real = ground.catalog.load_table

    def load_table(identifier: Any) -> Any:
        look()
        return real(identifier)

    ground.catalog.load_table = load_table  # type: ignore[method-assign]
    ground.run(until=look)
    assert State.FAILED in states
    assert ground.numbers() == list(range(10))
    assert ground.unreferenced() == set()


def test_a_disk_that_is_full_for_metadata_only_leaves_nothing(ground: Ground) -> None:
    two_batches(ground)
    write, left = ground.catalog._write_metadata, [9]

    def full(*args: Any, **kwargs: Any) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(28, "No space left on device")
        write(*args, **kwargs)

    ground.catalog._write_metadata = full  # type: ignore[method-assign]
    ground.run()
    assert ground.numbers() == list(range(10))
    assert ground.unreferenced() == set()


def test_a_catalog_that_is_away_for_an_hour_is_asked_seldom(ground: Ground) -> None:
    two_batches(ground)
    ground.most_s = 3600
    asked: list[float] = []

    def load_table(identifier: Any) -> Any:  # noqa: ARG001 the catalog's
        asked.append(ground.clock.monotonic())
        raise requests.exceptions.ConnectionError("away")

    real, ground.catalog.load_table = ground.catalog.load_table, load_table  # type: ignore[method-assign]
    tail = ground.run()
    assert tail.status().reason == "writer_failed"
    assert 3600 / 5.1 < len(asked) < 3600 / 2.4  # 5 s apart at most, half of it at least
    ground.catalog.load_table = real  # type: ignore[method-assign]
    ground.run()
    assert ground.numbers() == list(range(10))


def test_the_table_is_made_once_however_the_answer_got_lost(ground: Ground) -> None:
    ground.log.make(TOPIC)
    ground.log.events(0, 5)
    real = ground.catalog.create_table

    def create_table(*args: Any, **kwargs: Any) -> Table:
        real(*args, **kwargs)
        raise requests.exceptions.ReadTimeout("the answer was lost")

    ground.catalog.create_table = create_table  # type: ignore[method-assign]
    ground.run(until=lambda: True, start_from="latest")
    assert ground.table().properties[f"hookberg.start.{STREAM}"] == '{"TOPICID1":{"0":5}}'
    ground.log.events(5, 5)
    ground.run(start_from="latest")
    assert ground.numbers() == [5, 6, 7, 8, 9]
