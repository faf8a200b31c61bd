"""Every record that was handed on arrives, in order, or it is noticed."""

import pytest
from faust.types import TP

from streams.engine.links import GapError, Links

HERE, THERE = TP("a.ledger", 0), TP("a.ledger", 1)


def links(*offsets: int) -> Links:
    made = Links()
    for offset in offsets:
        made.handed(HERE, offset)
        made.handed(THERE, offset + 1)
    return made


def test_records_are_taken_in_the_order_of_their_partition() -> None:
    made = links(3, 7, 8)
    assert all(made.taken(tp, offset) for tp, offset in ((THERE, 4), (HERE, 3), (HERE, 7), (THERE, 8), (HERE, 8)))


def test_a_record_that_did_not_arrive_is_noticed_with_the_next_one() -> None:
    made = links(3, 7, 8)
    assert made.taken(HERE, 3)
    with pytest.raises(GapError, match=r"a\.ledger 0: 7 was handed on before 8"):
        made.taken(HERE, 8)


def test_the_first_record_may_not_be_missing_either() -> None:
    with pytest.raises(GapError):
        links(3, 7).taken(HERE, 7)


def test_what_was_handed_on_before_a_seek_is_not_taken_and_comes_again() -> None:
    made = links(3, 7)
    made.clear()
    assert not made.taken(HERE, 7)
    made.handed(HERE, 3)
    assert made.taken(HERE, 3)
    assert not made.taken(HERE, 3)
