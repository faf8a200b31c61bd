"""The OpenAPI 3.1 document, assembled from the table of routes and the pydantic models (no framework in between).

Lives here: operations of the control plane and the shared parts. The data plane's paths: openapi_data_plane.py,
the catalog's: iceberg/openapi.py.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ingress.api import json_patch, merge_patch, openapi_data_plane, paging, problems
from ingress.api.access import TENANT_HEADER
from ingress.api.iceberg import openapi as iceberg
from ingress.api.idempotency import HEADER as IDEMPOTENCY_KEY
from ingress.api.problems import Problem
from ingress.api.routes import PREFIX, Query, Route
from schemas.reasons import Reason

REF = "#/components/schemas/{model}"
_PATH_PARAMETER = re.compile(r"{([^}]+)}")
_NAME = {"type": "string", "minLength": 1, "maxLength": 128}
_UUID = {"type": "string", "format": "uuid"}
_OPERATIONS: dict[str, Any] = {
    "type": "array",
    "description": "a JSON patch (RFC 6902): all operations are done, or none",
    "maxItems": json_patch.MAX_OPERATIONS,
    "items": {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]},
            "path": {"type": "string", "maxLength": json_patch.MAX_POINTER},
            "from": {"type": "string", "maxLength": json_patch.MAX_POINTER},
            "value": {},
        },
    },
}
_EVERY = (Reason.BAD_REQUEST, Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.NOT_FOUND, Reason.OVERLOADED_REQUESTS,
          Reason.RATE_LIMITED_KEY, Reason.REGISTRY_AWAY)  # fmt: skip
_WITH_BODY = (Reason.NOT_JSON, Reason.BODY_TOO_LARGE, Reason.BODY_TIMEOUT, Reason.UNSUPPORTED_MEDIA_TYPE,
              Reason.INVALID_DEFINITION, Reason.INVALID_NAME)  # fmt: skip
PAGE = (
    Query("limit", "integer", "how many objects a page holds", minimum=1, maximum=paging.MAX_LIMIT),
    Query("cursor", "string", "`nextCursor` of the page before", maximum=paging.MAX_CURSOR),
)
"""The query parameters of every paged list."""
_PARAMETERS: dict[str, dict[str, Any]] = {
    "Tenant": {
        "name": TENANT_HEADER,
        "in": "header",
        "description": "the tenant an admin key acts for; else the setting `default_tenant`",
        "schema": {"type": "string", "maxLength": 63},
    },
    "IdempotencyKey": {
        "name": IDEMPOTENCY_KEY,
        "in": "header",
        "description": "the same call again within 24 h gets the first answer again",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "an ETag: the object must still be at its version, else 412",
        "schema": {"type": "string", "pattern": '^(\\*|"[^"]*")$'},
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "description": "GET: an ETag, 304 when unchanged. PUT: `*` creates and never replaces",
        "schema": {"type": "string", "pattern": '^(\\*|"[^"]*")$'},
    },
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the document of all routes and the data plane."""
    names, definitions = _models(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route, names)
    for path, item in (*openapi_data_plane.PATHS.items(), *iceberg.paths().items()):
        paths.setdefault(path, {}).update(item)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hookberg",
            "version": "1",
            "summary": "Webhooks into Apache Iceberg tables: exactly once, typed, within seconds",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": [
            {"name": tag} for tag in dict.fromkeys(["ingest", "health", *(route.tag for route in routes), "iceberg"])
        ],
        "paths": paths,
        "components": {
            "schemas": {**definitions, **iceberg.SCHEMAS},
            "parameters": _PARAMETERS,
            "responses": _problem_responses(names),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "an API key, `hbk_…`"},
            },
        },
    }


Names = Mapping[Any, dict[str, Any]]
"""A model and `validation` or `serialization` to the reference of its schema."""


def _models(routes: Sequence[Route]) -> tuple[Names, dict[str, Any]]:
    taken = {route.takes for route in routes if route.takes is not None}
    answered = {model for route in routes for model in (route.answers, *route.also.values()) if model is not None}
    wanted: list[tuple[type[BaseModel], Any]] = [(model, "validation") for model in sorted(taken, key=_name)]
    wanted += [(model, "serialization") for model in sorted(answered | {Problem}, key=_name)]
    names, whole = models_json_schema(wanted, ref_template=REF)
    return names, whole.get("$defs", {})


