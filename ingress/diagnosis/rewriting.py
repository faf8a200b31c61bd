"""JSON written anew: the texts that a sender may have signed when something on the way parsed and wrote the body.

Lives here: one parse, then the styles of the usual writers (JavaScript, Python, PHP, Go, Java, jq, pretty printers).
Numbers keep their text where writing would change it. Not here: other changes of a body (bodies.py). Total on odd JSON.
"""

import json
import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import orjson

_LAYOUTS = (
    "compact",
    "with a space after , and :",
    "indented by 2",
    "indented by 4",
    "indented by tabs",
)
_MARK = "\ue000hookberg number "
_MARKED = re.compile(f'"{_MARK}([^"]*)"')
_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
_ESCAPED: tuple[tuple[str, dict[str, str]], ...] = (
    ("", {}),
    ("/ written as \\/", {"/": "\\/"}),
    ("<, > and & as \\u escapes", _HTML),
    ("<, >, &, = and ' as \\u escapes", {**_HTML, "=": "\\u003d", "'": "\\u0027"}),
)
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_UNICODE = re.compile(r"\\u([0-9a-f]{4})")
_INDENT = re.compile(r"^ +", re.MULTILINE)
_64_BITS = 18
"""Digits of an integer that surely fits."""


def variants(body: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield (text of the same JSON, how it is written); the likeliest writers first; nothing when it is no JSON."""
    try:
        value = json.loads(body, parse_float=_float, parse_int=_int)
    except (ValueError, RecursionError):
        return
    if not isinstance(value, dict | list):
        return
    seen = {hash(body)}
    for layout, (order, sort) in product(_LAYOUTS, (("", False), ("keys sorted", True))):
        text = _written(value, layout, sort=sort)
        if text is None:
            return
        ascii_text = _BEYOND_ASCII.sub(_escape, text)
        for unicode, base in (("", text), ("other characters as \\u escapes", ascii_text)):
            for escaped, table in _ESCAPED:
                how = ", ".join(part for part in (layout, order, unicode, escaped) if part)
                for made in _bytes(base, table, upper=bool(unicode)):
                    if hash(made) not in seen:
                        seen.add(hash(made))
                        yield made, how


def _float(text: str) -> float | str:
    """Keep a number's own text where writing it anew would change it."""
    value = float(text)
    return value if repr(value) == text else _MARK + text


def _int(text: str) -> int | str:
    return int(text) if len(text) <= _64_BITS and text != "-0" else _MARK + text


def _written(value: Any, layout: str, *, sort: bool) -> str | None:  # noqa: ANN401 JSON
    """Write JSON with every character as itself; None for what no writer could have written."""
    try:
        if layout == _LAYOUTS[1]:
            text = json.dumps(value, sort_keys=sort, ensure_ascii=False)
        else:
            options = (orjson.OPT_SORT_KEYS if sort else 0) | (0 if layout == _LAYOUTS[0] else orjson.OPT_INDENT_2)
            text = orjson.dumps(value, option=options).decode()
    except (ValueError, TypeError, RecursionError):  # a lone surrogate, too deep
        return None
    if layout == _LAYOUTS[3]:
        text = _INDENT.sub(lambda found: found[0] * 2, text)
    elif layout == _LAYOUTS[4]:
        text = _INDENT.sub(lambda found: "\t" * (len(found[0]) // 2), text)
    return _MARKED.sub(r"\1", text) if _MARK in text else text


def _escape(found: re.Match[str]) -> str:
    pairs = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{pairs[at : at + 4]}" for at in range(0, len(pairs), 4))


def _bytes(text: str, table: dict[str, str], *, upper: bool) -> Iterator[bytes]:
    if table:
        if not any(char in text for char in table):
            return
        for char, escape in table.items():
            text = text.replace(char, escape)
    try:
        yield text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which only an escape can write
        return
    if upper:
        raised = _UNICODE.sub(lambda found: "\\u" + found[1].upper(), text)
        if raised != text:
            yield raised.encode()
