"""Vendors' schema bundles -> subjects: one closed JSON Schema an event type, its references bundled.

Lives here: what GitHub's schema package, an OpenAPI document and a CloudEvents schema look like. Not here: sending them
(schema.py). Pure. A bundle read again gives the same texts, so that importing twice adds nothing.
https://github.com/octokit/webhooks, https://spec.openapis.org/oas/v3.1.0#openapi-object (member `webhooks`),
https://github.com/cloudevents/spec/blob/main/cloudevents/formats/cloudevents.json
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.contracts.normal import URIS
from schemas.contracts.places import LISTS, MAPS, ONE

Schema = Any
_NOT_IN_SUBJECTS = re.compile(r"[^A-Za-z0-9._-]+")
_OLD_WORDS = frozenset({"discriminator", "example", "examples", "externalDocs", "xml"})
"""Of OpenAPI and annotations: they judge nothing and are most of a document."""
_METHODS = ("post", "put", "patch")


class BundleError(ValueError):
    """The file is not what it was said to be; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One subject to be: its schema and the event types (globs) that it is for."""

    subject: str
    schema: Schema
    event_types: tuple[str, ...]


def read(kind: str, document: Any, prefix: str | None = None) -> list[Entry]:  # noqa: ANN401 JSON
    """Return the entries of a bundle, by subject; raises `BundleError`."""
    readers: Mapping[str, Callable[[Any, str | None], Iterator[Entry]]] = {
        "github": _github,
        "openapi": _openapi,
        "cloudevents": _cloudevents,
    }
    if kind not in readers:
        raise BundleError(f"{kind!r} is not known: use {', '.join(readers)}")
    if not isinstance(document, dict):
        raise BundleError("the file holds no JSON object")
    found = sorted(readers[kind](document, prefix), key=lambda entry: entry.subject)
    if not found:
        raise BundleError("the file holds no event that has a schema")
    return found


def _github(document: Mapping[str, Any], prefix: str | None) -> Iterator[Entry]:
    """Read `schema.json` of @octokit/webhooks-schemas: the root's branches are events, theirs are actions."""
    known = document.get("definitions")
    if not isinstance(known, dict) or not isinstance(document.get("oneOf"), list):
        raise BundleError("this is not schema.json of @octokit/webhooks-schemas: no definitions and oneOf")
    definitions = _Definitions(known, "#/definitions/")
    for event in map(_named, document["oneOf"]):
        branches = known.get(event, {}).get("oneOf")
        actions = [_named(branch) for branch in branches] if branches else [event]
        for name in actions:
            kind, _, action = name.partition("$")
            whole = action in {"", "event"}
            kind = kind.removesuffix("_event") if action == "" else kind
            event_type = kind if whole else f"{kind}.{action}"
            types = (kind, f"{kind}.*") if whole else (event_type,)
            schema = definitions.closed({"$ref": f"#/definitions/{name}"})
            yield Entry(f"{prefix or 'github'}.{event_type}", {"$schema": URIS[7], **schema}, types)


def _openapi(document: Mapping[str, Any], prefix: str | None) -> Iterator[Entry]:
    """Read an OpenAPI 3.0 or 3.1 document: each of its `webhooks` (`x-webhooks`) that takes JSON."""
    webhooks = document.get("webhooks") or document.get("x-webhooks")
    if not isinstance(webhooks, dict) or not str(document.get("openapi", "")).startswith("3."):
        raise BundleError("this is no OpenAPI 3 document with `webhooks`")
    title = str(document.get("info", {}).get("title", "openapi"))
    of_github = any("x-github" in item.get(method, {}) for item in webhooks.values() for method in _METHODS)
    prefix = prefix or ("github" if of_github else _subject(_subject(title.lower())[:40]))
    old = str(document["openapi"]).startswith("3.0")
    definitions = _Definitions(document.get("components", {}).get("schemas", {}), "#/components/schemas/")
    for name, item in webhooks.items():
        operation = next((item[method] for method in _METHODS if method in item), None)
        content = (operation or {}).get("requestBody", {}).get("content", {})
        body = next((content[kind].get("schema") for kind in content if "json" in kind), None)
        if operation is None or body is None:
            continue
        event_type = str(operation.get("operationId") or name).replace("/", ".")
        if of_github:
            event_type = event_type.replace("-", "_")  # as X-GitHub-Event and `action` say it
        schema = definitions.closed(body)
        schema = {"$schema": URIS[4 if old else 2020], **(_nullable(schema) if old else schema)}
        whole = (event_type,) if "." in event_type else (event_type, f"{event_type}.*")
        yield Entry(f"{prefix}.{_subject(event_type)}", schema, whole)


