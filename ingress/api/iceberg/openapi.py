"""The catalog's paths for the OpenAPI document: the protocol's own words, so written by hand.

The whole protocol: https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml
"""

from typing import Any

from ingress.api.access import TENANT_HEADER
from ingress.api.iceberg import calls
from ingress.api.iceberg.door import PREFIX

SCHEMAS: dict[str, Any] = {
    "IcebergError": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "code"],
                "properties": {
                    "message": {"type": "string"},
                    "type": {"type": "string", "description": "the exception that clients raise"},
                    "code": {"type": "integer"},
                },
            }
        },
    }
}
_NAMES = {"type": "array", "items": {"type": "string"}}
_TOKEN = {"type": ["string", "null"]}
_IDENTIFIERS = {
    "type": "object",
    "required": ["identifiers"],
    "properties": {
        "identifiers": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["namespace", "name"],
                "properties": {"namespace": _NAMES, "name": {"type": "string"}},
            },
        },
        "next-page-token": _TOKEN,
    },
}
_ANSWERS: dict[calls.Handler, dict[str, Any]] = {
    calls.config: {
        "type": "object",
        "required": ["defaults", "overrides", "endpoints"],
        "properties": {"defaults": {"type": "object"}, "overrides": {"type": "object"}, "endpoints": _NAMES},
    },
    calls.namespaces: {
        "type": "object",
        "required": ["namespaces"],
        "properties": {"namespaces": {"type": "array", "items": _NAMES}, "next-page-token": _TOKEN},
    },
    calls.namespace: {
        "type": "object",
        "required": ["namespace"],
        "properties": {"namespace": _NAMES, "properties": {"type": "object"}},
    },
    calls.tables: _IDENTIFIERS,
    calls.views: _IDENTIFIERS,
    calls.table: {
        "type": "object",
        "required": ["metadata-location", "metadata", "config"],
        "properties": {
            "metadata-location": {"type": "string"},
            "metadata": {"type": "object", "description": "Iceberg table metadata"},
            "config": {"type": "object", "description": "the setting `iceberg_reader_properties`"},
        },
    },
    calls.view: {
        "type": "object",
        "required": ["metadata-location", "metadata", "config"],
        "properties": {
            "metadata-location": {"type": "string", "description": "of the table that the view was made from"},
            "metadata": {"type": "object", "description": "Iceberg view metadata"},
            "config": {"type": "object"},
        },
    },
}
_REFUSALS = {
    "400": "a page token or size that cannot be read",
    "401": "no API key, or none that is known",
    "403": "the key lacks tables:read, or belongs to another tenant",
    "404": "no such namespace, table or view, or none that the key sees",
    "429": "too many calls at once, or of this key; see Retry-After",
    "500": "something failed here",
    "503": "the catalog or its storage does not answer; see Retry-After",
}
_PAGED = (calls.namespaces, calls.tables, calls.views)


def _parameter(name: str, where: str, doc: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": where, "required": where == "path", "description": doc, "schema": schema}


def _parameters(path: str, handler: calls.Handler) -> list[dict[str, Any]]:
    named = {"type": "string", "minLength": 1, "maxLength": 256}
    found = [_parameter(name, "path", name, named) for name in ("namespace", "table", "view") if f"{{{name}}}" in path]
    if handler is calls.config:
        found.append(_parameter("warehouse", "query", "any: the key decides", {"type": "string", "maxLength": 256}))
    if handler in _PAGED:
        size = {"type": "integer", "minimum": 1}
        found.append(_parameter("pageToken", "query", "`next-page-token` of the page before", {"type": "string"}))
        found.append(_parameter("pageSize", "query", "names on a page; without both: all", size))
    doc = "narrows an admin key to one tenant"
    return [*found, _parameter(TENANT_HEADER, "header", doc, {"type": "string", "maxLength": 63})]


def _operation(method: str, path: str, handler: calls.Handler) -> dict[str, Any]:
    def content(schema: dict[str, Any]) -> dict[str, Any]:
        return {} if method == "HEAD" else {"content": {"application/json": {"schema": schema}}}

    refused = {
        status: {"description": text, **content({"$ref": "#/components/schemas/IcebergError"})}
        for status, text in _REFUSALS.items()
    }
    done = {"204": {"description": "there is"}}
    if method != "HEAD":
        done = {"200": {"description": "the answer", **content(_ANSWERS[handler])}}
    if handler is calls.table:
        done["304"] = {"description": "the caller's copy is this answer"}
    head, *rest = handler.__name__.split("_")
    return {
        "operationId": "iceberg"
        + "".join(part.capitalize() for part in (head, *rest, *(["head"] * (method == "HEAD")))),
        "summary": (handler.__doc__ or "").split("\n")[0],
        "description": "Permission `tables:read`. Changes (POST, DELETE) are answered 403.",
        "tags": ["iceberg"],
        "parameters": _parameters(path, handler),
        "responses": {**done, **refused},
    }


def paths() -> dict[str, dict[str, Any]]:
    """Return the path items of the reading calls."""
    found: dict[str, dict[str, Any]] = {}
    for method, path, handler in calls.READS:
        found.setdefault(PREFIX + path, {})[method.lower()] = _operation(method, path, handler)
    return found
