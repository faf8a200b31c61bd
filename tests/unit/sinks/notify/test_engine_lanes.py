"""Lanes with work are found by their times alone; held back, busy and sleeping ones are left out."""

import random

from schemas.definitions.notification import Lane
from sinks.notify.engine.circuit import Circuit
from sinks.notify.engine.lanes import Lanes

ONE, TWO, THREE = Lane("w1"), Lane("w2"), Lane("w3")


def lanes() -> Lanes:
    return Lanes(lambda: Circuit(2, 10_000))


def anywhere(_lane: Lane) -> str:
    return "https://example.com"


def test_lanes_come_when_they_are_due_oldest_first_and_only_so_many() -> None:
    found = lanes()
    found.moved({ONE: 30, TWO: 10, THREE: 20})
    assert found.next_ms() == 10
    assert found.take(5, 9, anywhere) == []
    assert found.take(25, 1, anywhere) == [TWO]
    assert found.take(25, 9, anywhere) == [THREE]
    assert found.next_ms() == 30


def test_a_busy_lane_is_not_taken_and_what_came_meanwhile_is_known_after() -> None:
    found = lanes()
    found.moved({ONE: 10})
    assert found.take(10, 9, anywhere) == [ONE]
    found.moved({ONE: 11})
    assert found.take(99, 9, anywhere) == []
    found.release(ONE, None)
    assert found.take(99, 9, anywhere) == [ONE]
    found.release(ONE, 200)
    assert (found.take(199, 9, anywhere), found.take(200, 9, anywhere)) == ([], [ONE])


def test_a_lane_is_never_later_than_it_was_and_an_old_entry_is_no_second_turn() -> None:
    found = lanes()
    found.moved({ONE: 50})
    found.moved({ONE: 20})
    found.moved({ONE: 90})
    assert found.take(20, 9, anywhere) == [ONE]
    found.release(ONE, None)
    assert found.take(99, 9, anywhere) == []
    assert (found.next_ms(), len(found)) == (None, 0)


def test_an_open_circuit_holds_back_until_its_probe_or_a_nudge() -> None:
    found = lanes()
    found.moved({ONE: 0})
    found.take(0, 9, anywhere)
    for _ in range(2):
        found.of(ONE).circuit.failed(100)
    found.release(ONE, 0)
    assert (found.take(10_099, 9, anywhere), found.next_ms()) == ([], 10_100)
    found.moved({ONE: 0}, nudged=True)
    assert found.take(101, 9, anywhere) == [ONE]


def test_a_lane_without_an_endpoint_sleeps_until_it_has_one_and_wakes_with_its_circuit_closed() -> None:
    found = lanes()
    found.moved({ONE: 0, TWO: 0})
    for _ in range(2):
        found.of(ONE).circuit.failed(0)
    nowhere = lambda lane: None if lane == ONE else "https://example.com"  # noqa: E731
    assert found.take(50_000, 9, nowhere) == [TWO]
    found.moved({ONE: 60_000})
    found.wake(nowhere)
    assert found.take(70_000, 9, anywhere) == []
    found.wake(anywhere)
    assert found.take(1, 9, anywhere) == [ONE]


def test_a_changed_endpoint_closes_the_circuit_of_the_old_one() -> None:
    found = lanes()
    found.moved({ONE: 0})
    standing = found.of(ONE)
    standing.failed_at = "https://old.example"
    for _ in range(2):
        standing.circuit.failed(0)
    found.wake(lambda _lane: "https://old.example")
    assert standing.circuit.open
    found.wake(lambda _lane: "https://new.example")
    assert not standing.circuit.open
    assert found.take(1, 9, anywhere) == [ONE]


def test_no_work_is_ever_forgotten() -> None:
    """A model: due times by lane, against any order of calls."""
    for seed in range(200):
        chance, found, now = random.Random(seed), lanes(), 0
        due: dict[Lane, int] = {}
        busy: set[Lane] = set()
        for _ in range(60):
            now += chance.randrange(20)
            lane = chance.choice((ONE, TWO, THREE))
            match chance.randrange(3):
                case 0:
                    at = now + chance.randrange(-10, 40)
                    due[lane] = min(at, due.get(lane, at))
                    found.moved({lane: at})
                case 1:
                    expected = {one for one, at in due.items() if at <= now and one not in busy}
                    taken = found.take(now, 9, anywhere)
                    assert set(taken) == expected, seed
                    busy |= expected
                    due = {one: at for one, at in due.items() if one not in expected}
                case _ if lane in busy:
                    busy.discard(lane)
                    again = chance.choice((None, now + chance.randrange(30)))
                    found.release(lane, again)
                    if again is not None:
                        due[lane] = min(again, due.get(lane, again))
        free = [at for one, at in due.items() if one not in busy]
        assert found.next_ms() == (min(free) if free else None), seed
