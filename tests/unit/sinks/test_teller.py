"""What streams do is told at once when it changes, and in turn when it does not; nothing is worked out unasked."""

from collections.abc import Collection, Mapping, Sequence

from schemas.definitions.stream import State
from sinks.status import MOST, TELL_S, StreamState, Teller


class Kept:
    """A registry's states, away when told so."""

    def __init__(self) -> None:
        self.puts: list[list[str]] = []
        self.away = False

    def put(self, many: Sequence[StreamState]) -> None:
        if self.away:
            raise OSError("away")
        self.puts.append([one.stream_id for one in many])

    def many(self, _stream_ids: Collection[str]) -> Mapping[str, StreamState]:
        return {}


def streams(count: int, **other: State) -> list[StreamState]:
    names = [f"s{number:03d}" for number in range(count)]
    return [StreamState(name, other.get(name, State.RUNNING), generation=1) for name in names]


def briefs(found: Sequence[StreamState]) -> dict[str, tuple[State, int]]:
    return {one.stream_id: (one.state, one.generation) for one in found}


def test_each_stream_is_told_once_a_second_and_a_change_at_once() -> None:
    kept = Kept()
    teller = Teller(kept)
    assert teller.differs(briefs(streams(3)))
    for at in (0.0, 0.25, 0.5, 0.75):
        teller.tell(streams(3), at)
    assert kept.puts == [["s000", "s001", "s002"]]
    assert not teller.differs(briefs(streams(3)))
    changed = streams(3, s001=State.FAILED)
    assert teller.differs(briefs(changed))
    teller.tell(changed, 0.8)
    assert kept.puts[1:] == [["s001"]]
    teller.tell(changed, TELL_S)
    assert kept.puts[2:] == [["s000", "s002"]]


def test_many_streams_have_their_turn() -> None:
    kept = Kept()
    teller = Teller(kept)
    teller.tell(streams(200), 0.0)
    assert len(kept.puts[0]) == 200  # all of them are new
    for number in range(-(-200 // MOST)):
        teller.tell(streams(200), TELL_S + number)
    assert {name for put in kept.puts[1:] for name in put} == {one.stream_id for one in streams(200)}
    assert max(map(len, kept.puts[1:])) <= MOST


def test_what_could_not_be_stored_is_told_again() -> None:
    kept = Kept()
    teller, kept.away = Teller(kept), True
    teller.tell(streams(2), 0.0)
    assert teller.differs(briefs(streams(2)))
    kept.away = False
    teller.tell(streams(2), 0.25)
    assert kept.puts == [["s000", "s001"]]


def test_a_stream_that_comes_back_is_told_again() -> None:
    kept = Kept()
    teller = Teller(kept)
    teller.tell(streams(1), 0.0)
    teller.tell([], 0.25)
    teller.tell(streams(1), 0.5)
    assert kept.puts == [["s000"]] * 2
