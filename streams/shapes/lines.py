"""Newline-delimited JSON -> items, one a line; a line that cannot be read is an item with a fault.

Blank lines are nothing, so a body of them is an empty batch. Items are numbered by lines that are not blank.
https://github.com/ndjson/ndjson-spec
"""

import re
from collections.abc import Iterator

from schemas.errors import Poison
from streams.shapes import json_text
from streams.shapes.text import BOM, is_wide, utf8
from streams.split import Fault, Item, bound, item

_LINE = re.compile(rb"[^\s][^\n]*")


def read(body: bytes, declared: str | None = None, forced: str | None = None) -> tuple[Item, ...]:
    """Return one item a line; raise `Poison(too_many_items)`, and for a charset as text.decoded does.

    Only a line that is not UTF-8 is at fault where no other charset is declared.
    """
    if forced is not None or is_wide(declared):
        body, declared = utf8(body, declared, forced), None
    items: list[Item] = []
    for line in _lines(body.removeprefix(BOM)):
        bound(len(items) + 1)
        items.append(_item(len(items), line, declared))
    return tuple(items)


def _lines(body: bytes) -> Iterator[bytes]:
    for found in _LINE.finditer(body):
        yield found[0].rstrip()


def _item(number: int, line: bytes, declared: str | None) -> Item:
    try:
        text, value = json_text.read(line, declared)
    except Poison as exc:
        fault = Fault(exc.reason, exc.pointer, f"line {number + 1}: {exc.message}")
        return Item(number, line, None, fault=fault)
    return item(number, text, value)
