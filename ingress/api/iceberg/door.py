"""The door's HTTP side: routes, who calls, errors in Iceberg's model.

Lives here: aiohttp. Not here: what a call answers (calls.py). The way of a request: key and permission as everywhere
(`access`), the tenants that it sees, the handler, JSON.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from ingress.api import access
from ingress.api.iceberg import calls, errors
from ingress.api.routes import Scope
from schemas import logs
from schemas.definitions.key import Permission
from schemas.definitions.view import KeyView
from schemas.errors import HookbergError, Overloaded
from schemas.reasons import Reason

if TYPE_CHECKING:
    from ingress.api.env import ApiEnv

PREFIX = "/iceberg"
MAX_IN_FLIGHT = 64
"""Calls at work in one process, each with at most one table's metadata in memory; past it 429."""
log = logs.logger("ingress.iceberg")


def add_iceberg(app: web.Application, env: "ApiEnv") -> None:
    """Add the catalog's routes; what is below `/iceberg` and none of them is answered in Iceberg's error model too."""
    door = Door(env)
    for method, path, handler in (*calls.READS, *calls.POSTS):
        app.router.add_route(method, PREFIX + path, door.handler(handler))
    app.router.add_post(f"{PREFIX}/v1/oauth/tokens", door.tokens)
    app.router.add_route("*", PREFIX + "{rest:(/.*)?}", door.handler(_other))


async def _other(call: calls.Call) -> calls.Reply:
    """Refuse what is no call of this catalog: every change, and paths that lead nowhere."""
    if call.path["method"] not in {"GET", "HEAD"}:
        raise errors.forbidden()
    raise errors.Failed(404, "NotFoundException", "there is nothing at this path: the catalog is at /iceberg/v1")


class Door:
    """Makes the handlers of one application."""

    def __init__(self, env: "ApiEnv") -> None:
        self._env = env
        self._in_flight = 0

    def handler(self, act: calls.Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Return the server's handler of a call; every error becomes an answer here."""

        async def handle(request: web.Request) -> web.Response:
            if self._in_flight >= MAX_IN_FLIGHT:
                return errors.translate(Overloaded(Reason.OVERLOADED_REQUESTS, 1))
            self._in_flight += 1
            try:
                return _response(await act(await self._read(request)))
            except (HookbergError, errors.Failed) as exc:
                return errors.translate(exc)
            except Exception as exc:
                log.exception("request_failed", method=request.method, path=request.path)
                return errors.translate(exc)
            finally:
                self._in_flight -= 1

        return handle

    async def tokens(self, _request: web.Request) -> web.Response:
        """Tell a client that wants an OAuth token to send its API key."""
        return errors.no_tokens()

    async def _read(self, request: web.Request) -> calls.Call:
        env = self._env
        key = await access.key_of(env.view, request.headers.getall("Authorization", ()))
        env.rates.take_key(key.id)
        access.permit(key, Permission.TABLES_READ)
        return calls.Call(
            catalog=env.catalog,
            sees=await self._sees(key, request),
            path={**request.match_info, "method": request.method},
            query=dict(request.query),
            if_none_match=request.headers.get("If-None-Match"),
            properties=env.settings.iceberg_reader_properties,
            streams=env.view.current().streams.values(),
        )

    async def _sees(self, key: KeyView, request: web.Request) -> Collection[str]:
        """Return the tenants that a key sees: its own; those of an admin key are all, or the one that it names."""
        named = request.headers.getall(access.TENANT_HEADER, ())
        tenant = await access.tenant_of(self._env.view, key, named, Scope.SERVER, None)
        return frozenset({tenant}) if tenant else self._env.view.current().tenants


def _response(reply: calls.Reply) -> web.Response:
    headers = {} if reply.etag is None else {"ETag": reply.etag}
    if reply.status != 200:  # noqa: PLR2004 the others have no body
        return web.Response(status=reply.status, headers=headers)
    headers["Cache-Control"] = "no-store" if reply.secret else "no-cache"
    body = reply.text or orjson.dumps(reply.body)
    return web.Response(body=body, content_type="application/json", headers=headers)
