"""Known changes of schemas: which break whom, where, and in which words."""

import json
from typing import Any

import pytest

from schemas.contracts import Asserted, breaks
from schemas.contracts.normal import URIS
from schemas.errors import Refused
from schemas.reasons import Reason

Schema = Any
ORDER = {"type": "object", "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}, "required": ["n"]}
CLOSED = {**ORDER, "additionalProperties": False}
TREE = {
    "$ref": "#/$defs/t",
    "$defs": {"t": {"properties": {"v": {"type": "integer"}, "c": {"items": {"$ref": "#/$defs/t"}}}}},
}
ROOT = {"type": "object", "properties": {"next": {"$ref": "#"}, "v": {"type": "integer"}}}


def text(schema: Schema) -> bytes:
    return json.dumps(schema).encode()


def wider(schema: Schema) -> Schema:
    return json.loads(json.dumps(schema).replace('"integer"', '"number"'))


def with_member(schema: Schema, name: str, member: Schema) -> Schema:
    return {**schema, "properties": {**schema["properties"], name: member}}


def kinds(*names: str) -> Schema:
    return {
        "oneOf": [
            {"type": "object", "properties": {"kind": {"const": name}, "v": {"type": "integer"}}, "required": ["kind"]}
            for name in names
        ]
    }


LOOSENED: list[tuple[str, Schema, Schema, str]] = [
    # what, the narrow schema, the wide one, where the way back breaks
    ("a member is no longer required", {**ORDER, "required": ["n", "s"]}, ORDER, "/required"),
    ("a type is wider", ORDER, with_member(ORDER, "n", {"type": "number"}), "/properties/n/type"),
    ("one type more", ORDER, with_member(ORDER, "s", {"type": ["string", "null"]}), "/properties/s/type"),
    ("a member may be anything", ORDER, with_member(ORDER, "s", {}), "/properties/s/type"),
    ("a closed object has one more", CLOSED, with_member(CLOSED, "new", {"type": "string"}), "/additionalProperties"),
    ("a closed object is open", CLOSED, ORDER, "/additionalProperties"),
    ("an enum has a value more", {"enum": ["a", "b"]}, {"enum": ["a", "b", "c"]}, "/enum"),
    ("a constant becomes an enum", {"const": "a"}, {"enum": ["a", "b"]}, "/const"),
    ("an enum becomes a type", {"enum": ["a", "b"]}, {"type": "string"}, "/enum"),
    ("a border is further out", {"minimum": 3}, {"minimum": 2}, "/minimum"),
    ("a border is taken in", {"exclusiveMinimum": 3}, {"minimum": 3}, "/exclusiveMinimum"),
    ("a text may be longer", {"maxLength": 3}, {"maxLength": 4}, "/maxLength"),
    ("a pattern goes", {"pattern": "^a"}, {}, "/pattern"),
    ("an array may be empty", {"minItems": 1}, {}, "/minItems"),
    ("items may be anything", {"type": "array", "items": {"type": "string"}}, {"type": "array"}, "/items/type"),
    ("a branch more", {"anyOf": [{"type": "string"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}, ""),
    ("a kind more", kinds("a", "b"), kinds("a", "b", "c"), "/oneOf"),
    ("a kind is wider", kinds("a", "b"), wider(kinds("a", "b")), "/oneOf/0/properties/v/type"),
    ("a recursive schema is wider", TREE, wider(TREE), "/$defs/t/properties/v/type"),
    ("a schema that names itself is wider", ROOT, wider(ROOT), "/properties/v/type"),
    ("a definition is bundled", ORDER, {"$ref": "#/$defs/o", "$defs": {"o": wider(ORDER)}}, "/properties/n/type"),
    ("what depends goes", {"dependentRequired": {"a": ["b"]}}, {}, "/dependentRequired"),
    ("a prohibition goes", {"not": {"required": ["a"]}}, {}, "/not"),
]  # fmt: skip


@pytest.mark.parametrize(("narrow", "wide", "back"), [row[1:] for row in LOOSENED], ids=[row[0] for row in LOOSENED])
def test_a_loosened_schema_is_backward_and_the_way_back_is_forward(narrow: Schema, wide: Schema, back: str) -> None:
    old, new = text(narrow), text(wide)
    assert breaks("backward", old, new) == ()
    assert breaks("forward", new, old) == ()
    broken = breaks("backward", new, old)
    assert broken, "the way back breaks"
    assert any(one.pointer.startswith(back) for one in broken), broken
    assert all(one.message.startswith("backward: ") for one in broken)
    assert breaks("forward", old, new), "and forward it breaks this way"
    assert len(breaks("full", old, new)) == len(breaks("forward", old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (ORDER, {**ORDER, "title": "An order", "description": "of something", "examples": [{"n": 1}]}),
        (ORDER, {**ORDER, "properties": {"n": {"type": "integer", "x-own": True}, "s": {"type": ["string"]}}}),
        (ORDER, {"allOf": [{"$ref": "#/$defs/o"}], "$defs": {"o": ORDER, "unused": {"type": "null"}}}),
        ({"type": ["string", "null"]}, {"anyOf": [{"type": "null"}, {"type": "string"}]}),
        ({"$schema": URIS[7], **ORDER}, {"$schema": URIS[2020], **ORDER}),
        ({"$schema": URIS[7], "items": [{"type": "null"}], "additionalItems": False},
         {"$schema": URIS[2020], "prefixItems": [{"type": "null"}], "items": False}),
        ({"$schema": URIS[4], "minimum": 3, "exclusiveMinimum": True}, {"$schema": URIS[2019], "exclusiveMinimum": 3}),
        ({"$schema": URIS[7], "dependencies": {"a": ["b"]}},
         {"$schema": URIS[2020], "dependentRequired": {"a": ["b"]}}),
        ({"$schema": URIS[4], "const": 1, "if": False}, {"$schema": URIS[2020]}),
        ({"$schema": URIS[7], "$ref": "#/definitions/a", "type": "null", "definitions": {"a": {"type": "string"}}},
         {"$schema": URIS[2020], "type": "string"}),
    ],
)  # fmt: skip
def test_the_same_in_other_words_is_fully_compatible(old: Schema, new: Schema) -> None:
    assert breaks("full", text(old), text(new)) == ()


def test_a_new_member_of_an_open_object_breaks_backward_for_it_may_have_been_anything() -> None:
    broken = breaks("backward", text(ORDER), text(with_member(ORDER, "new", {"type": "string"})))
    assert [(one.pointer, one.event) for one in broken] == [("/properties/new/type", "/new")]
    assert broken[0].message == 'backward: `type` was not there, is "string"'


def test_every_break_is_told_with_its_places_and_words() -> None:
    changed = with_member({**ORDER, "required": ["n", "s"]}, "n", {"type": "string"})
    broken = {one.pointer: one for one in breaks("backward", text(ORDER), text(changed))}
    assert broken.keys() == {"/required", "/properties/n/type"}
    assert broken["/required"].message == "backward: required now: 's'"
    assert broken["/properties/n/type"].message == 'backward: `type` was "integer", is "string"'
    assert broken["/properties/n/type"].event == "/n"
    forward = breaks("forward", text({**ORDER, "required": ["n", "s"]}), text(ORDER))
    assert [(one.pointer, one.message) for one in forward] == [("", "forward: no longer required: 's'")]


def test_a_break_in_a_definition_is_told_once_where_the_definition_stands() -> None:
    def made(kind: str) -> bytes:
        user = {"type": "object", "properties": {"id": {"type": kind}}}
        return text({"properties": {"a": {"$ref": "#/$defs/u"}, "b": {"$ref": "#/$defs/u"}}, "$defs": {"u": user}})

    assert [one.pointer for one in breaks("backward", made("number"), made("integer"))] == [
        "/$defs/u/properties/id/type"
    ]


def test_formats_count_where_they_are_asserted_and_only_there() -> None:
    plain, dated = text({"type": "string"}), text({"type": "string", "format": "date-time"})
    assert breaks("full", plain, dated) == ()
    assert [one.pointer for one in breaks("backward", Asserted(plain), Asserted(dated))] == ["/format"]
    assert breaks("forward", Asserted(plain), Asserted(dated)) == ()


@pytest.mark.parametrize("word", ["const", "enum"])
def test_one_is_not_true(word: str) -> None:
    old, new = ({word: value if word == "const" else [value]} for value in (1, True))
    assert breaks("backward", text(old), text(new))
    assert breaks("forward", text(old), text(new))
    assert breaks("backward", text({**old, "title": "a"}), text({**new, "maxLength": 3}))


def test_none_compares_nothing() -> None:
    assert breaks("none", text({"type": "string"}), text({"type": "null"})) == ()


def test_what_cannot_be_compared_is_refused_and_says_so() -> None:
    old = {"$anchor": "here", "type": "object", "properties": {"n": {"$ref": "#here"}}}
    assert breaks("full", text(old), text(old)) == ()
    broken = breaks("backward", text(old), text({**old, "required": ["n"]}))
    assert ["$anchor" in one.message for one in broken] == [True]
    draft_4, draft_7 = ({"$schema": URIS[draft], "type": "integer"} for draft in (4, 7))
    assert breaks("backward", text(draft_4), text(draft_7)) == ()
    assert "1.0" in breaks("forward", text(draft_4), text(draft_7))[0].message


def test_comparing_ends_when_its_time_is_over_and_refuses() -> None:
    broken = breaks("backward", text(ORDER), text(wider(ORDER)), lambda: True)
    assert ["too large" in one.message for one in broken] == [True]


def test_breaks_are_bounded() -> None:
    many = {"properties": {f"m{n}": {"type": "string"} for n in range(300)}}
    assert len(breaks("backward", text({}), text(many))) == 50


@pytest.mark.parametrize(
    ("schema", "pointer", "word"),
    [
        ({"$ref": "#"}, "/$ref", "leads back"),
        ({"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"allOf": [{"$ref": "#"}]}}}, "", "leads back"),
        ({"pattern": "a" * 3_000}, "/pattern", "characters"),
        ({"patternProperties": {"a" * 3_000: {}}}, "/patternProperties/", "characters"),
        ({"anyOf": [{"pattern": f"a{n}"} for n in range(101)]}, "", "patterns"),
        ({"allOf": [{"$ref": "#/$defs/a"}] * 10_001, "$defs": {"a": {}}}, "", "references"),
        ({"enum": list(range(100_001))}, "", "values"),
    ],
)
def test_a_schema_past_a_bound_is_refused(schema: Schema, pointer: str, word: str) -> None:
    with pytest.raises(Refused) as refused:
        breaks("backward", text({}), text(schema))
    assert refused.value.reason is Reason.INVALID_DEFINITION
    assert word in refused.value.detail
    assert refused.value.errors[0][0].startswith(pointer)


def test_nesting_and_bytes_are_bounded() -> None:
    deep: Schema = {}
    for _ in range(120):
        deep = {"not": deep}
    with pytest.raises(Refused, match="deep"):
        breaks("full", text(deep), text({}))
    with pytest.raises(Refused) as refused:
        breaks("full", b"{}" + b" " * (2 << 20), b"{}")
    assert refused.value.reason is Reason.BODY_TOO_LARGE


def test_references_that_go_into_the_value_may_lead_back() -> None:
    assert breaks("full", text(TREE), text(TREE)) == ()
