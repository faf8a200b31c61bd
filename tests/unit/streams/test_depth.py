"""How deep a body may nest (spec section 7): told alike for short bodies and long ones, for arrays and objects."""

import json
from typing import Any

import pytest

from streams.shapes.json_text import MAX_DEPTH, deeper_than


def nested(depth: int, kind: str) -> Any:
    value: Any = 1
    for number in range(depth):
        value = {"a": value} if kind == "object" or (kind == "both" and number % 2) else [value]
    return value


@pytest.mark.parametrize("kind", ["array", "object", "both"])
@pytest.mark.parametrize("padding", [0, 5_000])
@pytest.mark.parametrize("beside", [0, 200])
def test_a_body_may_nest_a_hundred_containers_and_no_more(kind: str, padding: int, beside: int) -> None:
    for depth, refused in ((MAX_DEPTH - 1, False), (MAX_DEPTH, False), (MAX_DEPTH + 1, True), (MAX_DEPTH + 150, True)):
        value = {"pad": "x" * padding, "beside": [[]] * beside, "deep": nested(depth - 1, kind)}
        assert deeper_than(json.dumps(value).encode(), value, MAX_DEPTH) is refused


def test_brackets_inside_strings_are_not_nesting() -> None:
    for text in ("[{" * 300, "[{" * 3_000):
        value = {"text": text}
        assert not deeper_than(json.dumps(value).encode(), value, MAX_DEPTH)
