"""The second socket of a worker, served with TLS: accepting, a bound on handshakes, watching the files.

Lives here: what aiohttp's own site does not say. The contexts: tls.py; the requests: the same door as the first socket.
"""

import asyncio
import contextlib
import socket

from aiohttp import web

from ingress.tls import Listener

HANDSHAKE_LIMIT_S = 10.0
"""From accept to the end of the handshake; then the connection is dropped."""


class TlsSite(web.BaseSite):
    """A site on a bound socket; `reload_s` is how often the listener's files are looked at."""

    __slots__ = ("_listener", "_reload_s", "_sock", "_watch")

    def __init__(
        self, runner: web.BaseRunner, sock: socket.socket, listener: Listener, *, reload_s: float, backlog: int
    ) -> None:
        super().__init__(runner, ssl_context=listener, backlog=backlog)
        self._listener = listener
        self._sock = sock
        self._reload_s = reload_s
        self._watch: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """Return its address."""
        host, port = self._sock.getsockname()[:2]
        return f"https://{host}:{port}"

    async def start(self) -> None:
        """Accept, and follow the files."""
        await super().start()
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner is not set up")
        self._server = await asyncio.get_running_loop().create_server(
            server,
            sock=self._sock,
            ssl=self._listener,
            backlog=self._backlog,
            ssl_handshake_timeout=HANDSHAKE_LIMIT_S,
        )
        self._watch = asyncio.create_task(self._listener.watch(self._reload_s), name="tls-files")

    async def stop(self) -> None:
        """Accept nothing more."""
        await super().stop()
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
