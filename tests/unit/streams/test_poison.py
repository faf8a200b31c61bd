"""Rule 13: the count of starts, what was in hand, and a child that may die of a record."""

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.definitions.view import SecretView
from schemas.errors import Transient
from schemas.wire.position import Position
from streams import trial as trying
from streams.hand import Hand, Held
from streams.poison import MAX_ENTRIES, STARTS, Suspect, note
from streams.seen import Seen
from streams.trial import MEMORY_BYTES, Trial, Tried, shown
from tests.integration.streams.vendor import adapter
from tests.unit.streams.made import PLACE, TOPIC_ID, record, snapshot, source

KEY = (TOPIC_ID, 1)
TOP = Path(__file__).resolve().parents[3]


def starts(path: Path, *died: tuple[int, int], position: int = 5) -> dict[tuple[str, int], Suspect]:
    found: dict[tuple[str, int], Suspect] = {}
    for first, end in died:
        found = note(path / "starts.json", Held(KEY, first, end), {KEY: position})
    return found


def test_a_killed_process_leaves_what_it_had_in_hand(tmp_path: Path) -> None:
    code = f"""
import os, pathlib, sys
from streams.hand import Hand
Hand(pathlib.Path(sys.argv[1])).take({KEY!r}, 7, 9)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "in_hand")], cwd=TOP, check=False)
    assert done.returncode == -9
    found = Hand(tmp_path / "in_hand")
    assert found.left == Held(KEY, 7, 9)
    found.close()
    again = Hand(tmp_path / "in_hand")
    assert again.left == Held(KEY, 7, 9)  # a start that ends before it counted loses nothing
    again.drop()
    again.close()
    assert Hand(tmp_path / "in_hand").left is None


def test_three_starts_from_one_position_make_its_records_suspect(tmp_path: Path) -> None:
    assert starts(tmp_path, (5, 8), (6, 9)) == {}
    found = starts(tmp_path, (5, 8))[KEY]
    assert (found.starts, [offset for offset in range(12) if found.covers(offset)]) == (STARTS, [5, 6, 7, 8])
    assert note(tmp_path / "starts.json", None, {KEY: 5}) == {KEY: found}


def test_progress_forgets_the_count(tmp_path: Path) -> None:
    starts(tmp_path, (5, 8), (5, 8))
    assert starts(tmp_path, (6, 8), position=6) == {}
    assert note(tmp_path / "starts.json", None, {KEY: 7}) == {}
    assert starts(tmp_path, (7, 8), (7, 8), position=7) == {}


def test_partitions_are_counted_apart(tmp_path: Path) -> None:
    other = (TOPIC_ID, 2)
    for _ in range(STARTS):
        starts(tmp_path, (5, 8))
        found = note(tmp_path / "starts.json", Held(other, 0, 3), {KEY: 5})
    assert set(found) == {KEY, other}


def test_a_wiped_or_broken_count_begins_anew(tmp_path: Path) -> None:
    starts(tmp_path, (5, 8), (5, 8))
    (tmp_path / "starts.json").write_text("{")
    assert starts(tmp_path, (5, 8), (5, 8)) == {}
    assert set(starts(tmp_path, (5, 8))) == {KEY}


def test_a_record_that_ends_the_worker_though_its_trial_lived_is_condemned(tmp_path: Path) -> None:
    found = starts(tmp_path, *[(5, 8)] * STARTS, (6, 7), (6, 7))[KEY]
    assert not found.condemns(6)
    found = starts(tmp_path, (6, 7))[KEY]
    assert [offset for offset in range(12) if found.condemns(offset)] == [6]


def test_starts_that_end_before_any_trial_condemn_nothing(tmp_path: Path) -> None:
    found = starts(tmp_path, *[(6, 7)] * (2 * STARTS - 1))[KEY]
    assert (found.covers(6), found.condemns(6)) == (True, False)
    assert starts(tmp_path, (6, 7))[KEY].condemns(6)


def test_only_starts_in_turn_that_end_in_the_same_record_condemn_it(tmp_path: Path) -> None:
    found = starts(tmp_path, *[(5, 8)] * STARTS, (6, 7), (6, 7), (7, 8), (6, 7))[KEY]
    assert [offset for offset in range(12) if found.condemns(offset)] == []


def test_all_that_any_of_the_starts_had_in_hand_is_suspect(tmp_path: Path) -> None:
    found = starts(tmp_path, (5, 8), (6, 9), (6, 7))[KEY]
    assert [offset for offset in range(12) if found.covers(offset)] == [5, 6, 7, 8]


def test_the_count_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "starts.json"
    for partition in range(MAX_ENTRIES + 5):
        note(path, Held((TOPIC_ID, partition), 0, 1), {})
    for _ in range(STARTS - 1):
        found = note(path, Held((TOPIC_ID, MAX_ENTRIES + 4), 0, 1), {})
    assert set(found) == {(TOPIC_ID, MAX_ENTRIES + 4)}
    assert path.read_text().count("topic_id") == MAX_ENTRIES


@pytest.fixture
def trial() -> Iterator[Trial]:
    made = Trial(adapter, cpu_s=1, memory_bytes=MEMORY_BYTES)
    yield made
    made.close()


def decide(trial: Trial, body: bytes, asked: list[bytes] | None = None, **more: Any) -> Tried:
    def look(key: bytes) -> Seen:
        if asked is not None:
            asked.append(key)
        return Seen(Position(TOPIC_ID, 1, 0, 0), time.time_ns() // 10**6, clean=False, fingerprint=b"12345678")

    return trial.decide(record(body, 5, **more), 0, PLACE, snapshot(source()), look)


def test_a_child_dies_instead_of_the_worker_and_the_next_record_is_tried_by_another(trial: Trial) -> None:
    assert decide(trial, b'{"id":"1","kill":"SIGSEGV"}') == ("SIGSEGV", True)
    assert decide(trial, b'{"id":"1","kill":"SIGABRT"}') == ("SIGABRT", True)
    asked = list[bytes]()
    assert decide(trial, b'[{"id":"1"},{"id":"2"},{"id":"1"}]', asked) == (None, True)
    both = 2 * 2  # the id, and that of this content: another one is in quarantine
    assert len(asked) == len(set(asked)) == both, "the child asks the worker, and knows what it decided itself"
    assert decide(trial, b"not json") == (None, True)
    assert decide(trial, b"{}", raw_headers=[("hb-version", b"9")]) == (None, True)


def test_a_child_that_something_else_ended_once_does_not_make_a_record_guilty(trial: Trial, tmp_path: Path) -> None:
    once = json.dumps({"id": "1", "kill": "SIGKILL", "unless": str(tmp_path / "ended")}).encode()
    assert decide(trial, b"{}") == (None, True)
    assert trial._child is not None
    trial._child[0].kill()
    trial._child[0].wait()  # while it was idle: no record's fault
    assert decide(trial, once) == (None, True)
    assert (tmp_path / "ended").exists()


def test_a_child_that_does_nothing_for_ever_is_given_up(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_PATIENCE_S", 0.0), ("_PATIENCE", 0), ("_POLL_S", 0.1)):
        monkeypatch.setattr(trying, name, value)
    with pytest.raises(Transient, match="does not end"):
        decide(trial, b'{"id":"1","kill":"SIGSTOP"}')


def test_an_endless_decision_and_a_memory_bomb_die_by_bounds_on_cpu_and_bytes(trial: Trial) -> None:
    assert decide(trial, b'{"id":"1","loop":true}') == ("SIGXCPU", True)
    assert decide(trial, b'{"id":"1","eat":%d}' % (4 * MEMORY_BYTES)) == ("out of memory", True)


def test_a_record_that_only_raises_is_the_workers_own_business(trial: Trial) -> None:
    assert decide(trial, b'{"id":"1","eat":"a"}') == (None, True)


def test_a_child_gets_no_secret() -> None:
    view = dataclasses.replace(source(), secrets=(SecretView("s", b"hidden"),))
    found = shown(snapshot(view), "acme")
    assert found.sources[view.id].secrets == ()
    assert shown(snapshot(view), "other").sources == {}
