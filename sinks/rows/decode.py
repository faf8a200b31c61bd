"""JSON text into Python values without losing a digit or a member.

Lives here: the quick decoder (orjson), the exact one (json) and the tests that choose between them.
orjson turns integers past 64 bits and long fractions into doubles, keeps the last of duplicate members in silence and
refuses lone surrogates; the exact decoder does none of that, at a fifth of the speed.
RFC 8259 sections 4 and 6 leave both matters to the reader; ours is exact.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

LONG_NUMBER = r"[:\[,\s]-?[0-9][0-9.]{15}|[:\[,\s]-?[0-9][0-9.]*[eE]"
"""A number of 16 or more digits or with an exponent: only those can say more than a double or a long holds."""
_LONG_NUMBER = re.compile(LONG_NUMBER.encode())
MAX_DIGITS = 400


class Number:
    """A JSON number that neither a long nor a double holds; `text` as sent."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Number({self.text!r})"


class Duplicated(ValueError):
    """An object names a member twice."""


def decode(raw: bytes) -> Any:  # noqa: ANN401 JSON
    """Return the value; raises `Duplicated` for a member named twice, ValueError for what is not UTF-8 JSON."""
    if not _LONG_NUMBER.search(b" " + raw if raw[:1] not in b"{[" else raw):
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return decode_exactly(raw)
        if _spaced(raw) or raw.count(b'":') != _members(value):
            return decode_exactly(raw)
        return value
    return decode_exactly(raw)


def decode_exactly(raw: bytes) -> Any:  # noqa: ANN401 JSON
    """Do the same with the exact decoder only."""
    try:
        return json.loads(
            raw.decode(), parse_float=_float, parse_int=_int, parse_constant=_constant, object_pairs_hook=_members_once
        )
    except RecursionError as exc:
        raise ValueError("nested too deep") from exc


def lenient(raw: bytes) -> Any:  # noqa: ANN401 JSON
    """Return the value with the last of duplicate members; raises ValueError for what is not UTF-8 JSON."""
    try:
        return json.loads(raw.decode(), parse_float=_float, parse_int=_int, parse_constant=_constant)
    except RecursionError as exc:
        raise ValueError("nested too deep") from exc


def dump(value: Any) -> str:  # noqa: ANN401 JSON
    """Write a decoded value as JSON text of equal value; ASCII where orjson cannot write it."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return _dump(value)


def _dump(value: Any) -> str:  # noqa: ANN401 JSON
    if isinstance(value, Number):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_dump(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_dump, value)) + "]"
    return json.dumps(value)


def _spaced(raw: bytes) -> bool:
    """Tell whether white space may stand between a name and its colon: then names cannot be counted cheaply."""
    return b" :" in raw or b"\t:" in raw or b"\n:" in raw or b"\r:" in raw


def _members(value: Any) -> int:  # noqa: ANN401 JSON
    if isinstance(value, dict):
        return len(value) + sum(_members(member) for member in value.values() if isinstance(member, (dict, list)))
    if isinstance(value, list):
        return sum(_members(member) for member in value if isinstance(member, (dict, list)))
    return 0


def _members_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Duplicated("an object names a member twice")
    return made


def _int(text: str) -> int | Number:
    return int(text) if len(text) <= MAX_DIGITS else Number(text)


def _float(text: str) -> float | Number:
    value = float(text)
    if len(text) > MAX_DIGITS or value in (float("inf"), float("-inf")):
        return Number(text)
    try:
        return value if Decimal(text) == Decimal(repr(value)) else Number(text)
    except InvalidOperation:
        return Number(text)


def _constant(text: str) -> Any:  # noqa: ANN401 json's hook
    raise ValueError(f"{text} is not JSON")
