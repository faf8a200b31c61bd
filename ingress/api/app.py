"""The control plane's application: routes of the table, problems, health, the document, the docs page.

Lives here: the wiring. `build_app(env)` is what deploy/processes/api.py calls; the data plane is mounted by
ingress.mount beside it.
"""

from collections.abc import AsyncIterator

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import generate_latest

from ingress.api import openapi, problems, reading, requests
from ingress.api.call import Threads
from ingress.api.counts import Counts
from ingress.api.dispatch import Dispatcher
from ingress.api.docs import add_docs
from ingress.api.env import ApiEnv
from ingress.api.iceberg import add_iceberg
from ingress.api.routes import PREFIX
from ingress.api.table import ROUTES
from schemas import logs, readiness
from schemas.errors import HookbergError

THREADS = 16
"""Blocking registry calls at a time; SQLite serialises writes anyway, PostgreSQL's pool is of the same order."""
log = logs.logger("ingress.api")


def build_app(env: ApiEnv) -> web.Application:
    """Make the application: control plane, `/iceberg/v1`, `/livez /readyz /metrics`, `/docs`, the OpenAPI document."""
    threads = Threads(THREADS)
    app = web.Application(client_max_size=reading.BODY_LIMIT, middlewares=[_guard(env)])
    dispatcher = Dispatcher(env, threads)
    for route in ROUTES:
        app.router.add_route(route.method, route.server_path, dispatcher.handler(route))
    document = orjson.dumps(openapi.document(ROUTES))

    async def openapi_json(_request: web.Request) -> web.Response:
        return web.Response(body=document, content_type="application/json", headers={"Cache-Control": "no-cache"})

    app.router.add_get(f"{PREFIX}/openapi.json", openapi_json)
    add_docs(app, env)
    add_iceberg(app, env)
    _add_health(app, env)

    async def close_threads(_app: web.Application) -> AsyncIterator[None]:
        yield
        threads.close()

    app.cleanup_ctx.append(close_threads)
    return app


def _guard(env: ApiEnv) -> Middleware:
    counts = Counts(env.metrics, env.clock)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        with counts.one(request) as told:
            response = told.response = await guarded(request, handler)
        return response

    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id = requests.assign(request, env.clock, env.random_bytes(10))
        try:
            response = await handler(request)
        except web.HTTPException as exc:
            if exc.status < 400:  # noqa: PLR2004 a redirect is no error
                raise
            response = problems.translate(exc, request_id)
        except HookbergError as exc:
            response = problems.translate(exc, request_id)
        except Exception as exc:
            log.exception("request_failed", request_id=request_id, method=request.method, path=request.path)
            response = problems.translate(exc, request_id)
        if response.status == web.HTTPUnsupportedMediaType.status_code and request.method == "PATCH":
            response.headers["Accept-Patch"] = ", ".join(request.get(reading.PATCHES, ()))
        if not response.prepared:
            response.headers[requests.HEADER] = request_id
        return response

    return guard


def _add_health(app: web.Application, env: ApiEnv) -> None:
    async def livez(_request: web.Request) -> web.Response:
        return web.json_response({"status": "live"})

    async def readyz(request: web.Request) -> web.Response:
        detailed = readiness.holds_key(request.headers.getall("Authorization", ()), env.view.current().keys)
        status, body = readiness.answer(env.ready(), detailed=detailed)
        return web.json_response(body, status=status)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(env.metrics.registry), content_type="text/plain", charset="utf-8")

    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
