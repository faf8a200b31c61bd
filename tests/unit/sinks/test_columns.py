"""What a payload's members are typed as, and what waits."""

from typing import Any

import pytest

from sinks.columns import names
from sinks.columns.from_rows import observe
from sinks.columns.policy import Limits
from sinks.columns.shape import EMPTY, Branch, Kind, Shape
from sinks.rows.decode import Number

L = Limits()


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, Kind.BOOL),
        (1, Kind.LONG),
        (2**63, None),
        (1.0, Kind.DOUBLE),
        (Number("1e999"), None),
        ("2026-01-01T00:00:00Z", Kind.STRING),
        ([], None),
        ({}, None),
        ([None], None),
        ([1, None], Kind.LIST_LONG),
        ([1, 2.5], Kind.LIST_DOUBLE),
        ([1, "a"], Kind.JSON),
        ([{"a": 1}], Kind.JSON),
        ([[1]], Kind.JSON),
        ({"a": None}, None),
    ],
)
def test_types_a_member_as_observed(value: Any, kind: Kind | None) -> None:
    assert observe([{"m": value}], EMPTY, L).fields.get("m") == kind


def test_an_object_below_the_typed_depth_is_json_text() -> None:
    payload = {"a": {"b": {"c": {"d": {"e": 1}}}}}
    shape: Shape = observe([payload], EMPTY, L)
    for name in "abc":
        assert isinstance(shape, Branch)
        shape = shape.fields[name]
    assert shape == Branch({"d": Kind.JSON})


def test_a_whole_number_and_a_fraction_in_one_batch_make_a_double() -> None:
    assert observe([{"n": 1}, {"n": 1.5}], EMPTY, L) == Branch({"n": Kind.DOUBLE})


def test_a_column_keeps_its_type() -> None:
    have = Branch({"n": Kind.LONG, "s": Branch({"x": Kind.BOOL})})
    assert observe([{"n": 1.5, "s": {"x": "no", "y": 1}}], have, L) == Branch(
        {"n": Kind.LONG, "s": Branch({"x": Kind.BOOL, "y": Kind.LONG})}
    )


def test_columns_past_the_limit_are_the_deepest_ones() -> None:
    shape = observe([{"a": {"deep": 1}, "b": 1, "c": 1}], EMPTY, Limits(3, 2))
    assert shape == Branch({"b": Kind.LONG, "c": Kind.LONG})
    assert observe([{"d": 1}], shape, Limits(3, 2)) == shape


@pytest.mark.parametrize(("first", "second"), [({"id": 1}, {"ID": 2}), ({"s": {"a b": 1}}, {"s": {"a_x20b": 2}})])
def test_the_first_of_two_clashing_names_is_the_column(first: dict[str, Any], second: dict[str, Any]) -> None:
    alone = observe([first], EMPTY, L)
    assert observe([first, second], EMPTY, L) == alone
    assert observe([second], alone, L) == alone


def test_many_new_names_cost_time_in_proportion_to_their_number() -> None:
    seen: list[str] = []
    real = names.key

    def counted(name: str) -> str:
        seen.append(name)
        return real(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(names, "key", counted)
        full = observe([{f"k{n}": n for n in range(5000)}], EMPTY, L)
        assert len(full.fields) == L.max_columns
        assert len(seen) <= 3 * 5000
        seen.clear()
        assert observe([{f"k{n}": n for n in range(5000)}], full, L) is full
        assert not seen
