"""What a JSON Schema becomes: types by formats, ranges and steps, alternatives, references, limits, order."""

import json
from typing import Any

import pytest

from sinks.columns.evolve import evolved
from sinks.columns.from_schema import from_schemas
from sinks.columns.policy import Limits
from sinks.columns.shape import EMPTY, Branch, Decimals, Kind, Shape, leaves

NULL = {"type": "null"}


def columns(*schemas: dict[str, Any], limits: Limits = Limits(), loose: Kind | None = None) -> Branch:  # noqa: B008 frozen
    texts = [(f"s{n}@1", json.dumps(schema).encode()) for n, schema in enumerate(schemas)]
    return from_schemas(texts, limits, loose=loose).shape


def of(member: Any, **more: Any) -> Shape | None:
    return columns({"type": "object", "properties": {"m": member}, **more}).fields.get("m")


@pytest.mark.parametrize(
    ("member", "kind"),
    [
        ({"type": "string"}, Kind.STRING),
        ({"type": "string", "format": "date-time"}, Kind.TIME),
        ({"type": "string", "format": "date"}, Kind.DATE),
        ({"type": "string", "format": "time"}, Kind.STRING),
        ({"type": "string", "format": "uuid"}, Kind.STRING),
        ({"type": ["string", "null"], "format": "date-time"}, Kind.TIME),
        ({"format": "date-time"}, Kind.TIME),
        ({"type": "boolean"}, Kind.BOOL),
        ({"type": "integer"}, Kind.LONG),
        ({"type": "integer", "minimum": 0}, Kind.LONG),
        ({"type": "integer", "minimum": 0, "maximum": 255}, Kind.INT),
        ({"type": "integer", "minimum": 0, "maximum": 2**31}, Kind.LONG),
        ({"type": "integer", "minimum": 0, "maximum": 2**64}, Decimals(20, 0)),
        ({"type": "integer", "maximum": 10**60}, Decimals(38, 0)),
        ({"type": "integer", "minimum": 0, "exclusiveMinimum": True, "maximum": 9}, Kind.INT),
        ({"type": "number"}, Kind.DOUBLE),
        ({"type": "number", "multipleOf": 0.01}, Decimals(38, 2)),
        ({"type": "number", "multipleOf": 0.25, "minimum": 0, "maximum": 9999.75}, Decimals(6, 2)),
        ({"type": "number", "multipleOf": 5}, Kind.LONG),
        ({"type": "number", "multipleOf": 1e-30}, Kind.DOUBLE),
        ({"enum": ["a", "b", None]}, Kind.STRING),
        ({"enum": [1, 2]}, Kind.INT),
        ({"enum": [1, 0.5]}, Kind.DOUBLE),
        ({"enum": [1, "a"]}, Kind.JSON),
        ({"const": "push"}, Kind.STRING),
        ({"const": 2**40}, Kind.LONG),
        ({"type": ["integer", "string"]}, Kind.JSON),
        ({"type": ["integer", "number"]}, Kind.DOUBLE),
        ({"type": "null"}, None),
        ({}, None),
        (True, None),
        (False, None),
        ({"type": "object"}, Kind.JSON),
        ({"type": "object", "additionalProperties": {"type": "string"}}, Kind.JSON),
        ({"type": "object", "patternProperties": {"^x": {"type": "string"}}}, Kind.JSON),
        ({"type": "array"}, Kind.JSON),
        ({"type": "array", "items": {"type": "integer"}}, Kind.LIST_LONG),
        ({"type": "array", "items": {"type": "string", "format": "date-time"}}, Kind.LIST_STRING),
        ({"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}}, Kind.JSON),
        ({"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}, Kind.JSON),
        ({"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "number"}}, Kind.LIST_DOUBLE),
        ({"type": "array", "items": [{"type": "integer"}, {"type": "string"}]}, Kind.JSON),
        ({"anyOf": [{"type": "string"}, NULL]}, Kind.STRING),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, Kind.DOUBLE),
        ({"oneOf": [{"type": "string", "format": "date-time"}, {"type": "string"}]}, Kind.STRING),
        ({"oneOf": [{"type": "string", "format": "date-time"}, {"type": "integer"}]}, Kind.JSON),
        ({"anyOf": [{"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 9}, {"type": "integer"}]},
         Decimals(21, 2)),
        ({"allOf": [{"type": "number"}, {"type": "integer", "minimum": 0, "maximum": 9}]}, Kind.INT),
        ({"type": "string", "allOf": [{"format": "date-time"}]}, Kind.TIME),
        ({"if": {"type": "string"}, "then": {"type": "string"}, "else": {"type": "integer"}}, Kind.JSON),
    ],
)  # fmt: skip
def test_a_member_has_the_type_that_its_schema_names(member: Any, kind: Shape | None) -> None:
    assert of(member) == kind


def test_a_reference_is_followed_and_one_to_itself_ends_at_the_typed_depth() -> None:
    assert of({"$ref": "#/$defs/money"}, **{"$defs": {"money": {"type": "number", "multipleOf": 0.01}}}) == Decimals(
        38, 2
    )
    shape: Shape | None = columns(
        {"type": "object", "properties": {"id": {"type": "integer"}, "parent": {"$ref": "#"}}}
    )
    for _level in range(3):
        assert isinstance(shape, Branch)
        assert shape.fields["id"] is Kind.LONG
        shape = shape.fields["parent"]
    assert shape == Branch({"id": Kind.LONG, "parent": Kind.JSON})


def test_a_schema_without_end_costs_no_more_than_its_columns() -> None:
    wide = {f"m{n}": {"$ref": "#"} for n in range(40)}
    assert columns({"type": "object", "properties": wide}, limits=Limits(10, 500)) == EMPTY
    named = {**dict(list(wide.items())[:8]), "id": {"type": "integer"}}
    assert leaves(columns({"type": "object", "properties": named}, limits=Limits(10, 500))) == 500


def test_conditions_and_alternatives_of_objects_are_joined_member_by_member() -> None:
    base = {"type": "object", "properties": {"id": {"type": "integer"}}}
    paid = {"properties": {"amount": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}}}
    back = {"properties": {"amount": {"type": "number"}, "why": {"type": "string"}}}
    wanted = {"id": Kind.LONG, "amount": Kind.DOUBLE, "at": Kind.TIME, "why": Kind.STRING}
    assert columns({**base, "oneOf": [paid, back]}).fields == wanted
    assert columns({"allOf": [base, {"anyOf": [paid, back]}]}).fields == wanted
    assert columns({"allOf": [base, paid, back]}).fields == {**wanted, "amount": Kind.LONG}


def test_schemas_of_one_stream_are_widened_together() -> None:
    one = {"properties": {"id": {"type": "integer"}, "to": {"properties": {"a": {"type": "string"}}}}}
    two = {
        "properties": {"id": {"type": "string"}, "to": {"properties": {"b": {"type": "boolean"}}}, "n": {"const": 1}}
    }
    wanted = {"id": Kind.JSON, "to": Branch({"a": Kind.STRING, "b": Kind.BOOL}), "n": Kind.INT}
    assert columns(one, two).fields == wanted


def test_columns_are_granted_by_depth_then_by_the_schemas_order() -> None:
    schema = {"properties": {"z": {"properties": {"deep": {"type": "string"}}}, "c": {"type": "string"},
                             "a": {"type": "string"}, "b": {"type": "string"}}}  # fmt: skip
    assert list(columns(schema, limits=Limits(3, 2)).fields) == ["c", "a"]
    assert columns(schema, limits=Limits(3, 4)) == Branch(
        {"z": Branch({"deep": Kind.STRING}), "c": Kind.STRING, "a": Kind.STRING, "b": Kind.STRING}
    )


def test_named_paths_are_typed_whatever_their_depth_and_number() -> None:
    deep: dict[str, Any] = {"type": "string", "format": "date-time"}
    for name in ("at", "e", "d", "c", "b", "a"):
        deep = {"type": "object", "properties": {name: deep, f"{name}_other": {"type": "integer"}}}
    path = ("a", "b", "c", "d", "e", "at")
    shape: Shape = columns(deep, limits=Limits(2, 1, frozenset({path})))
    for name in path:
        assert isinstance(shape, Branch)
        shape = shape.fields[name]
    assert shape is Kind.TIME


@pytest.mark.parametrize("name", ["", "a.b", " a", "x" * 129])
def test_a_name_that_cannot_be_a_column_is_none(name: str) -> None:
    assert columns({"properties": {name: {"type": "string"}, "id": {"type": "string"}, "ID": {"type": "integer"}}}) == (
        Branch({"id": Kind.STRING})
    )


def test_where_nothing_is_observed_a_member_without_a_type_is_json_text() -> None:
    schema = {"properties": {"any": {}, "id": {"type": "string"}}}
    assert columns(schema, loose=Kind.JSON).fields == {"any": Kind.JSON, "id": Kind.STRING}


def test_docs_name_the_place_in_the_schema_and_say_its_description() -> None:
    members = {"a/b": {"type": "string", "description": " The\n name "}, "t": {"$ref": "#/$defs/t"}}
    schema = {"$defs": {"t": {"title": "When", "type": "string"}}, "properties": members}
    found = from_schemas([("shop@2", json.dumps(schema).encode())], Limits()).docs
    assert found["a/b",] == " [shop@2#/properties/a~1b]: The name"
    assert found["t",] == " [shop@2#/properties/t]: When"


def test_a_pin_that_moved_adds_columns_and_widens_only_what_iceberg_widens() -> None:
    have = Branch(
        {"n": Kind.INT, "m": Decimals(5, 2), "s": Kind.STRING, "o": Branch({"x": Kind.LONG}), "ID": Kind.LONG}
    )
    inner = Branch({"x": Kind.DOUBLE, "y": Kind.BOOL})
    wanted = Branch({"n": Kind.LONG, "m": Decimals(9, 2), "s": Kind.TIME, "o": inner, "id": Kind.STRING})
    assert evolved(have, wanted, Limits()).fields == {
        "n": Kind.LONG, "m": Decimals(9, 2), "s": Kind.STRING, "o": Branch({"x": Kind.LONG, "y": Kind.BOOL}),
        "ID": Kind.LONG,
    }  # fmt: skip
    assert evolved(have, Branch({"m": Decimals(9, 3)}), Limits()) == have
    assert evolved(have, wanted, Limits(3, 5)).fields["o"] == Branch({"x": Kind.LONG})
