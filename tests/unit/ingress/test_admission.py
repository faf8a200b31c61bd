"""What a worker takes at once: bounded in all, and no source takes so much that there is no room for another."""

import pytest

from ingress.admission import CHUNKED_START, MAX_SOURCES, SHARE, Admission, Ticket
from schemas.errors import Overloaded
from schemas.reasons import Reason

MIB = 1 << 20


def filled(admission: Admission, source_id: str, size: int = 0) -> list[Ticket]:
    """Take requests of a source until one is refused."""
    taken: list[Ticket] = []
    while True:
        try:
            taken.append(admission.enter(size, source_id))
        except Overloaded:
            return taken


def test_alone_a_source_gets_four_fifths() -> None:
    admission = Admission(2_000, 1 << 40)
    assert len(filled(admission, "flood")) == pytest.approx(2_000 * SHARE / (SHARE + 1), abs=2)
    with pytest.raises(Overloaded) as told:
        admission.enter(0, "flood")
    assert told.value.reason is Reason.OVERLOADED_SOURCE


@pytest.mark.parametrize("floods", [1, 2, 5, 20])
def test_however_many_flood_there_is_room_for_one_more(floods: int) -> None:
    """Requests come faster than they end: after a while each flood has as much as the others, and something is free."""
    admission = Admission(2_000, 1 << 40)
    held: dict[str, list[Ticket]] = {f"flood-{number}": [] for number in range(floods)}
    for turn in range(200):
        for name, tickets in held.items():
            for _ in range(max(1, len(tickets) // 10)):
                if tickets:
                    tickets.pop(0).leave()
            tickets.extend(filled(admission, name))
        if turn > 100:
            admission.enter(10, f"quiet-{turn}").leave()
    counts = [len(tickets) for tickets in held.values()]
    assert admission.requests == sum(counts) < 2_000
    assert max(counts) <= 1.5 * min(counts)


def test_bytes_are_shared_as_requests_are() -> None:
    admission = Admission(10_000, 100 * MIB)
    held = filled(admission, "flood", MIB)
    assert len(held) == pytest.approx(80, abs=1)
    assert admission.enter(19 * MIB, "quiet")  # its first takes what is free
    for ticket in held:
        ticket.leave()
    assert admission.held == 19 * MIB


def test_one_large_body_alone_is_taken_and_grows_to_the_whole_budget() -> None:
    admission = Admission(10, 20 * MIB)
    ticket = admission.enter(None, "shop")
    assert admission.held == CHUNKED_START
    ticket.cover(19 * MIB)
    with pytest.raises(Overloaded) as told:
        ticket.cover(20 * MIB + 1)
    assert told.value.reason is Reason.OVERLOADED_BYTES
    ticket.leave()
    assert (admission.held, admission.requests) == (0, 0)
    assert admission.enter(20 * MIB, "shop")


def test_a_second_body_of_a_source_may_not_grow_past_its_share() -> None:
    admission = Admission(10, 100 * MIB)
    admission.enter(60 * MIB, "shop")
    second = admission.enter(None, "shop")
    second.cover(15 * MIB)
    with pytest.raises(Overloaded) as told:
        second.cover(30 * MIB)
    assert told.value.reason is Reason.OVERLOADED_SOURCE
    assert admission.enter(20 * MIB, "other")


def test_sources_with_nothing_in_flight_are_forgotten() -> None:
    admission = Admission(100, MIB)
    kept = admission.enter(5, "kept")
    for number in range(2 * MAX_SOURCES):
        admission.enter(1, f"s-{number}").leave()
    assert len(admission._uses) <= MAX_SOURCES
    kept.leave()
    assert (admission.requests, admission.held) == (0, 0)
