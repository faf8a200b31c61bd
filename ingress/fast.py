"""The fast door: aiohttp's low-level server, an exact match on the path, no router, no middleware, no access log.

Lives here: the handler and its server. What a webhook's life is: receive.py. Health paths are answered here too.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpProcessingError, RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from ingress import ack, answers
from ingress.arrival import Reply
from ingress.connection import Connection
from ingress.env import Env
from ingress.owed import Owner
from ingress.probes import Probe
from ingress.receive import receive
from ingress.request import RequestBody, arrival_of
from schemas.reasons import Reason

LINGERING_S = 1.0
DISCARDED_BYTES = 64 << 10
"""Read away of a body that was refused, so that its sender sees why."""
_PROBED = frozenset({"GET", "HEAD"})


def _ours(record: logging.LogRecord) -> bool:
    """Tell whether a log record of the server is of our own doing.

    Of the others, some quote the line that could not be read, which may hold a secret URL or a key, and some say that a
    sender left in the middle of a body. Anyone could fill the disk with either. Who sent an odd line has his 400.
    """
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError | ConnectionError)


_server_log = logging.getLogger("ingress.server")
_server_log.addFilter(_ours)


class ConnectionServer(web.Server):
    """A low-level server of such connections."""

    def __init__(self, owner: Owner, handler: Any, **options: Any) -> None:  # noqa: ANN401 aiohttp's own
        super().__init__(handler, **options)
        self._owner = owner

    def __call__(self) -> RequestHandler:
        """Make the handler of a new connection."""
        return Connection(self, self._owner, loop=self._loop, **self._kwargs)


class Door:
    """Answers every request of one worker; `probes` are the replies of /livez, /readyz and /metrics by path."""

    def __init__(self, env: Env, probes: Mapping[str, Probe]) -> None:
        self.draining = False
        self.env = env
        self._probes = dict(probes)

    def server(self, keepalive_s: float) -> web.Server:
        """Make the server: `keepalive_s` bounds idle connections and the header phase alike."""
        return ConnectionServer(self, self.handle, request_factory=_make_request, **server_options(keepalive_s))

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        probe = self._probes.get(request.raw_path)
        if probe is not None and not request.secure:  # the TLS listener faces senders: health and figures stay inside
            authorization = request.headers.getall("Authorization", ())
            reply = probe(authorization) if request.method in _PROBED else _only_get()
            return ack.ordinary(reply, closing=self.draining)
        arrival = arrival_of(request)
        reply = await receive(arrival, self.env)
        body = arrival.body
        assert isinstance(body, RequestBody)  # noqa: S101 arrival_of made it
        response = ack.respond(request, reply, body, closing=self.draining)
        ends = response.keep_alive is False  # a connection that is kept reads the rest, and what comes after it
        if ends and not request.content.is_eof() and isinstance(request.protocol, Connection):
            request.protocol.discard(DISCARDED_BYTES)
        return response


def server_options(keepalive_s: float) -> dict[str, Any]:
    """Return what both doors' servers are made with: the body as sent, no access log, short lingering."""
    return {
        "access_log": None,
        "logger": _server_log,
        "keepalive_timeout": keepalive_s,
        "lingering_time": LINGERING_S,
        "auto_decompress": False,
    }


def _only_get() -> Reply:
    return answers.problem(Reason.METHOD_NOT_ALLOWED, "use GET", headers=(("Allow", "GET, HEAD"),))


def _make_request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    return web.BaseRequest(message, payload, protocol, writer, task, asyncio.get_running_loop())
