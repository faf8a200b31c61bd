"""Every payload comes back from typed columns + `_extra` + `_raw`, whatever a vendor sends."""

import json
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.columns.policy import Limits
from sinks.columns.shape import EMPTY, leaves
from sinks.rows.events import Events
from sinks.rows.rebuild import rebuild
from tests.unit.sinks.wrapped import read

NAMES = st.sampled_from(["a", "b", "c", "A", "a b", "a_x20b", "", "a.b", "é", "~", "/", "id", "0"]) | st.text(
    max_size=3
)
NUMBERS = (
    st.integers()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from([2**53 + 1, 2**63, -(2**63), 2**63 - 1, 5.7, 1.0, 1e22, 1e300, -0.0, 5e-324])
    | st.floats(allow_nan=False, allow_infinity=False)
)
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=5) | st.sampled_from(["2026-01-01T00:00:00Z", "9"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
PAYLOADS = st.dictionaries(NAMES, VALUES, max_size=5)
REGULAR = st.fixed_dictionaries(
    {"id": st.text(max_size=4), "n": st.integers(-5, 5)},
    optional={
        "v": st.floats(-1, 1) | st.integers(0, 3),
        "t": st.lists(st.text(max_size=2)),
        "o": st.fixed_dictionaries({"x": st.booleans()}),
    },
)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [without_nulls(member) for member in value]
    return value


def same(left: Any, right: Any) -> bool:
    """Equal values, where 1 and true are not."""
    if isinstance(left, dict):
        return isinstance(right, dict) and left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(same, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def check(batches: list[list[bytes]], limits: Limits) -> None:
    reader, shape = Events(limits), EMPTY
    for batch in batches:
        made = read(reader, batch, shape)
        shape = made.shape
        assert leaves(shape) <= limits.max_columns
        for sent, row in zip(batch, made.rows.to_pylist(), strict=True):
            back = rebuild(row.get("payload"), row["_extra"], row["_raw"], shape)
            assert same(without_nulls(back), without_nulls(json.loads(sent))), (sent, row)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(PAYLOADS, min_size=1, max_size=6), min_size=1, max_size=4),
    st.integers(1, 4),
    st.integers(1, 12),
    st.booleans(),
)
def test_rebuilds_every_payload(batches: list[list[dict[str, Any]]], depth: int, columns: int, spaced: bool) -> None:
    separators = (", ", " : ") if spaced else (",", ":")
    texts = [
        [json.dumps(payload, separators=separators, indent=1 if spaced else None).encode() for payload in batch]
        for batch in batches
    ]
    check(texts, Limits(depth, columns))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(REGULAR, min_size=1, max_size=8), min_size=2, max_size=4), st.lists(PAYLOADS, max_size=2))
def test_rebuilds_regular_payloads_with_odd_ones_among_them(
    batches: list[list[dict[str, Any]]], odd: list[dict[str, Any]]
) -> None:
    batches[-1].extend(odd)
    check([[json.dumps(payload).encode() for payload in batch] for batch in batches], Limits())


@settings(max_examples=100, deadline=None)
@given(
    st.text("0123456789", min_size=1, max_size=25),
    st.text("0123456789", max_size=25),
    st.none() | st.integers(-400, 400),
    st.booleans(),
)
def test_keeps_the_digits_of_a_number(whole: str, fraction: str, exponent: int | None, first_is_double: bool) -> None:
    text = str(int(whole)) + ("." + fraction if fraction else "") + ("" if exponent is None else f"e{exponent}")
    sent = b'{"n":' + text.encode() + b"}"
    reader = Events(Limits())
    shape = read(reader, [b'{"n":0.5}' if first_is_double else b'{"n":7}'], EMPTY).shape
    row = read(reader, [sent], shape).rows.to_pylist()[0]
    values, raw = row["payload"], row["_raw"]
    if values["n"] is not None:
        assert Decimal(repr(values["n"])) == Decimal(text)
    else:
        assert Decimal(raw.removeprefix('{"/n":').removesuffix("}")) == Decimal(text)


def test_keeps_the_text_of_a_payload_that_names_a_member_twice() -> None:
    sent = [b'{"a":1}', b'{"a":1,"a":2}', b'{"b":{"c" :1,"c":2}}', b'{"a":null,"a":3}']
    made = read(Events(Limits()), sent, EMPTY)
    assert [raw and json.loads(raw) for raw in made.rows["_raw"].to_pylist()] == [
        None,
        {"": sent[1].decode()},
        {"": sent[2].decode()},
        {"": sent[3].decode()},
    ]
    assert [payload["a"] for payload in made.rows["payload"].to_pylist()] == [1, 2, None, 3]
    again = read(Events(Limits()), sent, made.shape)
    assert again.rows["_raw"].to_pylist() == made.rows["_raw"].to_pylist()
