"""The data plane's paths for the OpenAPI document: written by hand, because their handlers take bytes, not models."""

from typing import Any

from ingress.api.problems import MEDIA_TYPE

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_REFUSALS = {
    "400": "the request or its body cannot be read",
    "401": "the sender did not prove itself",
    "403": "the API key lacks ingestion:write, or has made as many sources as it may",
    "404": "unknown tenant, platform without a source, revoked URL",
    "405": "this method is not allowed here",
    "408": "the body did not arrive in time",
    "413": "the body is larger than the limit",
    "422": "a name does not fit its pattern",
    "429": "too much in flight; see Retry-After",
    "431": "the headers together are larger than the limit",
    "500": "something failed here",
    "503": "Kafka did not acknowledge in time; see Retry-After",
}
_ACCEPTED: dict[str, Any] = {
    "description": "the raw record is on Kafka, acknowledged by all in-sync replicas (vendors may need another body)",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "accepted": {"type": "boolean"},
                    "deliveryId": {"type": "string", "format": "uuid"},
                    "receipt": {"type": "string"},
                },
            },
            "example": {
                "accepted": True,
                "deliveryId": "019d0bd2-7a80-7cc3-98c4-dc0c0c07398f",
                "receipt": "/api/v1/deliveries/019d0bd2-7a80-7cc3-98c4-dc0c0c07398f?at=…",
            },
        },
        "text/plain": {"schema": {"type": "string"}, "example": "3eZbrw1aB"},
    },
}
_ANY_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {},
            "example": {"token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "challenge": "3eZbrw1aB", "type": "url_verification"},
        },
        "*/*": {"schema": {}},
    },
}


def _responses(success: dict[str, Any]) -> dict[str, Any]:
    refusals = {
        status: {"description": text, "content": {MEDIA_TYPE: {"schema": _PROBLEM}}}
        for status, text in _REFUSALS.items()
    }
    return {**success, **refusals}


def _path(name: str, doc: str, maximum: int = 64) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": doc,
        "schema": {"type": "string", "minLength": 1, "maxLength": maximum},
    }


def _query(name: str, doc: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": doc, "schema": {"type": "string", "maxLength": 256}}


def _ingest(operation: str, summary: str, parameters: list[dict[str, Any]], success: dict[str, Any]) -> dict[str, Any]:
    return {
        "post": {
            "operationId": operation,
            "summary": summary,
            "tags": ["ingest"],
            "security": [{}, {"key": []}],
            "parameters": parameters,
            "requestBody": _ANY_BODY,
            "responses": _responses(success),
        }
    }


def _health(operation: str, summary: str, responses: dict[str, Any]) -> dict[str, Any]:
    return {
        "get": {
            "operationId": operation,
            "summary": summary,
            "tags": ["health"],
            "security": [],
            "responses": responses,
        }
    }


def _json(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": {"type": "object"}}}}


_TENANT = {"$ref": "#/components/parameters/Tenant"}
PATHS: dict[str, dict[str, Any]] = {
    "/api/v1/webhooks/{platform}": _ingest(
        "ingest",
        "Take a webhook of a platform's source",
        [_path("platform", "for example slack"), _TENANT, _query("source", "its name, where a tenant has several")],
        {"200": _ACCEPTED},
    ),
    "/api/v1/webhooks/generic/{workspace_id}": _ingest(
        "ingestGeneric",
        "Take a JSON object for a workspace (a tenant)",
        [
            _path("workspace_id", "the tenant"),
            _query("source", "a label: the event's source kind becomes webhook.{source}"),
            _query("event_type", "the event's type, before the body's own"),
            _query("source_identifier", "what the event is about"),
            _query("dedupe_key", "identifies the event"),
        ],
        {"202": _ACCEPTED},
    ),
    "/in/{url_token}": _ingest(
        "ingestByUrl",
        "Take a webhook at a source's own secret URL",
        [_path("url_token", "the secret part of the source's ingestUrl", 128)],
        {"200": _ACCEPTED},
    ),
    "/livez": _health("livez", "Is the process alive", {"200": _json("it is")}),
    "/readyz": _health(
        "readyz",
        "Can the process do its work; `checks` say more to who sends an API key",
        {"200": _json("it can"), "503": _json("it cannot now")},
    ),
    "/metrics": _health(
        "metrics",
        "Metrics for Prometheus",
        {"200": {"description": "text format", "content": {"text/plain": {"schema": {"type": "string"}}}}},
    ),
}
