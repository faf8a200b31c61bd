"""Payloads value by value: what fits its column goes there, the rest is kept beside, never dropped, never rounded.

Lives here: the tolerant path. `_extra` holds what has no column, `_raw` what does not fit the column it has; both are
JSON objects from JSON pointer (RFC 6901, from the payload's root) to the value as sent. Pointer "" of `_raw` holds the
whole payload as text (a JSON string): when it is no JSON object, or names a member twice.
"""

from dataclasses import dataclass
from typing import Any

from sinks.columns.shape import ELEMENT, Branch, Kind
from sinks.rows import decode

MIN_LONG, MAX_LONG = -(2**63), 2**63 - 1
WHOLE = ""
_MISFIT = object()


@dataclass(frozen=True, slots=True)
class Row:
    """One payload fitted to a shape: values by column, and the JSON texts of `_extra` and `_raw`."""

    values: dict[str, Any] | None
    extra: str | None
    raw: str | None


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


def fit(decoded: Decoded, shape: Branch) -> Row:
    """Spread a payload over the columns of `shape`; total."""
    if decoded.value is None:
        return whole(decoded.text)
    extra: dict[str, Any] = {}
    raw: dict[str, Any] = {}
    try:
        values = _spread(decoded.value, shape, "", extra, raw)
        if decoded.keep_whole:
            return Row(values, None, whole(decoded.text).raw)
        return Row(values, decode.dump(extra) if extra else None, decode.dump(raw) if raw else None)
    except (RecursionError, ValueError):
        return whole(decoded.text)


def whole(raw: bytes) -> Row:
    """Keep a payload as text only: the last resort, which cannot fail."""
    return Row(None, None, decode.dump({WHOLE: raw.decode("utf-8", "backslashreplace")}))


def pointer(name: str) -> str:
    """Return one step of a JSON pointer."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _spread(
    value: dict[str, Any], shape: Branch, at: str, extra: dict[str, Any], raw: dict[str, Any]
) -> dict[str, Any]:
    out: dict[str, Any] = {}
    fields = shape.fields
    for name, member in value.items():
        if member is None:
            continue
        column = fields.get(name)
        if column is None:
            extra[at + pointer(name)] = member
        elif column is Kind.STRING and type(member) is str and member.isascii():  # by far the commonest
            out[name] = member
        elif isinstance(column, Branch):
            if isinstance(member, dict):
                out[name] = _spread(member, column, at + pointer(name), extra, raw)
            else:
                raw[at + pointer(name)] = member
        elif (fitted := _fit_leaf(column, member)) is not _MISFIT:
            out[name] = fitted
        else:
            raw[at + pointer(name)] = member
    return out


def _fit_leaf(kind: Kind, value: Any) -> Any:  # noqa: ANN401, PLR0911 JSON; one return a kind
    match kind:
        case Kind.STRING:
            return value if isinstance(value, str) and (value.isascii() or _utf8(value)) else _MISFIT
        case Kind.LONG:
            return _long(value)
        case Kind.DOUBLE:
            return _double(value)
        case Kind.BOOL:
            return value if isinstance(value, bool) else _MISFIT
        case Kind.JSON:
            return decode.dump(value)
    if not isinstance(value, list):
        return _MISFIT
    element = ELEMENT[kind]
    fitted = [None if item is None else _fit_leaf(element, item) for item in value]
    return _MISFIT if any(item is _MISFIT for item in fitted) else fitted


def _long(value: Any) -> Any:  # noqa: ANN401 JSON
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not MIN_LONG <= value <= MAX_LONG:
        return _MISFIT
    return value


def _double(value: Any) -> Any:  # noqa: ANN401 JSON
    if isinstance(value, float):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        return _MISFIT
    try:
        wide = float(value)
    except OverflowError:
        return _MISFIT
    return wide if int(wide) == value else _MISFIT


def _utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
