"""JSON written anew: the texts that a sender may have signed when something on the way parsed and wrote the body.

Lives here: one parse, then the styles of the usual writers (JavaScript, Python, PHP, Go, Java, jq, pretty printers).
Numbers keep their text where a float would lose it. Not here: other changes of a body (bodies.py). Total on odd JSON.
"""

import json
import re
from collections.abc import Iterator
from itertools import product
from typing import Any

_LAYOUTS: tuple[tuple[str, int | str | None, tuple[str, str]], ...] = (
    ("compact", None, (",", ":")),
    ("with a space after , and :", None, (", ", ": ")),
    ("indented by 2", 2, (",", ": ")),
    ("indented by 4", 4, (",", ": ")),
    ("indented by tabs", "\t", (",", ": ")),
)
_MARK = "\ue000hookberg number "
_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
_GSON = {**_HTML, "=": "\\u003d", "'": "\\u0027"}
_ESCAPED: tuple[tuple[str, dict[str, str]], ...] = (
    ("", {}),
    ("/ written as \\/", {"/": "\\/"}),
    ("<, > and & as \\u escapes", _HTML),
    ("<, >, &, = and ' as \\u escapes", _GSON),
)
_UNICODE = re.compile(r"\\u([0-9a-f]{4})")


def variants(body: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield (text of the same JSON, how it is written); the likeliest writers first; nothing when it is no JSON."""
    try:
        value = json.loads(body, parse_float=_number)
    except (ValueError, RecursionError):
        return
    if not isinstance(value, dict | list):
        return
    seen = {body}
    for (layout, indent, separators), (order, sort) in product(_LAYOUTS, (("", False), ("keys sorted", True))):
        for unicode, ascii_only in (("", False), ("other characters as \\u escapes", True)):
            text = _written(value, indent, separators, sort=sort, ascii_only=ascii_only)
            if text is None:
                continue
            for escaped, table in _ESCAPED:
                how = ", ".join(part for part in (layout, order, unicode, escaped) if part)
                for made in _bytes(text, table, upper=ascii_only):
                    if made not in seen:
                        seen.add(made)
                        yield made, how


def _number(text: str) -> float | str:
    """Keep a number's own text where writing it anew would change it."""
    try:
        value = float(text)
    except (ValueError, OverflowError):
        return _MARK + text
    return value if repr(value) == text else _MARK + text


def _written(
    value: Any,  # noqa: ANN401 JSON
    indent: int | str | None,
    separators: tuple[str, str],
    *,
    sort: bool,
    ascii_only: bool,
) -> str | None:
    try:
        text = json.dumps(value, indent=indent, separators=separators, sort_keys=sort, ensure_ascii=ascii_only)
    except (ValueError, TypeError, RecursionError):
        return None
    mark = json.dumps(_MARK)[1:-1] if ascii_only else _MARK
    return re.sub(f'"{re.escape(mark)}([^"]*)"', r"\1", text) if mark in text else text


def _bytes(text: str, table: dict[str, str], *, upper: bool) -> Iterator[bytes]:
    if table:
        written = text.translate({ord(char): escape for char, escape in table.items()})
        if written == text:
            return
        text = written
    try:
        yield text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can write
        return
    if upper:
        raised = _UNICODE.sub(lambda found: "\\u" + found[1].upper(), text)
        if raised != text:
            yield raised.encode()
