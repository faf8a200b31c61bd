"""Problems: every error answer of the API is `application/problem+json` (RFC 9457) with a `reason` of the closed list.

Lives here: the shape and the translation of errors. `type` names the reason, `title` is fixed per reason, `detail` is
about this request, `instance` names the request; `errors` holds a JSON pointer and a text per fault.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web
from pydantic import Field

from schemas.definitions.base import Definition
from schemas.errors import Overloaded, Refused, Transient
from schemas.reasons import Reason

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1
"""What a 503 without a computed wait says."""
MAX_DETAIL = 2_000
_BY_STATUS = {
    404: Reason.NOT_FOUND,
    405: Reason.METHOD_NOT_ALLOWED,
    408: Reason.BODY_TIMEOUT,
    413: Reason.BODY_TOO_LARGE,
    415: Reason.UNSUPPORTED_MEDIA_TYPE,
}


class Fault(Definition):
    """One fault of a request body: where it is (JSON pointer, RFC 6901) and what is wrong."""

    pointer: str
    detail: str


class Problem(Definition):
    """An error answer (RFC 9457)."""

    type: str = Field(description="stable, one per reason")
    title: str
    status: int
    detail: str
    instance: str = Field(default="", description="names the request; the fast door leaves it out")
    reason: str = Field(description="stable code of the closed list")
    errors: tuple[Fault, ...] = ()
    retry_after: int | None = Field(default=None, description="seconds, as in the header")


def body(
    reason: Reason, detail: str, request_id: str, *, errors: tuple[tuple[str, str], ...] = (), retry_after: int = 0
) -> dict[str, Any]:
    """Return the members of a problem, the empty ones left out."""
    problem: dict[str, Any] = {
        "type": reason.urn,
        "title": reason.text,
        "status": reason.status,
        "detail": detail[:MAX_DETAIL],
        "instance": f"urn:hookberg:request:{request_id}",
        "reason": reason.value,
    }
    if errors:
        problem["errors"] = [{"pointer": pointer, "detail": text[:MAX_DETAIL]} for pointer, text in errors]
    if retry_after:
        problem["retryAfter"] = retry_after
    return problem


def response(
    reason: Reason,
    detail: str,
    request_id: str,
    *,
    errors: tuple[tuple[str, str], ...] = (),
    retry_after: int = 0,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Return the answer; 401 carries `WWW-Authenticate`, 429 and 503 `Retry-After`."""
    if reason.status in {429, 503}:
        retry_after = retry_after or RETRY_AFTER_S
    answer = web.Response(
        status=reason.status,
        body=orjson.dumps(body(reason, detail, request_id, errors=errors, retry_after=retry_after)),
        content_type=MEDIA_TYPE,
        headers=headers,
    )
    if reason.status == web.HTTPUnauthorized.status_code:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="hookberg"'
    if retry_after:
        answer.headers["Retry-After"] = str(retry_after)
    return answer


def translate(error: Exception, request_id: str) -> web.Response:
    """Return the answer to an error; what is not of our tree and not aiohttp's is `internal`, without its text."""
    match error:
        case Refused():
            return response(error.reason, error.detail, request_id, errors=error.errors)
        case Overloaded():
            return response(error.reason, error.reason.text, request_id, retry_after=error.retry_after_s)
        case Transient():
            return response(Reason.BROKER_AWAY, "a dependency cannot be reached; try again", request_id)
        case web.HTTPException():
            return _of_http(error, request_id)
        case _:
            return response(Reason.INTERNAL, "the log has more under this request id", request_id)


def _of_http(error: web.HTTPException, request_id: str) -> web.Response:
    reason = _BY_STATUS.get(error.status, Reason.BAD_REQUEST if error.status < 500 else Reason.INTERNAL)  # noqa: PLR2004
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
    return response(reason, _DETAILS.get(reason, reason.text), request_id, headers=headers)


_DETAILS = {
    Reason.NOT_FOUND: "there is nothing at this path; /api/v1/openapi.json lists what there is",
    Reason.METHOD_NOT_ALLOWED: "this path takes other methods: see the Allow header",
}
