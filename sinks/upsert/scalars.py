"""JSON scalars as texts that are equal when the values are, and what orders a key's versions.

Lives here: canonical texts, and the order of sequence values. Pure.
A number is one number however it is written (RFC 8259 section 6); a text is never taken for a number as a key.
"""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

NONE, NUMBER, MOMENT, TEXT = range(4)
"""Ranks of sequence values: whatever has none comes first, then numbers, then times, then other texts."""
Sequence = tuple[int, Any]
"""(rank, value): `int` or `Decimal`, ns since the epoch, or text."""
UNKNOWN: Sequence = (NONE, 0)
_WHOLE = re.compile(r"-?[0-9]+")
_DIGITS = re.compile(r"-?[0-9]{1,40}")
_LONGEST = 40
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?\d*(Z|z|[+-]\d\d:\d\d)", re.ASCII
)  # RFC 3339 section 5.6; finer than ns is cut
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def canonical(raw: bytes) -> str | None:
    """Return the text of a scalar, the same for equal values; None for null, an object, an array."""
    first = raw[:1]
    if first == b'"':
        return _text(raw)
    if first in b"tf":
        return raw.decode()
    return None if first in b"n{[" else _number(raw.decode())


def of(text: str | None) -> Sequence:
    """Return what a canonical text is as a sequence; whatever is neither number nor text is `UNKNOWN`.

    A text of digits counts as its number, an RFC 3339 time as its moment.
    """
    if text is None or text in {"true", "false"}:
        return UNKNOWN
    if text[0] != '"':
        return NUMBER, _value(text)
    value = json.loads(text)
    if _DIGITS.fullmatch(value) and value.isascii():
        return NUMBER, int(value)
    moment = _moment(value)
    return (TEXT, value) if moment is None else (MOMENT, moment)


def _text(raw: bytes) -> str:
    if raw.isascii() and b"\\" not in raw:
        return raw.decode()
    value = json.loads(raw)
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return json.dumps(value)
    return text


def _number(text: str) -> str:
    if _WHOLE.fullmatch(text):
        return "0" if text == "-0" else text
    try:
        sign, digits, exponent = Decimal(text).as_tuple()
    except InvalidOperation:
        return text
    if not isinstance(exponent, int):
        return text
    shown = "".join(map(str, digits)).lstrip("0")
    cut = shown.rstrip("0")
    exponent += len(shown) - len(cut)
    if not cut:
        return "0"
    if exponent >= 0 and len(cut) + exponent <= _LONGEST:
        cut, exponent = cut + "0" * exponent, 0
    return ("-" if sign else "") + (cut if exponent == 0 else f"{cut}e{exponent}")


def _value(text: str) -> int | Decimal:
    return int(text) if _DIGITS.fullmatch(text) else Decimal(text)


def _moment(text: str) -> int | None:
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    day, time, fraction, zone = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{time}{zone.upper()}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    gone = moment - _EPOCH
    return (gone.days * 86_400 + gone.seconds) * 1_000_000_000 + int((fraction or "").ljust(9, "0"))
