"""A parsed body -> its items, each with its own bytes as sent.

Lives here: what an item is and the bounds on a delivery. Not here: how bodies are read (parse.py).
Rule 5: at most 10,000 items a delivery; spec section 3: payloads are spliced, never encoded again.
"""

from typing import Any, NamedTuple

import msgspec

from schemas import jsonslice
from schemas.errors import Poison
from schemas.reasons import Reason
from streams.texts import Path

MAX_ITEMS = 10_000


class Item(msgspec.Struct, gc=False):
    """One thing that happened: its number in the delivery, its bytes as sent, its value as read.

    Not frozen for `forget` only.
    `outer`: the object that holds the item's array, where a vendor's path led to it. `coverage`: what the proof covers
    of this item where it differs from the delivery's.
    """

    number: int
    payload: bytes
    value: Any
    outer: Any = None
    coverage: str | None = None

    def forget(self) -> None:
        """Let go of the value once it is decided about: values kept would push each other out of the cache."""
        self.value = self.outer = None


class _Found(NamedTuple):
    text: bytes
    value: Any
    holder: Any
    outer: Any


def split(
    body: bytes,
    value: Any,  # noqa: ANN401 JSON
    paths: tuple[Path, ...] = (),
    *,
    first_covered: bool = False,
) -> tuple[Item, ...]:
    """Return the items of a body whose JSON value is `value`: an array's members, else the body itself.

    `paths`: where a vendor's items stand in an object; the first that fits is taken, and none is the body itself.
    `first_covered`: the proof of a batch covers all of item 0. Raises `Poison(too_many_items)`. An empty array has no
    items.
    """
    if isinstance(value, list):
        _bound(len(value))
        pieces = jsonslice.items(body)
        return tuple(
            Item(index, piece, member, None, "full" if first_covered and index == 0 else None)
            for index, (piece, member) in enumerate(zip(pieces, value, strict=True))
        )
    if isinstance(value, dict):
        for path in paths:
            found = _along(body, value, path)
            if found is not None:
                return tuple(Item(index, one.text, one.value, one.outer) for index, one in enumerate(found))
    return (Item(0, jsonslice.trimmed(body), value),)


def _along(body: bytes, value: Any, path: Path) -> list[_Found] | None:  # noqa: ANN401 JSON
    """Follow a path, `*` = each item of an array; None where the body has another shape."""
    found = [_Found(body, value, None, None)]
    for part in path:
        if part == "*":
            if not all(isinstance(one.value, list) for one in found):
                return None
            _bound(sum(len(one.value) for one in found))
            found = [
                _Found(piece, member, None, one.holder)
                for one in found
                for piece, member in zip(jsonslice.items(one.text), one.value, strict=True)
            ]
        else:
            if not all(isinstance(one.value, dict) and part in one.value for one in found):
                return None
            found = [_Found(jsonslice.member(one.text, part), one.value[part], one.value, one.outer) for one in found]
    return found


def _bound(count: int) -> None:
    if count > MAX_ITEMS:
        raise Poison(Reason.TOO_MANY_ITEMS, f"{count} items in one delivery; the limit is {MAX_ITEMS}")