def _cloudevents(document: Mapping[str, Any], prefix: str | None) -> Iterator[Entry]:
    """Read the CloudEvents JSON format's schema: one subject, the envelope of every event."""
    if "specversion" not in document.get("properties", {}):
        raise BundleError("this is not formats/cloudevents.json: its properties have no specversion")
    yield Entry(prefix or "cloudevents", _clean(document), ("*",))


class _Definitions:
    """The definitions of a file, each made ready once: without annotations, its references by one scheme."""

    def __init__(self, known: Mapping[str, Any], at: str) -> None:
        self._known, self._at = known, at
        self._ready: dict[str, tuple[Schema, frozenset[str]]] = {}

    def closed(self, schema: Schema) -> dict[str, Any]:
        """Return a schema with the definitions that it needs, and no others, under `definitions`."""
        made, references = self._made(schema)
        needed: dict[str, Any] = {}
        todo = list(references)
        while todo:
            name = todo.pop()
            if name not in needed:
                needed[name], more = self._definition(name)
                todo += more
        return {**made, "definitions": {name: needed[name] for name in sorted(needed)}} if needed else dict(made)

    def _definition(self, name: str) -> tuple[Schema, frozenset[str]]:
        if name not in self._ready:
            if name not in self._known:
                raise BundleError(f"the file refers to {self._at}{name} and does not have it")
            self._ready[name] = self._made(self._known[name])
        return self._ready[name]

    def _made(self, schema: Schema) -> tuple[Schema, frozenset[str]]:
        found: set[str] = set()

        def change(node: dict[str, Any]) -> dict[str, Any]:
            made = {name: value for name, value in node.items() if _judges(name)}
            reference = node.get("$ref")
            if isinstance(reference, str) and reference.startswith(self._at):
                found.add(reference.removeprefix(self._at))
                made["$ref"] = f"#/definitions/{reference.removeprefix(self._at)}"
            return made

        return _each(schema, change), frozenset(found)


def _named(branch: Mapping[str, Any]) -> str:
    reference = branch.get("$ref")
    if not isinstance(reference, str):
        raise BundleError("a branch of the file's oneOf is no reference")
    return reference.rpartition("/")[2]


def _subject(text: str) -> str:
    return _NOT_IN_SUBJECTS.sub("-", text).strip("-._") or "event"


def _each(schema: Schema, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Schema:
    """Return a schema with every schema inside it changed, the inner before the outer; members sorted."""
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for name, value in sorted(schema.items()):
        if name in LISTS and isinstance(value, list):
            made[name] = [_each(one, change) for one in value]
        elif name in MAPS and isinstance(value, dict):
            made[name] = {key: _each(one, change) for key, one in sorted(value.items())}
        else:
            made[name] = _each(value, change) if name in ONE else value
    return change(made)


def _clean(schema: Schema) -> Schema:
    return _each(schema, lambda node: {name: value for name, value in node.items() if _judges(name)})


def _judges(name: str) -> bool:
    return name not in _OLD_WORDS and not name.startswith("x-")


def _nullable(schema: Schema) -> Schema:
    """Say OpenAPI 3.0's `nullable` in JSON Schema's words."""

    def change(node: dict[str, Any]) -> dict[str, Any]:
        made = {name: value for name, value in node.items() if name != "nullable"}
        if node.get("nullable") is not True or not isinstance(node.get("type"), str):
            return made
        if isinstance(made.get("enum"), list) and None not in made["enum"]:
            made["enum"] = [*made["enum"], None]
        return {**made, "type": [made["type"], "null"]}

    return _each(schema, change)
