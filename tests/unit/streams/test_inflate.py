"""What a bomb costs: inflating holds at most about twice the limit, whatever is in the body (rule 5)."""

import gzip
import tracemalloc
import zlib

import pytest

from schemas.errors import Poison
from schemas.reasons import Reason
from streams.shapes.inflate import MAX_MEMBERS, inflate

MIB = 1 << 20
LIMIT = 8 * MIB
BOMBS = {
    "gzip": ("gzip", gzip.compress(bytes(64 * MIB), 9)),
    "gzip, a member after another": ("gzip", gzip.compress(bytes(MIB), 9) * 64),
    "deflate": ("deflate", zlib.compress(bytes(64 * MIB), 9)),
}


def peak(body: bytes, coding: str, limit: int) -> int:
    """Return the most bytes that were held beside the body while it was inflated."""
    tracemalloc.start()
    try:
        with pytest.raises(Poison) as caught:
            inflate(body, coding, limit)
        assert caught.value.reason is Reason.TOO_LARGE
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_holds_less_than_twice_the_limit(name: str) -> None:
    coding, body = BOMBS[name]
    assert peak(body, coding, LIMIT) < 2 * LIMIT + 4 * MIB
    assert peak(body, coding, MIB) < 6 * MIB  # the limit counts, not the body


def test_what_fits_holds_its_own_size_twice() -> None:
    body = gzip.compress(bytes(LIMIT), 9)
    tracemalloc.start()
    try:
        assert len(inflate(body, "gzip", LIMIT)) == LIMIT
        assert tracemalloc.get_traced_memory()[1] < 2 * LIMIT + 4 * MIB
    finally:
        tracemalloc.stop()


def test_members_are_bounded_however_small_they_are() -> None:
    nothing = gzip.compress(b"")
    assert inflate(nothing * (MAX_MEMBERS - 1) + gzip.compress(b"x"), "gzip", 1) == b"x"
    with pytest.raises(Poison) as caught:
        inflate(nothing * (MAX_MEMBERS + 1), "gzip", 1)
    assert caught.value.reason is Reason.NOT_PARSEABLE
