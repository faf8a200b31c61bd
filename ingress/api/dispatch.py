"""Turns a route into a handler: who calls, may they, what do they say, do it, answer. The order is that of the code."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from ingress.api import access, etag, reading
from ingress.api.call import Answer, Call, Threads
from ingress.api.env import ApiEnv
from ingress.api.idempotency import HEADER as IDEMPOTENCY_KEY
from ingress.api.idempotency import Once
from ingress.api.requests import request_id
from ingress.api.routes import Route
from schemas.backing.registry import Actor
from schemas.errors import Overloaded
from schemas.reasons import Reason

MAX_IN_FLIGHT = 128
"""Control-plane calls at work in one process, each with at most one body of reading.BODY_LIMIT; past it 429."""


class Dispatcher:
    """Makes the handlers of all routes of one application."""

    def __init__(self, env: ApiEnv, threads: Threads) -> None:
        self._env = env
        self._threads = threads
        self._once = Once(env.registry.idempotency, threads)
        self._in_flight = 0
        env.metrics.read("hookberg_api_in_flight_requests", lambda: {(): self._in_flight})

    def handler(self, route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Return the server's handler of a route."""

        async def handle(request: web.Request) -> web.Response:
            if self._in_flight >= MAX_IN_FLIGHT:
                raise Overloaded(Reason.OVERLOADED_REQUESTS, 1)
            self._in_flight += 1
            try:
                call = await self._read(request, route)
                if route.method == "POST" and IDEMPOTENCY_KEY in request.headers:
                    return await self._once.answer(request, call, lambda: _done(route, request, call))
                return await _done(route, request, call)
            finally:
                self._in_flight -= 1

        return handle

    async def _read(self, request: web.Request, route: Route) -> Call:
        env = self._env
        key = await access.key_of(env.view, request.headers.getall("Authorization", ()))
        env.rates.take_key(key.id)
        access.permit(key, route.permission)
        tenant = await access.tenant_of(
            env.view,
            key,
            request.headers.getall(access.TENANT_HEADER, ()),
            route.scope,
            env.settings.default_tenant,
        )
        query = reading.query_of(request.query, route)
        if_match = etag.versions(request.headers.get("If-Match"))
        create_only = route.method == "PUT" and etag.create_only(request.headers.get("If-None-Match"))
        raw = await reading.body_of(request, route)
        value = reading.value_of(raw, route, request.content_type if route.method == "PATCH" else "")
        return Call(
            env=env,
            threads=self._threads,
            key=key,
            actor=Actor(key.id, request_id(request)),
            tenant=tenant,
            path=dict(request.match_info),
            query=query,
            raw=raw,
            value=value,
            body=reading.definition_of(value, route),
            if_match=if_match,
            create_only=create_only,
        )


async def _done(route: Route, request: web.Request, call: Call) -> web.Response:
    return _response(route, request, await route.handler(call))


def _response(route: Route, request: web.Request, answer: Answer) -> web.Response:
    status = answer.status or route.status
    if answer.body is None:
        return web.Response(status=status, headers=answer.headers)
    body = _json(answer.body)
    response = web.Response(status=status, body=body, content_type="application/json", headers=answer.headers)
    response.headers["Cache-Control"] = "no-store" if answer.secret else "no-cache"
    if answer.version is not None:
        tag = etag.make(answer.version, body)
        response.headers["ETag"] = tag
        if route.method == "GET" and etag.unchanged(request.headers.get("If-None-Match"), tag):
            return web.Response(status=304, headers={"ETag": tag, "Cache-Control": "no-cache"})
    return response


def _json(value: Any) -> bytes:  # noqa: ANN401 JSON
    try:
        return orjson.dumps(value, default=_text)
    except TypeError:  # a row may hold integers past 64 bits, which orjson does not write
        return json.dumps(value, default=_text, ensure_ascii=False, separators=(",", ":")).encode()


def _text(value: Any) -> str:  # noqa: ANN401 what orjson does not know: decimals, paths
    return str(value)
