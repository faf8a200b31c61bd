"""Reads a request's body and query into what a handler takes; everything is bounded and every fault has a pointer.

JSON is RFC 8259: UTF-8, no NaN. U+0000 is refused in every string, because PostgreSQL's text cannot hold it.
"""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import orjson
from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from ingress.api import json_patch
from ingress.api.routes import Query, Route
from schemas.definitions.base import Definition, read
from schemas.errors import Refused
from schemas.reasons import Reason

D = TypeVar("D", bound=Definition)
BODY_LIMIT = 4 << 20
"""Of control-plane calls; the data plane has its own."""
BODY_TIMEOUT_S = 30.0
_JSON_TYPES = frozenset({"application/json", "", "application/octet-stream", "application/x-www-form-urlencoded"})
"""What POST and PUT take as JSON: the last three are what clients send that were told no type (curl -d among them)."""
PATCHES = web.RequestKey("patches", tuple[str, ...])
"""The media types that a PATCH of the route takes, for the answer to one that is none of them."""
_BOOLEANS = {"true": True, "false": False}


async def body_of(request: web.Request, route: Route) -> bytes:
    """Return the body, b"" where the route takes none; raise `Refused` (415, 413, 408)."""
    if route.takes is None:
        return b""
    _check_media_type(request, route)
    if (request.content_length or 0) > BODY_LIMIT:
        raise Refused(Reason.BODY_TOO_LARGE, f"at most {BODY_LIMIT} bytes")
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await request.read()
    except TimeoutError:
        raise Refused(Reason.BODY_TIMEOUT, f"the body did not arrive within {BODY_TIMEOUT_S:.0f} s") from None
    except web.HTTPRequestEntityTooLarge:
        raise Refused(Reason.BODY_TOO_LARGE, f"at most {BODY_LIMIT} bytes") from None
    except (ValueError, web.RequestPayloadError) as exc:
        raise Refused(Reason.BAD_REQUEST, "the body cannot be read: its encoding or length is wrong") from exc


def _check_media_type(request: web.Request, route: Route) -> None:
    request[PATCHES] = route.patches
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refused(Reason.UNSUPPORTED_MEDIA_TYPE, "send the body without Content-Encoding")
    if route.method == "PATCH":
        if request.content_type not in route.patches:
            raise Refused(Reason.UNSUPPORTED_MEDIA_TYPE, f"send a patch: Content-Type: {' or '.join(route.patches)}")
    elif request.content_type not in _JSON_TYPES and not request.content_type.endswith("+json"):
        raise Refused(Reason.UNSUPPORTED_MEDIA_TYPE, "send JSON: Content-Type: application/json")


def value_of(raw: bytes, route: Route, media_type: str = "") -> Any:  # noqa: ANN401 JSON
    """Return the body as JSON; None where the route takes none or an optional one is absent.

    It is an object, or a list where it is a JSON Patch.
    """
    if route.takes is None or (not raw and route.body_optional):
        return None
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise Refused(
            Reason.NOT_JSON, f"the body is not JSON: {exc.msg}, line {exc.lineno} column {exc.colno}"
        ) from None
    wanted, words = (list, "list") if media_type == json_patch.MEDIA_TYPE else (dict, "object")
    if not isinstance(value, wanted) and not (route.many and isinstance(value, list)):
        raise Refused(Reason.INVALID_DEFINITION, f"the body is no JSON {words}", errors=(("", f"not a {words}"),))
    if b"\\u0000" in raw and (pointer := _nul(value, "")) is not None:
        raise Refused(
            Reason.INVALID_DEFINITION, f"{pointer}: U+0000 in a text", errors=((pointer, "U+0000 in a text"),)
        )
    return value


def definition_of(value: Any, route: Route) -> Definition | None:  # noqa: ANN401 JSON
    """Return the body as the route's model; None for PATCH (merged by the handler), PUT (named by the path), many."""
    if route.takes is None or route.many or route.method in {"PATCH", "PUT"}:
        return None
    return definition(route.takes, {} if value is None else value)


def definition(model: type[D], value: Any) -> D:  # noqa: ANN401 JSON
    """Make a definition from JSON as `schemas.definitions.base.read` does, each refusal with its pointer."""
    try:
        return read(model, value)
    except Refused as exc:
        if exc.errors:
            raise
        pointer = next((f"/{name}" for name in value if _refuses(model, name, value[name])), "")
        raise Refused(exc.reason, exc.detail, errors=((pointer, exc.detail),)) from None


def _refuses(model: type[Definition], name: str, value: Any) -> bool:  # noqa: ANN401 JSON
    """Tell whether a member's own rule refuses it: a name's `Refused` says what is wrong, not where."""
    field = next((each for key, each in model.model_fields.items() if name in {each.alias, key}), None)
    if field is None:
        return False
    kind: Any = field.annotation
    for rule in field.metadata:
        kind = Annotated[kind, rule]
    try:
        TypeAdapter(kind).validate_python(value)
    except Refused:
        return True
    except ValidationError:
        return False
    return False


def query_of(given: Mapping[str, str], route: Route) -> dict[str, Any]:
    """Return the query parameters by name, typed; an unknown one is refused, so that a typo is never silent."""
    known = {query.name: query for query in route.query}
    values: dict[str, Any] = {}
    for name, text in given.items():
        query = known.get(name)
        if query is None:
            expected = ", ".join(sorted(known)) or "none"
            raise Refused(Reason.BAD_REQUEST, f"unknown query parameter {name[:80]!r}; this call takes: {expected}")
        if name in values:
            raise Refused(Reason.BAD_REQUEST, f"query parameter {name} is given twice")
        values[name] = _typed(query, text)
    return values


def _typed(query: Query, text: str) -> str | int | bool:
    if query.kind == "boolean":
        if text not in _BOOLEANS:
            raise Refused(Reason.BAD_REQUEST, f"query parameter {query.name}: true or false")
        return _BOOLEANS[text]
    if query.kind == "integer":
        digits = text.isascii() and text.isdigit() and len(text) <= max(9, len(str(query.maximum)))
        if not digits or not query.minimum <= int(text) <= query.maximum:
            raise Refused(Reason.BAD_REQUEST, f"query parameter {query.name}: {query.minimum} to {query.maximum}")
        return int(text)
    if len(text) > query.maximum or "\0" in text:
        raise Refused(
            Reason.BAD_REQUEST, f"query parameter {query.name}: at most {query.maximum} characters, no U+0000"
        )
    return text


def _nul(value: Any, pointer: str) -> str | None:  # noqa: ANN401 JSON
    if isinstance(value, str):
        return pointer if "\0" in value else None
    if isinstance(value, list):
        items: Any = enumerate(value)
    elif isinstance(value, dict):
        if any("\0" in name for name in value):
            return pointer
        items = value.items()
    else:
        return None
    for name, item in items:
        part = str(name).replace("~", "~0").replace("/", "~1")
        if (found := _nul(item, f"{pointer}/{part}")) is not None:
            return found
    return None
