"""The health page of a process without an HTTP door of its own: /livez, /readyz, /metrics.

Lives here: the server. Not here: what makes a process ready (a callable says so), what is answered (readiness.py).
https://kubernetes.io/docs/reference/using-api/health-checks/
"""

import errno
from collections.abc import Callable, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from schemas import readiness
from schemas.definitions.view import KeyView
from schemas.errors import ConfigurationError
from schemas.metrics import Metrics
from schemas.reasons import Reason

_TAKEN = frozenset({errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL})


class HealthServer:
    """Serves on `host:port` (0 = any free one); `ready()` returns what is wrong by check, "" or nothing = ready.

    `keys()` returns the API keys by digest: their holders see each check.
    """

    def __init__(
        self,
        host: str,
        port: int,
        ready: Callable[[], readiness.Checks],
        metrics: Metrics,
        keys: Callable[[], Mapping[bytes, KeyView]] = dict,
    ) -> None:
        self._host = host
        self._ready = ready
        self._metrics, self._keys = metrics, keys
        self._runner: web.AppRunner | None = None
        self.port = port

    async def start(self) -> None:
        """Listen; `port` is then the real one. Raises `ConfigurationError` (port_taken)."""
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics_page)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self.port).start()
        except OSError as exc:
            await runner.cleanup()
            if exc.errno not in _TAKEN:
                raise
            raise ConfigurationError(
                f"{Reason.PORT_TAKEN}: {self._host}:{self.port} cannot be listened on ({exc.strerror}): end what runs "
                "there, or set another health port"
            ) from exc
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port and all connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _livez(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "live"})

    async def _readyz(self, request: web.Request) -> web.Response:
        detailed = readiness.holds_key(request.headers.getall("Authorization", ()), self._keys())
        status, body = readiness.answer(self._ready(), detailed=detailed)
        return web.json_response(body, status=status)

    async def _metrics_page(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
