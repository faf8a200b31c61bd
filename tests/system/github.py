"""GitHub's published example deliveries and their schemas, as a vendor would send them.

Data: npm packages @octokit/webhooks-examples and @octokit/webhooks-schemas (tests/fixtures.py), MIT.
Signature: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
"""

import functools
import hashlib
import hmac
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from tests import fixtures


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery as GitHub sends it: event header, body bytes, delivery id."""

    event: str
    body: bytes
    delivery_id: str

    @property
    def event_type(self) -> str:
        """Return `{event}.{action}`, or the event alone when the body has no action."""
        action = json.loads(self.body).get("action")
        return f"{self.event}.{action}" if isinstance(action, str) else self.event

    def headers(self, secret: str) -> dict[str, str]:
        """Return GitHub's headers with the signature over the body as sent."""
        mac = hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()
        return {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/044aadd",
            "X-GitHub-Event": self.event,
            "X-GitHub-Delivery": self.delivery_id,
            "X-GitHub-Hook-ID": "292430182",
            "X-Hub-Signature-256": f"sha256={mac}",
        }


def examples() -> list[Delivery]:
    """Return every api.github.com example, each with a delivery id of its own."""
    listed = json.loads(fixtures.member(fixtures.EXAMPLES, "api.github.com/index.json").read_bytes())
    return [
        Delivery(entry["name"], json.dumps(example, ensure_ascii=False).encode(), str(uuid.uuid4()))
        for entry in listed
        for example in entry["examples"]
    ]


@functools.cache
def definitions() -> dict[str, Any]:
    """Return the definitions of the schema package by name (`check_run$created`, `push$event`, `user`, ...)."""
    loaded = json.loads(fixtures.member(fixtures.SCHEMAS, "schema.json").read_bytes())
    found = loaded["definitions"]
    assert isinstance(found, dict)
    return found


def bundle(name: str) -> dict[str, Any]:
    """Return a closed draft-07 schema of one definition: itself and all that it refers to."""
    needed: dict[str, Any] = {}
    todo = [name]
    while todo:
        current = todo.pop()
        if current not in needed:
            needed[current] = definitions()[current]
            todo += _references(needed[current])
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": f"#/definitions/{name}",
        "definitions": {each: needed[each] for each in sorted(needed)},
    }


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"].removeprefix("#/definitions/")] if isinstance(node.get("$ref"), str) else []
        return own + [found for value in node.values() for found in _references(value)]
    if isinstance(node, list):
        return [found for value in node for found in _references(value)]
    return []


def pins(event_types: Iterable[str]) -> dict[str, str]:
    """Map event-type globs to definitions: the exact action where there is one, and `{event}.*` behind it."""
    known = definitions()
    out: dict[str, str] = {}
    for event_type in sorted(set(event_types)):
        event, _, action = event_type.partition(".")
        if f"{event}${action}" in known:
            out[event_type] = f"{event}${action}"
        elif f"{event}$event" in known:
            out[event] = out[f"{event}.*"] = f"{event}$event"
        elif f"{event}_event" in known:
            out[f"{event}.*"] = f"{event}_event"
    return out


def subject(definition: str) -> str:
    """Name the schema subject of a definition."""
    return f"github.{definition.replace('$', '.')}"


class Judge:
    """Says by a validator run of its own what a delivery's pinned schema says: formats are not asserted."""

    def __init__(self) -> None:
        self._validators: dict[str, Any] = {}

    def faults(self, definition: str, body: bytes) -> set[str]:
        """Return the JSON pointers at which the body breaks the definition; empty = valid."""
        if definition not in self._validators:
            self._validators[definition] = jsonschema_rs.Draft7Validator(bundle(definition), validate_formats=False)
        errors = self._validators[definition].iter_errors(json.loads(body))
        return {"".join(f"/{_escape(str(part))}" for part in error.instance_path) for error in errors}


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def resolve(document: Any, pointer: str) -> Any:
    """Follow a JSON pointer (RFC 6901); KeyError, IndexError or ValueError when it leads nowhere."""
    found = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        found = found[int(key)] if isinstance(found, list) else found[key]
    return found
