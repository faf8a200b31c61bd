"""Under each contract, typed by a schema or by values, a payload comes back as the contract says.

The oracle here knows the columns and the contract, and nothing of how rows are made.
"""

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.columns.policy import Limits, Mode
from sinks.columns.shape import ELEMENT, EMPTY, Branch, Decimals, Kind, Leaf, leaves
from sinks.columns.typing import Typing
from sinks.rows.events import Events
from sinks.rows.rebuild import rebuild
from tests.property.sinks.test_rebuild import PAYLOADS, VALUES, without_nulls
from tests.unit.sinks.wrapped import read

TIMES = (
    "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.120Z", "2026-01-01T00:00:00.000000+00:00", "2026-01-01T01:30:00+01:30",
    "2026-01-01T00:00:00.1234567Z", "2026-01-01 00:00:00Z", "2026-01-01T23:59:60Z", "0001-01-01T00:00:00+02:00", "now",
    "2026-01-01", "0000-01-01", "2026-02-30", "", "2026-01-01T00:00:00-00:00",
)  # fmt: skip
SCHEMA = {
    "type": "object",
    "properties": {
        "at": {"type": "string", "format": "date-time"},
        "day": {"type": ["string", "null"], "format": "date"},
        "count": {"type": "integer", "minimum": 0, "maximum": 100},
        "id": {"type": "integer"},
        "wide": {"type": "integer", "minimum": 0, "maximum": 2**64},
        "amount": {"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 10_000},
        "rate": {"type": "number"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "meta": {"type": "object"},
        "a": {"type": "object", "properties": {"b": {"type": "boolean"}, "c": {"$ref": "#"}}},
        "any": {},
    },
}
NUMBERS = st.integers(-5, 200) | st.sampled_from(
    [2**31, 2**53 + 1, 2**63 + 5, 2**64, 2**200, 5.7, 19.99, 19.999, 1e22, 0.1, 1e300, -0.0, "1.5", True]
)
ODD = VALUES | st.just("\ud800")
MEMBERS = {
    "at": st.sampled_from(TIMES), "day": st.sampled_from(TIMES), "count": NUMBERS, "id": NUMBERS, "wide": NUMBERS,
    "amount": NUMBERS, "rate": NUMBERS, "tags": st.lists(st.text(max_size=3)), "meta": VALUES, "any": VALUES,
}  # fmt: skip
INNER = st.fixed_dictionaries({}, optional={"b": st.booleans(), "c": st.fixed_dictionaries({}, optional=MEMBERS)})
NEAR = st.fixed_dictionaries({}, optional={**{name: each | ODD for name, each in MEMBERS.items()}, "a": INNER | ODD})
SENT = st.lists(st.lists(NEAR | PAYLOADS, min_size=1, max_size=5), min_size=1, max_size=3)
NEW, MISFIT = "new", "misfit"


def fits(value: Any, leaf: Leaf) -> bool:  # noqa: PLR0911 one return a type
    number = not isinstance(value, bool) and isinstance(value, (int, Decimal))
    match leaf:
        case Decimals():
            return number and _exact(value, leaf.precision, leaf.scale)
        case Kind.JSON:
            return True
        case Kind.INT | Kind.LONG:
            bits = 31 if leaf is Kind.INT else 63
            return number and value == int(value) and -(2**bits) <= value < 2**bits
        case Kind.DOUBLE:
            return number and abs(value) < Decimal("1.8e308") and Decimal(repr(float(value))) == value
        case Kind.STRING:
            return isinstance(value, str) and "\ud800" not in value
        case Kind.BOOL:
            return isinstance(value, bool)
        case Kind.TIME:
            return isinstance(value, str) and moment(value) is not None
        case Kind.DATE:
            return isinstance(value, str) and _day(value)
    return isinstance(value, list) and all(one is None or fits(one, ELEMENT[leaf]) for one in value)


def _exact(value: Any, precision: int, scale: int) -> bool:
    shifted = Decimal(value).scaleb(scale)
    return shifted == shifted.to_integral_value() and abs(shifted) < Decimal(10) ** precision


def _day(text: str) -> bool:
    try:
        return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


def moment(text: str) -> datetime | None:
    try:
        known = re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", text, re.ASCII)
        return datetime.fromisoformat(text).astimezone(UTC) if known else None
    except (ValueError, OverflowError):
        return None


def judge(payload: dict[str, Any], shape: Branch, out: set[str], found: set[str]) -> dict[str, Any]:
    """Return the payload without what the contract leaves `out`; note what there was in `found`."""
    made = {}
    for name, value in payload.items():
        column = shape.fields.get(name)
        fault = NEW if column is None else None
        if isinstance(column, Branch) and isinstance(value, dict):
            made[name] = judge(value, column, out, found)
            continue
        if column is not None and (isinstance(column, Branch) or not fits(value, column)):
            fault = MISFIT
        if fault is not None:
            found.add(fault)
        if fault not in out:
            made[name] = value
    return made


def same(sent: Any, back: Any) -> bool:
    if isinstance(sent, dict):
        return isinstance(back, dict) and sent.keys() == back.keys() and all(same(sent[k], back[k]) for k in sent)
    if isinstance(sent, list):
        return isinstance(back, list) and len(sent) == len(back) and all(map(same, sent, back))
    if isinstance(sent, bool) or isinstance(back, bool):
        return sent is back
    if isinstance(sent, (int, Decimal)) and isinstance(back, (int, float, Decimal)):
        return sent == (Decimal(repr(back)) if isinstance(back, float) else back)
    if isinstance(sent, str) and isinstance(back, str) and sent.endswith(("Z", "+00:00", "-00:00")) and moment(sent):
        return moment(sent) == moment(back)
    return type(sent) is type(back) and bool(sent == back)


def exact(text: str | bytes) -> Any:
    return without_nulls(json.loads(text, parse_float=Decimal))


def back_of(row: dict[str, Any], shape: Branch) -> Any:
    kept = rebuild(row.get("payload"), row["_extra"], row["_raw"], shape)
    return exact(json.dumps(kept, default=lambda number: float(number) if number % 1 else int(number)))


def pin(*schemas: Any) -> tuple[tuple[str, bytes], ...]:
    return tuple((f"s{n}@1", json.dumps(schema).encode()) for n, schema in enumerate(schemas))


@settings(max_examples=120, deadline=None)
@given(
    SENT,
    st.sampled_from([*Mode]),
    st.sampled_from([*Mode]),
    st.sampled_from([(), pin(SCHEMA), pin(SCHEMA, {"properties": {"id": {"type": "string"}, "b": {"const": 1}}})]),
    st.sampled_from([Limits(), Limits(1, 6), Limits(2, 9, frozenset({("a", "c", "a", "b")}))]),
    st.booleans(),
)
def test_a_payload_comes_back_as_the_contract_says(
    batches: list[list[dict[str, Any]]], columns: Mode, types: Mode, pins: Any, limits: Limits, frozen: bool
) -> None:
    typing = Typing(limits, columns, types, pins, frozen)
    reader, shape = Events(limits, typing.contract()), typing.grown(EMPTY, typing.pinned())
    once = not shape.fields and not frozen
    out = {fault for fault, mode in ((NEW, columns), (MISFIT, types)) if mode is Mode.DISCARD_VALUE}
    for batch in (*batches, *batches):
        texts = [json.dumps(payload).encode() for payload in batch]
        before, first = shape, once and not shape.fields
        made = read(reader, texts, shape)
        shape = made.shape
        assert (columns is Mode.EVOLVE and not frozen) or first or shape == before
        assert leaves(shape) <= max(limits.max_columns, leaves(before)) + len(limits.named)
        rows = iter(made.rows.to_pylist())
        for number, sent in enumerate(map(exact, texts)):
            found: set[str] = set()
            wanted = judge(sent, shape, out, found)
            refused = (NEW in found and columns is Mode.DISCARD_ROW) or (MISFIT in found and types is Mode.DISCARD_ROW)
            assert refused == (number in made.discarded), (sent, shape)
            if not refused:
                back = back_of(next(rows), shape)
                assert same(wanted, back), (sent, back, shape)
        assert next(rows, None) is None


@pytest.mark.parametrize("text", [b"NaN", b"[1]", b"{", b'{"a":NaN}', b'{"a":"\xff"}', b"null", b'{"id":1,"id":2}'])
@pytest.mark.parametrize("types", [*Mode])
def test_what_is_no_json_object_stops_nothing(text: bytes, types: Mode) -> None:
    typing = Typing(data_types=types, pins=pin(SCHEMA))
    reader, shape = Events(typing.limits, typing.contract()), typing.grown(EMPTY, typing.pinned())
    for _path in range(2):
        made = read(reader, [b'{"id":1}', text, b'{"id":2}'], shape)
        twice = text.startswith(b'{"id"')
        kept = made.rows["_raw"].to_pylist()
        if types is Mode.DISCARD_ROW and not twice:
            assert (made.discarded, kept) == ([1], [None, None])
        elif types is Mode.DISCARD_VALUE and not twice:
            assert (made.dropped, kept) == (1, [None, None, None])
        else:
            assert json.loads(kept[1]) == {"": text.decode("utf-8", "backslashreplace")}
