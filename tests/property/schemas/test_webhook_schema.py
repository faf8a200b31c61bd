"""The published JSON Schema of the webhook says what the server takes: both judge the same documents alike."""

import copy
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from schemas.definitions.base import read
from schemas.definitions.webhook_entity import FILE, WebhookEntity, text
from schemas.errors import Refused

SCHEMA = orjson.loads(FILE.read_bytes())
VALIDATOR = Draft202012Validator(SCHEMA)
WHOLE: dict[str, Any] = {
    "id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "name": "hook",
    "fullyQualifiedName": "acme.hook",
    "displayName": "Hook",
    "description": "why",
    "webhookType": "Slack",
    "status": "awaitingRetry",
    "enabled": True,
    "batchSize": 10,
    "eventFilters": [{"eventType": "entityUpdated", "entities": ["table"], "include": ["a.b"], "exclude": ["tag:x"]}],
    "webhookConfig": {
        "endpoint": "https://receiver.example/", "secretKey": "x", "headers": {"X-A": "b"}, "timeout": 10,
        "sendToAdmins": True, "sendToOwners": False, "sendToFollowers": False,
    },
    "failureDetails": {
        "lastFailedAt": 1, "lastFailedStatusCode": 500, "lastFailedReason": "http_status", "nextAttempt": None,
    },
    "owner": {"type": "user", "id": "1", "name": "zoe", "deleted": False},
    "tags": [{"tagFQN": "PII.Sensitive", "source": "Glossary", "labelType": "Derived", "state": "Suggested"}],
    "domain": {"type": "domain", "name": "Sales"},
    "version": 0.3,
    "updatedAt": 1,
    "updatedBy": "key",
    "href": "https://api.example/",
    "changeDescription": {
        "fieldsAdded": [{"name": "a", "newValue": 1}], "fieldsUpdated": [], "fieldsDeleted": [], "previousVersion": 0.2,
    },
    "deleted": False,
    "extension": {"a": {"b": [1]}},
    "fallback": {"type": "webhook", "name": "other"},
}  # fmt: skip
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 1, 2, 60, 61, 100, 101, 1.5, 10**12]),
    st.sampled_from(["", "a", "Custom", "active", "entityCreated", "Not A Name", "x" * 257, "x" * 2049, "-a",
                     "x" * 5000]),
    st.sampled_from([[], ["a"], [""], [1], ["a"] * 201, [{}], {}, {"a": "b"}, {"type": "user"},
                     {"eventType": "entityCreated"}]),
)  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where members stand, and one place in each object that no member has."""
    found: list[tuple[Any, ...]] = []
    if isinstance(value, dict):
        found += [(*at, name) for name in (*value, "colour")]
        found += [place for name, each in value.items() for place in places(each, (*at, name))]
    elif isinstance(value, list):
        found += [place for number, each in enumerate(value) for place in places(each, (*at, number))]
    return found


def taken(document: Any) -> bool:
    try:
        read(WebhookEntity, document)
    except Refused:
        return False
    return True


def put(document: dict[str, Any], place: tuple[Any, ...], value: Any, *, away: bool) -> None:
    inner: Any = document
    for part in place[:-1]:
        inner = inner[part]
    if away:
        inner.pop(place[-1], None)
    else:
        inner[place[-1]] = value


@settings(max_examples=200, deadline=None)
@given(place=st.sampled_from(places(WHOLE)), value=VALUES, away=st.booleans())
def test_the_schema_and_the_server_agree(place: tuple[Any, ...], value: Any, away: bool) -> None:
    document = copy.deepcopy(WHOLE)
    put(document, place, value, away=away)
    assert VALIDATOR.is_valid(document) == taken(document), (place, value, away)


def test_somewhere_must_be_named() -> None:
    for config, good in (
        ({}, False), ({"endpoint": None}, False), ({"endpoint": "https://a.example/"}, True),
        ({"sendToOwners": True}, True), ({"sendToOwners": False}, False),
        ({"endpoint": None, "sendToAdmins": True}, True),
    ):  # fmt: skip
        document = {**WHOLE, "webhookConfig": config}
        assert VALIDATOR.is_valid(document) == taken(document) == good, config


def test_the_file_is_the_model_and_needs_no_other() -> None:
    assert FILE.read_bytes() == text(), "python -m schemas.definitions.webhook_entity writes it"
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert VALIDATOR.is_valid(WHOLE)

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if "$ref" in value else []
            return own + [each for item in value.values() for each in references(item)]
        return [each for item in value for each in references(item)] if isinstance(value, list) else []

    assert {each.startswith("#/$defs/") for each in references(SCHEMA)} == {True}
    objects = [SCHEMA, *SCHEMA["$defs"].values()]
    assert all(each.get("additionalProperties") is False for each in objects if each.get("type") == "object")
