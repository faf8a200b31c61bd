"""Request ids: `X-Request-Id` is echoed when it is safe to log, else one is made; every answer and problem has one."""

import re

from aiohttp import web

from schemas import ids
from schemas.ports import Clock

HEADER = "X-Request-Id"
_SAFE = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_ID = web.RequestKey("request_id", str)


def assign(request: web.Request, clock: Clock, random_bytes: bytes) -> str:
    """Give a request its id: the caller's own if it is 1-128 of `A-Za-z0-9._:-`, else a UUIDv7."""
    given = request.headers.get(HEADER, "")
    text = given if _SAFE.fullmatch(given) else str(ids.uuid7(clock.time_ns() // 1_000_000, random_bytes))
    request[_ID] = text
    return text


def request_id(request: web.Request) -> str:
    """Return the id of a request."""
    return request[_ID]
