"""Numbers that a double does not hold: found, read digit by digit, and told apart in a fingerprint.

Lives here: exactness, and nothing of events. A payload keeps its digits in any case: it is never encoded again. orjson
reads integers beyond 64 bits and long decimals as doubles (https://github.com/ijl/orjson#int), so contents that differ
in them would be one content. Numbers nearer to zero than any double are not looked for. Pure and total on JSON that
orjson has read.
"""

import json
import re
from decimal import Decimal
from typing import Any

import orjson

_RUN = 19
"""Characters of an integer beyond 64 bits, or of a decimal that is looked at: shorter ones are compared as doubles."""
_DIGITS = b"0" * _RUN
_KINDS = bytes.maketrans(b"123456789.", b"0000000000")
_RUN_OF = re.compile(rb"[0-9.]+(?:[eE][+-]?[0-9]+)?").match
_MINUS = ord("-")
_BEFORE = frozenset(b" \t\r\n:,[")
_LONG = 1 << 63
_UNSIGNED = 1 << 64


def odd(text: bytes) -> bool:
    """Tell whether JSON text may hold a number of many digits that no double holds; one in a string may look so."""
    kinds = text.translate(_KINDS)
    at = kinds.find(_DIGITS)
    while at >= 0:
        found = _RUN_OF(text, at)
        if found is None:
            break
        negative = at > 0 and text[at - 1] == _MINUS
        first = at - negative
        if (first == 0 or text[first - 1] in _BEFORE) and not _held(found[0].decode(), negative=negative):
            return True
        at = kinds.find(_DIGITS, found.end())
    return False


def _held(text: str, *, negative: bool) -> bool:
    """Tell whether orjson reads the digits of a number as the number that they are; what is no number is."""
    try:
        if text.isdecimal():
            return int(text) <= _LONG if negative else int(text) < _UNSIGNED
        double = repr(float(text))
        return double == text or Decimal(double) == Decimal(text)
    except (ValueError, ArithmeticError):
        return True


def exact(text: bytes) -> Any:  # noqa: ANN401 JSON
    """Read JSON with integers of any length as they are; other numbers are doubles."""
    return json.loads(text)


def spelled(text: bytes) -> Any:  # noqa: ANN401 JSON
    """Read JSON for `orjson.dumps`: numbers that no double holds are written with their digits, in one spelling."""
    return json.loads(text, parse_int=_integer, parse_float=_decimal)


def _integer(text: str) -> int | orjson.Fragment:
    value = int(text)
    return value if -_LONG <= value < _UNSIGNED else orjson.Fragment(text)


def _decimal(text: str) -> float | orjson.Fragment:
    double = float(text)
    if Decimal(repr(double)) == Decimal(text):
        return double
    mantissa, _, exponent = text.lower().lstrip("-").partition("e")
    whole, _, rest = mantissa.partition(".")
    digits = whole + rest
    short = digits.rstrip("0")
    power = int(exponent or "0") - len(rest) + len(digits) - len(short)
    return orjson.Fragment(f"{'-' * text.startswith('-')}{short.lstrip('0')}e{power}")
