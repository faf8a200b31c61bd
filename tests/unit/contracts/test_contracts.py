"""Contracts: each draft means what it says, formats never judge, nothing is fetched, the cache is bounded."""

import json
from typing import Any

import pytest

from schemas.contracts import Asserted, Library, check_schema, compile_schema
from schemas.errors import Refused
from schemas.reasons import Reason


def text(schema: Any) -> bytes:
    return json.dumps(schema).encode()


@pytest.mark.parametrize(
    "schema",
    [
        {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 3, "exclusiveMinimum": True},
        {"$schema": "http://json-schema.org/draft-06/schema#", "exclusiveMinimum": 3},
        {"$schema": "http://json-schema.org/draft-07/schema#", "if": True, "then": {"exclusiveMinimum": 3}},
        {"$schema": "https://json-schema.org/draft/2019-09/schema", "exclusiveMinimum": 3},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "exclusiveMinimum": 3},
        {"exclusiveMinimum": 3},
    ],
)
def test_every_draft_is_read_by_its_own_rules(schema: Any) -> None:
    contract = compile_schema(text(schema))
    assert contract.validate(4) is None
    assert contract.validate(3) is not None


def test_tells_pointer_and_message_of_the_first_fault() -> None:
    contract = compile_schema(text({"properties": {"a/b": {"items": {"type": "string"}}}}))
    found = contract.validate({"a/b": ["x", 3]})
    assert found is not None
    assert found[0] == "/a~1b/1"
    assert "string" in found[1]


def test_formats_never_judge() -> None:
    schema = {"$schema": "http://json-schema.org/draft-04/schema#", "format": "date-time", "type": "string"}
    assert compile_schema(text(schema)).validate("not a date") is None


@pytest.mark.parametrize(
    "schema",
    [
        b"{",
        b"3",
        text({"type": "nonsense"}),
        text({"$ref": "http://localhost:1/other.json"}),
        text({"$ref": "file:///etc/hostname"}),
        text({"$ref": "#/$defs/absent"}),
        text({"$schema": "http://example.com/own-dialect"}),
        text({"pattern": "("}),
    ],
)
def test_an_unusable_schema_is_refused(schema: bytes) -> None:
    with pytest.raises(Refused) as refused:
        check_schema(schema)
    assert refused.value.reason is Reason.INVALID_DEFINITION


def test_a_bundled_reference_is_followed() -> None:
    contract = compile_schema(text({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}))
    assert contract.validate(1) is None
    assert contract.validate("1") is not None


def test_a_long_message_is_cut() -> None:
    found = compile_schema(text({"type": "integer"})).validate("x" * 10_000)
    assert found is not None
    assert len(found[1]) <= 500


def test_the_library_keeps_no_more_than_its_limit_and_drops_the_oldest() -> None:
    library = Library(limit=2)
    schemas = {("t", f"s@{n}"): text({"const": n}) for n in (1, 2, 3)}
    first = library.get(schemas, "t", "s@1")
    library.get(schemas, "t", "s@2")
    assert library.get(schemas, "t", "s@1") is first
    library.get(schemas, "t", "s@3")
    assert len(library) == 2
    assert library.get(schemas, "t", "s@1") is first


def test_a_version_that_the_registry_does_not_hold_is_none() -> None:
    assert Library().get({}, "t", "s@1") is None
    assert Library().get({("other", "s@1"): b"true"}, "t", "s@1") is None


def test_formats_judge_where_the_text_says_so_and_the_library_keeps_the_two_apart() -> None:
    schema = text({"format": "date"})
    assert compile_schema(schema).validate("never") is None
    assert compile_schema(Asserted(schema)).validate("never") == ("", 'a string is not a "date"')
    library = Library()
    for held, fits in ((schema, True), (Asserted(schema), False), (schema, True)):
        contract = library.get({("t", "s@1"): held}, "t", "s@1")
        assert contract is not None
        assert (contract.validate("never") is None) is fits


def test_a_subject_made_again_under_its_old_name_has_its_new_text() -> None:
    library = Library()
    for kind, value in (("integer", 1), ("string", "a"), ("integer", 1)):
        contract = library.get({("t", "s@1"): text({"type": kind})}, "t", "s@1")
        assert contract is not None
        assert contract.validate(value) is None
        assert contract.validate([]) is not None
    assert len(library) == 1


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"type": "integer"}, "s3cret", 'a string is not of type "integer"'),
        ({"enum": ["a"]}, 98765, 'a number is not one of "a"'),
        ({"maximum": 3}, 98765, "a number is greater than the maximum of 3"),
        ({"pattern": "^a"}, "s3cret", 'a string does not match "^a"'),
        ({"anyOf": [{"type": "null"}, {"type": "array"}]}, {"k": "s3cret"}, "an object is not valid under any"),
        ({"not": {"type": "string"}}, "s3cret", "is not allowed for a string"),
        ({"uniqueItems": True}, ["s3cret", "s3cret"], "an array has non-unique elements"),
        ({"required": ["n"]}, {"s": "s3cret"}, '"n" is a required property'),
    ],
)
def test_messages_name_the_kind_of_a_value_and_never_the_value(schema: Any, value: Any, said: str) -> None:
    found = compile_schema(text(schema)).validate(value)
    assert found is not None
    assert said in found[1]
    assert "s3cret" not in found[1]
    assert "98765" not in found[1]


def test_a_refusal_of_a_schema_shows_what_it_refuses() -> None:
    with pytest.raises(Refused) as refused:
        check_schema(text({"properties": {"a": {"type": "objct"}}}))
    assert refused.value.errors[0][0] == "/properties/a/type"
    assert "objct" in refused.value.errors[0][1]
    assert "value" not in refused.value.errors[0][1]


def test_letters_of_any_script_can_be_counted_and_a_pattern_that_explodes_when_compiled_is_refused() -> None:
    name = compile_schema(text({"pattern": r"^\p{L}[\p{L}\p{N}_ -]{0,127}$"}))
    assert name.validate("\u00c9tienne") is None
    with pytest.raises(Refused):
        check_schema(text({"pattern": r"(\p{L}{1,100}){50}"}))
