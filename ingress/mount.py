"""The other door: the same core as handlers of an aiohttp Application, used by `hookberg api`.

The application's server must be made with `server_options` (above all `auto_decompress=False`: signatures are over the
bytes as sent). Entity paths and ingest paths never meet: a platform has not the shape of a UUID (spec section 5).
"""

from aiohttp import web

from ingress import ack
from ingress.env import Env
from ingress.fast import server_options
from ingress.receive import receive
from ingress.request import INGEST, arrival_of
from schemas import names

__all__ = ["add_data_plane", "server_options"]
_PLATFORM = "/api/v1/webhooks/{platform:(?!" + names.UUID + "$)[^/]+}"
_WORKSPACE = "/api/v1/webhooks/generic/{workspace}"
_SECRET_URL = "/in/{token}"  # noqa: S105 a path


def add_data_plane(app: web.Application, env: Env) -> None:
    """Add the ingest paths: POST, and GET, HEAD and OPTIONS for vendors' handshakes."""

    async def handle(request: web.Request) -> web.StreamResponse:
        request[INGEST] = True
        arrival = arrival_of(request)
        return ack.ordinary(await receive(arrival, env), closing=not request.content.is_eof())

    for path in (_PLATFORM, _WORKSPACE, _SECRET_URL):
        for method in ("POST", "GET", "HEAD", "OPTIONS"):
            app.router.add_route(method, path, handle, expect_handler=_after_admission)


async def _after_admission(_request: web.Request) -> None:
    """Leave 100 Continue to the core, which writes it once the request is admitted."""
