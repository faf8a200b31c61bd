"""A parsed body -> its items, each with its own bytes as sent.

Lives here: what an item is and the bounds on a delivery. Not here: how bodies are read (parse.py).
Rule 5: at most 10,000 items a delivery; spec section 3: payloads are spliced, never encoded again.
"""

from typing import Any

import msgspec

from schemas import jsonslice
from schemas.errors import Poison
from schemas.reasons import Reason

MAX_ITEMS = 10_000


class Item(msgspec.Struct, frozen=True, gc=False):
    """One thing that happened: its number in the delivery, its bytes as sent, its value as read."""

    number: int
    payload: bytes
    value: Any


def split(body: bytes, value: Any) -> tuple[Item, ...]:  # noqa: ANN401 JSON
    """Return the items of a body whose JSON value is `value`: an array's members, else the body itself.

    Raises `Poison(too_many_items)`. An empty array has no items.
    """
    if not isinstance(value, list):
        return (Item(0, jsonslice.trimmed(body), value),)
    if len(value) > MAX_ITEMS:
        raise Poison(Reason.TOO_MANY_ITEMS, f"{len(value)} items in one delivery; the limit is {MAX_ITEMS}")
    pieces = jsonslice.items(body)
    return tuple(Item(index, piece, member) for index, (piece, member) in enumerate(zip(pieces, value, strict=True)))
