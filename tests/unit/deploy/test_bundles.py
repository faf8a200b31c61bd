"""Vendors' bundles: one closed schema an event type, the same text each time, and a clear word for another file."""

import json
from typing import Any

import pytest

from deploy.cli.bundles import BundleError, Entry, read
from schemas.contracts import check_schema, compile_schema

GITHUB = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "definitions": {
        "issues_event": {"oneOf": [{"$ref": "#/definitions/issues$closed"}, {"$ref": "#/definitions/issues$opened"}]},
        "issues$opened": {"type": "object", "properties": {"user": {"$ref": "#/definitions/user"}}},
        "issues$closed": {"type": "object", "required": ["action"]},
        "push_event": {"oneOf": [{"$ref": "#/definitions/push$event"}]},
        "push$event": {"type": "object", "required": ["ref"]},
        "fork_event": {"type": "object", "properties": {"forkee": {"$ref": "#/definitions/user"}}},
        "user": {"type": "object", "properties": {"boss": {"$ref": "#/definitions/user"}, "id": {"type": "integer"}}},
        "stranger": {"type": "null"},
    },
    "oneOf": [{"$ref": f"#/definitions/{name}_event"} for name in ("issues", "push", "fork")],
}
BODY = {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/paid"}}}}}
OPENAPI: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Acme Webhooks!"},
    "webhooks": {
        "orderPaid": {"post": {"operationId": "order/paid", **BODY}},
        "plain": {"post": BODY},
        "text": {"post": {"requestBody": {"content": {"text/plain": {"schema": {}}}}}},
    },
    "components": {
        "schemas": {
            "paid": {
                "type": "object", "examples": [1], "x-own": 1,
                "properties": {
                    "example": {"$ref": "#/components/schemas/money"}, "n": {"type": "string", "nullable": True},
                },
            },
            "money": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
            "unused": {"$ref": "#/components/schemas/gone"},
        }
    },
}  # fmt: skip


def by_subject(entries: list[Entry]) -> dict[str, Entry]:
    return {entry.subject: entry for entry in entries}


def text(schema: Any) -> bytes:
    return json.dumps(schema).encode()


def test_githubs_actions_are_subjects_of_their_own_and_events_without_any_are_one() -> None:
    found = by_subject(read("github", GITHUB))
    assert {name: entry.event_types for name, entry in found.items()} == {
        "github.fork": ("fork", "fork.*"),
        "github.issues.closed": ("issues.closed",),
        "github.issues.opened": ("issues.opened",),
        "github.push": ("push", "push.*"),
    }
    opened = found["github.issues.opened"].schema
    assert set(opened["definitions"]) == {"issues$opened", "user"}
    contract = compile_schema(text(opened))
    assert contract.validate({"user": {"boss": {"id": 1}}}) is None
    assert contract.validate({"user": {"boss": {"id": "1"}}}) is not None


def test_an_openapi_document_gives_a_subject_a_webhook_with_members_named_like_annotations_kept() -> None:
    document = json.loads(json.dumps(OPENAPI).replace('"exclusiveMinimum": true', '"description": "cents"'))
    found = by_subject(read("openapi", document))
    assert {name: entry.event_types for name, entry in found.items()} == {
        "acme-webhooks.order.paid": ("order.paid",),
        "acme-webhooks.plain": ("plain", "plain.*"),
    }
    schema = found["acme-webhooks.plain"].schema
    assert set(schema["definitions"]) == {"money", "paid"}
    assert set(schema["definitions"]["paid"]) == {"type", "properties"}
    assert compile_schema(text(schema)).validate({"example": -1}) == (
        "/example",
        "a number is less than the minimum of 0",
    )


def test_openapi_3_0_says_nullable_and_exclusive_in_the_words_of_draft_4() -> None:
    document = OPENAPI | {"openapi": "3.0.3"}
    contract = compile_schema(text(by_subject(read("openapi", document))["acme-webhooks.plain"].schema))
    assert contract.validate({"n": None, "example": 1}) is None
    assert contract.validate({"example": 0}) is not None


def test_githubs_openapi_names_events_as_its_headers_do() -> None:
    webhooks = {"pull-request-opened": {"post": {"operationId": "pull-request/opened", "x-github": {}, **BODY}}}
    entry = read("openapi", OPENAPI | {"openapi": "3.0.3", "webhooks": webhooks})[0]
    assert (entry.subject, entry.event_types) == ("github.pull_request.opened", ("pull_request.opened",))


def test_a_cloudevents_schema_is_one_subject_for_all_types() -> None:
    envelope = {"properties": {"specversion": {"type": "string", "examples": ["1.0"]}}, "required": ["specversion"]}
    entry = read("cloudevents", envelope, "ce")[0]
    assert (entry.subject, entry.event_types) == ("ce", ("*",))
    check_schema(text(entry.schema))


def test_the_same_bundle_in_another_order_gives_the_same_texts() -> None:
    turned = json.loads(json.dumps(GITHUB, sort_keys=True))
    turned["oneOf"].reverse()
    assert [text(entry.schema) for entry in read("github", turned)] == [
        text(entry.schema) for entry in read("github", GITHUB)
    ]


@pytest.mark.parametrize(
    ("kind", "document", "word"),
    [
        ("github", {"definitions": {}}, "webhooks-schemas"),
        ("github", {"definitions": {}, "oneOf": [{"type": "null"}]}, "reference"),
        ("github", {"definitions": {}, "oneOf": [{"$ref": "#/definitions/x"}]}, "does not have it"),
        ("openapi", {"swagger": "2.0"}, "OpenAPI 3"),
        ("openapi", {"openapi": "3.1.0", "webhooks": {"a": {"post": {}}}}, "no event"),
        ("cloudevents", {"properties": {}}, "specversion"),
        ("slack", {}, "github"),
        ("github", [], "object"),
    ],
)
def test_another_file_is_refused_and_the_words_say_what_is_missing(kind: str, document: Any, word: str) -> None:
    with pytest.raises(BundleError, match=word):
        read(kind, document)
