"""Iceberg's error model: `{"error": {"message", "type", "code"}}`, and OAuth's own for the token endpoint.

Lives here: the shapes and the translation of our errors. Types are the exceptions that clients raise by them.
https://github.com/apache/iceberg/blob/main/open-api/rest-catalog-open-api.yaml (ErrorModel)
"""

import orjson
from aiohttp import web

from schemas.errors import Overloaded, Refused, Transient

RETRY_AFTER_S = 1
NO_NAMESPACE, NO_TABLE, NO_VIEW = "NoSuchNamespaceException", "NoSuchTableException", "NoSuchViewException"
READ_ONLY = "this catalog is read-only: Hookberg's streams write the tables, see POST /api/v1/streams"
_TYPES = {
    400: "BadRequestException",
    401: "NotAuthorizedException",
    403: "ForbiddenException",
    404: "NotFoundException",
    429: "TooManyRequestsException",
}


class Failed(Exception):
    """An answer of Iceberg's error model."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


def no_namespace(name: str) -> Failed:
    """Say that there is no such namespace, or none that the caller may see: the same words."""
    return Failed(404, NO_NAMESPACE, f"Namespace does not exist: {name[:256]}")


def no_table(namespace: str, name: str) -> Failed:
    """Say that there is no such table, or none that the caller may see: the same words."""
    return Failed(404, NO_TABLE, f"Table does not exist: {namespace[:256]}.{name[:256]}")


def no_view(namespace: str, name: str) -> Failed:
    """Say that there is no such view."""
    return Failed(404, NO_VIEW, f"View does not exist: {namespace[:256]}.{name[:256]}")


def forbidden() -> Failed:
    """Refuse a commit, create, drop or rename."""
    return Failed(403, "ForbiddenException", READ_ONLY)


def translate(error: Exception) -> web.Response:
    """Return the answer to an error; what is not of our tree is 500 without its text."""
    match error:
        case Failed():
            return response(error.status, error.kind, error.message)
        case Refused():
            status = error.reason.status if error.reason.status in _TYPES else 400
            return response(status, _TYPES[status], error.detail)
        case Overloaded():
            return response(429, _TYPES[429], error.reason.text, retry_after_s=error.retry_after_s)
        case Transient():
            return response(503, "ServiceUnavailableException", str(error), retry_after_s=RETRY_AFTER_S)
        case _:
            return response(500, "InternalServerError", "the log has more under this request id")


def response(status: int, kind: str, message: str, *, retry_after_s: int = 0) -> web.Response:
    """Return an error answer; 401 carries `WWW-Authenticate`, 429 and 503 `Retry-After`."""
    error = {"message": message, "type": kind, "code": status}
    answer = web.Response(status=status, body=orjson.dumps({"error": error}), content_type="application/json")
    if status == web.HTTPUnauthorized.status_code:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="hookberg"'
    if retry_after_s:
        answer.headers["Retry-After"] = str(retry_after_s)
    return answer


def no_tokens() -> web.Response:
    """Answer a client that asks for an OAuth token (RFC 6749 section 5.2): it is to send the API key itself."""
    said = (
        "this catalog gives out no tokens: in place of `credential` (client id and secret) set `token` to an API key "
        "(hbk_...) that holds tables:read"
    )
    body = {"error": "unsupported_grant_type", "error_description": said}
    headers = {"Cache-Control": "no-store"}
    return web.Response(status=400, body=orjson.dumps(body), content_type="application/json", headers=headers)
