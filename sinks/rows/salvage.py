"""Payloads value by value: what fits its column goes there, the rest is kept beside, never dropped, never rounded.

Lives here: the tolerant path. `_extra` holds what has no column, `_raw` what does not fit the column it has; both are
JSON objects from JSON pointer (RFC 6901, from the payload's root) to the value as sent. Pointer "" of `_raw` holds the
whole payload as text (a JSON string): when it is no JSON object, or names a member twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sinks.columns.policy import Contract, Mode
from sinks.columns.shape import ELEMENT, Branch, Decimals, Kind, Leaf
from sinks.rows import decode, forms

MIN_LONG, MAX_LONG = -(2**63), 2**63 - 1
_MIN_INT, _MAX_INT = -(2**31), 2**31 - 1
_EXACT = 2**53
"""Past it a double's digits as people see them may be others than those sent, even where its value is the same."""
WHOLE = ""
_MISFIT = object()
_OPEN = Contract()


@dataclass(frozen=True, slots=True)
class Row:
    """One payload fitted to a shape: values by column, and the JSON texts of `_extra` and `_raw`.

    `discarded`: the contract takes no such row. `dropped`: how many values it has left out. `waits`: JSON pointers of
    the members without a column.
    """

    values: dict[str, Any] | None
    extra: str | None
    raw: str | None
    discarded: bool = False
    dropped: int = 0
    waits: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Decoded:
    """One payload decoded: its object, or None; `keep_whole`: its text must be kept as it stands."""

    value: dict[str, Any] | None
    text: bytes
    keep_whole: bool


def read(raw: bytes) -> Decoded:
    """Decode one payload; total: whatever it is, it comes back."""
    try:
        try:
            value, once = decode.decode(raw), True
        except decode.Duplicated:
            value, once = decode.lenient(raw), False
    except (ValueError, RecursionError):
        return Decoded(None, raw, keep_whole=True)
    known = isinstance(value, dict)
    return Decoded(value if known else None, raw, keep_whole=not (known and once))


def fit(decoded: Decoded, shape: Branch, contract: Contract = _OPEN) -> Row:
    """Spread a payload over the columns of `shape`; total."""
    if decoded.value is None:
        return _unread(decoded.text, contract)
    extra: dict[str, Any] = {}
    raw: dict[str, Any] = {}
    texts: dict[str, str] = {}
    try:
        values = _spread(decoded.value, shape, "", (extra, raw, texts))
        if (extra and contract.columns is Mode.DISCARD_ROW) or (raw and contract.data_types is Mode.DISCARD_ROW):
            return Row(None, None, None, discarded=True, waits=list(extra))
        if decoded.keep_whole:
            return Row(values, None, whole(decoded.text).raw)
        dropped, waits = 0, list(extra)
        if contract.columns is Mode.DISCARD_VALUE:
            dropped, extra = len(extra), {}
        if contract.data_types is Mode.DISCARD_VALUE:
            dropped, raw = dropped + len(raw), {}
        raw |= texts
        return Row(
            values,
            decode.dump(extra) if extra else None,
            decode.dump(raw) if raw else None,
            dropped=dropped,
            waits=waits,
        )
    except (RecursionError, ValueError):
        return whole(decoded.text)


def _unread(text: bytes, contract: Contract) -> Row:
    """Take what is no JSON object: none of it fits the payload's column."""
    if contract.data_types is Mode.DISCARD_ROW:
        return Row(None, None, None, discarded=True)
    return Row(None, None, None, dropped=1) if contract.data_types is Mode.DISCARD_VALUE else whole(text)


def whole(raw: bytes) -> Row:
    """Keep a payload as text only: the last resort, which cannot fail."""
    return Row(None, None, decode.dump({WHOLE: raw.decode("utf-8", "backslashreplace")}))


def pointer(name: str) -> str:
    """Return one step of a JSON pointer."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _spread(
    value: dict[str, Any], shape: Branch, at: str, kept: tuple[dict[str, Any], dict[str, Any], dict[str, str]]
) -> dict[str, Any]:
    """Return the values by column; `kept` takes the others: without a column, not of its type, texts beside it."""
    out: dict[str, Any] = {}
    fields = shape.fields
    for name, member in value.items():
        if member is None:
            continue
        column = fields.get(name)
        if column is None:
            kept[0][at + pointer(name)] = member
        elif column is Kind.STRING and type(member) is str and member.isascii():  # by far the commonest
            out[name] = member
        elif isinstance(column, Branch):
            if isinstance(member, dict):
                out[name] = _spread(member, column, at + pointer(name), kept)
            else:
                kept[1][at + pointer(name)] = member
        elif (fitted := _fit_leaf(column, member)) is not _MISFIT:
            out[name] = fitted
            if column is Kind.TIME and not forms.is_utc(member):
                kept[2][at + pointer(name)] = member
        else:
            kept[1][at + pointer(name)] = member
    return out


def _fit_leaf(kind: Leaf, value: Any) -> Any:  # noqa: ANN401, C901, PLR0911 JSON; one return a kind
    match kind:
        case Decimals():
            return _decimal(value, kind)
        case Kind.STRING:
            return value if isinstance(value, str) and (value.isascii() or _utf8(value)) else _MISFIT
        case Kind.LONG:
            return _whole_number(value, MIN_LONG, MAX_LONG)
        case Kind.INT:
            return _whole_number(value, _MIN_INT, _MAX_INT)
        case Kind.DOUBLE:
            return _double(value)
        case Kind.BOOL:
            return value if isinstance(value, bool) else _MISFIT
        case Kind.JSON:
            return decode.dump(value)
        case Kind.TIME:
            return (forms.time_of(value) if isinstance(value, str) else None) or _MISFIT
        case Kind.DATE:
            return (forms.date_of(value) if isinstance(value, str) else None) or _MISFIT
    if not isinstance(value, list):
        return _MISFIT
    element = ELEMENT[kind]
    fitted = [None if item is None else _fit_leaf(element, item) for item in value]
    return _MISFIT if any(item is _MISFIT for item in fitted) else fitted


def _whole_number(value: Any, low: int, high: int) -> Any:  # noqa: ANN401 JSON
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        return _MISFIT
    return value


def _decimal(value: Any, kind: Decimals) -> Any:  # noqa: ANN401 JSON
    if isinstance(value, bool) or not isinstance(value, (int, float, decode.Number)):
        return _MISFIT
    number = Decimal(value.text if isinstance(value, decode.Number) else repr(value))
    _sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        return _MISFIT
    if not any(digits):
        return Decimal(0)
    spare = len(digits) - len(bytes(digits).rstrip(b"\0"))
    if exponent + spare < -kind.scale or number.adjusted() >= kind.precision - kind.scale:
        return _MISFIT
    return number


def _double(value: Any) -> Any:  # noqa: ANN401 JSON
    if isinstance(value, float):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        return _MISFIT
    try:
        wide = float(value)
    except OverflowError:
        return _MISFIT
    return wide if abs(value) <= _EXACT or Decimal(repr(wide)) == value else _MISFIT


def _utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
