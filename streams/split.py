"""A parsed body -> its items, each with its own bytes as sent.

Lives here: what an item is, the bounds on a delivery, what stands around a batch. Not here: how bodies are read
(shapes/). Rule 5: at most 10,000 items a delivery; spec section 3: payloads are spliced, never encoded again.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from schemas import jsonslice
from schemas.errors import Poison
from schemas.reasons import Reason
from streams.shapes import numbers
from streams.texts import Path

MAX_ITEMS = 10_000
MAX_AROUND = 32 << 20
"""Bytes of envelopes of one delivery together: each of its items carries one."""


class Fault(NamedTuple):
    """Why something cannot become a row: reason, JSON pointer, message for people."""

    reason: Reason
    pointer: str
    message: str


class Item(msgspec.Struct, gc=False):
    """One thing that happened: its number in the delivery, its bytes as sent, its value as read.

    Not frozen for `forget` only.
    `outer`: the object that holds the item's array, where a vendor's path led to it. `coverage`: what the proof covers
    of this item where it differs from the delivery's. `envelope`: the JSON around the item without its array.
    `fault`: why this item alone cannot be read. `odd`: it may hold a number that no double holds (shapes/numbers.py).
    """

    number: int
    payload: bytes
    value: Any
    outer: Any = None
    coverage: str | None = None
    envelope: bytes | None = None
    fault: Fault | None = None
    odd: bool = False

    def forget(self) -> None:
        """Let go of the value once it is decided about: values kept would push each other out of the cache."""
        self.value = self.outer = None


_Around = tuple[tuple[dict[str, msgspec.Raw], str], ...]
"""The objects that a path led through, outermost first, each with the member that it went on by."""


class _Found(NamedTuple):
    text: bytes
    value: Any
    holder: Any
    outer: Any
    around: _Around


def split(
    body: bytes,
    value: Any,  # noqa: ANN401 JSON
    paths: tuple[Path, ...] = (),
    first_covered: bool = False,
) -> tuple[Item, ...]:
    """Return the items of a body whose JSON value is `value`: an array's members, else the body itself.

    `paths`: where a vendor's items stand in an object; the first that fits is taken, and none is the body itself.
    `first_covered`: the proof of a batch covers all of item 0 and nothing of the others. An empty array has no items.
    Raises `Poison(too_many_items|too_large)`.
    """
    if isinstance(value, list):
        bound(len(value))
        pieces = jsonslice.items(body)
        covered = ("full", "none") if first_covered else (None, None)
        odd = numbers.odd(body)
        return tuple(
            item(index, piece, member, odd=odd, coverage=covered[index > 0])
            for index, (piece, member) in enumerate(zip(pieces, value, strict=True))
        )
    if isinstance(value, dict):
        for path in paths:
            found = _along(body, value, path)
            if found is not None:
                return _with_envelopes(found, odd=numbers.odd(body))
    text = jsonslice.trimmed(body)
    return (Item(0, text, numbers.exact(text), odd=True) if numbers.odd(text) else Item(0, text, value),)


def item(
    number: int,
    payload: bytes,
    value: Any,  # noqa: ANN401 JSON
    *,
    odd: bool = True,
    coverage: str | None = None,
) -> Item:
    """Make an item of a JSON text; with a number that no double holds its integers are read digit by digit.

    `odd` False: the caller knows that there is none.
    """
    if odd and numbers.odd(payload):
        return Item(number, payload, numbers.exact(payload), coverage=coverage, odd=True)
    return Item(number, payload, value, coverage=coverage)


def bound(count: int) -> None:
    """Raise `Poison(too_many_items)` for more items than one delivery may have."""
    if count > MAX_ITEMS:
        raise Poison(Reason.TOO_MANY_ITEMS, f"{count} items in one delivery; the limit is {MAX_ITEMS}")


def _along(body: bytes, value: Any, path: Path) -> list[_Found] | None:  # noqa: ANN401 JSON
    """Follow a path, `*` = each item of an array; None where the body has another shape."""
    found = [_Found(body, value, None, None, ())]
    for part in path:
        if part == "*":
            if not all(isinstance(one.value, list) for one in found):
                return None
            bound(sum(len(one.value) for one in found))
            found = [
                _Found(piece, member, None, one.holder, one.around)
                for one in found
                for piece, member in zip(jsonslice.items(one.text), one.value, strict=True)
            ]
        else:
            if not all(isinstance(one.value, dict) and part in one.value for one in found):
                return None
            found = [_inside(one, part) for one in found]
    return found


def _inside(one: _Found, name: str) -> _Found:
    members = jsonslice.members(one.text)
    return _Found(bytes(members[name]), one.value[name], one.value, one.outer, (*one.around, (members, name)))


def _with_envelopes(found: Sequence[_Found], *, odd: bool) -> tuple[Item, ...]:
    """Make the items, each with what stands around it; items of one array share the text."""
    items: list[Item] = []
    made: bytes | None = None
    before: _Around | None = None
    size = 0
    for index, one in enumerate(found):
        if one.around is not before:
            made, before = _envelope(one.around), one.around
        size = _room(size, made)
        piece = item(index, one.text, one.value, odd=odd)
        piece.outer, piece.envelope = one.outer, made
        items.append(piece)
    return tuple(items)


def surround(items: Sequence[Item], more: bytes) -> None:
    """Put the members of a JSON object around items, beside what stands there; raise `Poison(too_large)`."""
    size = 0
    for one in items:
        if one.envelope is None:
            one.envelope = more
        else:
            one.envelope = jsonslice.joined(jsonslice.members(more) | jsonslice.members(one.envelope))
        size = _room(size, one.envelope)


def _room(size: int, envelope: bytes | None) -> int:
    size += len(envelope or b"")
    if size > MAX_AROUND:
        raise Poison(Reason.TOO_LARGE, f"what stands around the items is more than {MAX_AROUND} bytes in all")
    return size


def _envelope(around: _Around) -> bytes | None:
    """Return the enclosing JSON without the arrays: members as sent, an inner object in place of its array."""
    inner: bytes | None = None
    for members, name in reversed(around):
        left = {
            key: msgspec.Raw(inner) if key == name and inner is not None else member
            for key, member in members.items()
            if key != name or inner is not None
        }
        inner = jsonslice.joined(left) if left else None
    return inner
