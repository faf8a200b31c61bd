"""Slices are the sender's bytes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import jsonslice

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def test_numbers_and_white_space_inside_items_stay_as_sent() -> None:
    found = jsonslice.items(b' [ {"a" : 1.50e+05 } ,\n[1,  2 ], 123456789012345678901234567890 ] ')
    assert found == [b'{"a" : 1.50e+05 }', b"[1,  2 ]", b"123456789012345678901234567890"]


@given(st.lists(JSON, max_size=6), st.sampled_from(["", " ", "\n\t "]))
def test_each_slice_is_its_item(values: list[object], space: str) -> None:
    pieces = [json.dumps(value) for value in values]
    body = (space + "[" + f"{space},{space}".join(pieces) + "]" + space).encode("utf-8", "surrogatepass")
    assert jsonslice.items(body) == [piece.encode() for piece in pieces]


@pytest.mark.parametrize("body", [b"", b"{}", b"[1,]", b"[1", b"[" * 100_000])
def test_refuses_what_is_no_array(body: bytes) -> None:
    with pytest.raises(ValueError, match="not a JSON array"):
        jsonslice.items(body)