def _name(model: type[BaseModel]) -> str:
    return model.__name__


def _operation(route: Route, names: Names) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": _parameters(route),
        "responses": _responses(route, names),
    }
    if route.permission is not None:
        operation["description"] = f"Permission `{route.permission.value}`."
    if route.takes is not None:
        operation["requestBody"] = _request_body(route, names)
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _UUID if name == "uuid" else _NAME}
        for name in _PATH_PARAMETER.findall(route.path)
    ]
    found += [{"name": query.name, "in": "query", "description": query.doc, "schema": _query(query)}
              for query in route.query]  # fmt: skip
    shared = ["Tenant"]
    if route.method == "POST":
        shared.append("IdempotencyKey")
    if route.method in {"PUT", "PATCH", "DELETE"}:
        shared.append("IfMatch")
    if route.method == "PUT" or (route.method == "GET" and not _paged(route)):
        shared.append("IfNoneMatch")
    return found + [{"$ref": f"#/components/parameters/{name}"} for name in shared]


def _paged(route: Route) -> bool:
    return any(query.name == "cursor" for query in route.query)


def _query(query: Query) -> dict[str, Any]:
    match query.kind:
        case "boolean":
            return {"type": "boolean"}
        case "integer":
            return {"type": "integer", "minimum": query.minimum, "maximum": query.maximum}
        case _:
            return {"type": "string", "maxLength": query.maximum}


def _request_body(route: Route, names: Names) -> dict[str, Any]:
    if route.takes is None:
        raise TypeError("a route without a body has no request body")
    reference = names[route.takes, "validation"]
    if route.method == "PATCH":
        bodies = {merge_patch.MEDIA_TYPE: _patch(route.takes, reference["$ref"]), json_patch.MEDIA_TYPE: _OPERATIONS}
        return {"required": True, "content": {each: {"schema": bodies[each]} for each in route.patches}}
    several = {"type": "array", "items": reference, "minItems": 1, "maxItems": route.many}
    media: dict[str, Any] = {"schema": {"anyOf": [reference, several]} if route.many else reference}
    if route.example is not None:
        media["example"] = route.example
    return {"required": not route.body_optional, "content": {"application/json": media}}


def _patch(model: type[BaseModel], reference: str) -> dict[str, Any]:
    members = [field.alias or name for name, field in model.model_fields.items()]
    return {
        "type": "object",
        "description": "a merge patch (RFC 7396): members replace, null takes back to the default",
        "properties": {
            member: {"anyOf": [{"$ref": f"{reference}/properties/{member}"}, {"type": "null"}]} for member in members
        },
        "additionalProperties": False,
    }


def _responses(route: Route, names: Names) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, model in {route.status: route.answers, **route.also}.items():
        found[str(status)] = _success(model, names)
    if route.method == "GET" and not _paged(route):
        found["304"] = {"description": "the caller's copy is this answer"}
    reasons: Iterable[Reason] = (*_EVERY, *(_WITH_BODY if route.takes is not None else ()), *route.refusals)
    if route.method in {"PUT", "PATCH", "DELETE"}:
        reasons = (*reasons, Reason.PRECONDITION_FAILED)
    if route.method == "POST":
        reasons = (*reasons, Reason.IDEMPOTENCY_MISMATCH)
    for status in sorted({reason.status for reason in reasons} | {500}):
        found[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    return found


def _success(model: type[BaseModel] | None, names: Names) -> dict[str, Any]:
    if model is None:
        return {"description": "done"}
    return {
        "description": (model.__doc__ or "the answer").split("\n")[0],
        "content": {"application/json": {"schema": names[model, "serialization"]}},
    }


def _problem_responses(names: Names) -> dict[str, Any]:
    by_status: dict[int, list[Reason]] = {}
    for reason in Reason:
        if reason.status:
            by_status.setdefault(reason.status, []).append(reason)
    return {
        f"Problem{status}": {
            "description": "; ".join(f"`{reason.value}`: {reason.text}" for reason in reasons),
            "content": {problems.MEDIA_TYPE: {"schema": names[Problem, "serialization"]}},
        }
        for status, reasons in sorted(by_status.items())
    }
