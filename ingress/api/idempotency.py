"""`Idempotency-Key` on POST: the same call again within 24 h gets the first answer again and does nothing.

Lives here: which answers are kept and how a call is recognised (key, method, path, tenant, body). Not here: where they
are kept: the registry, encrypted, because some show a secret. Only successes are kept: a call that was refused or
failed did nothing and may be tried again. https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from ingress.api.call import Call, Threads
from schemas.backing.registry.idempotency import Idempotency
from schemas.errors import Refused
from schemas.reasons import Reason

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_KEY = re.compile(r"[!-~]{1,255}")
_KEPT_HEADERS = ("Content-Type", "Location", "ETag", "Cache-Control")


class Once:
    """Runs a call at most once per key; calls of one key in this process wait for one another."""

    def __init__(self, store: Idempotency, threads: Threads) -> None:
        self._store = store
        self._threads = threads
        self._running: dict[tuple[str, str], asyncio.Lock] = {}
        self._waiting: dict[tuple[str, str], int] = {}

    async def answer(
        self, request: web.Request, call: Call, produce: Callable[[], Awaitable[web.Response]]
    ) -> web.Response:
        """Return the answer kept for this call, or produce it and keep it; raise `Refused(idempotency_mismatch)`."""
        text = request.headers[HEADER]
        if not _KEY.fullmatch(text):
            raise Refused(Reason.BAD_REQUEST, f"{HEADER}: 1 to 255 visible ASCII characters")
        name = (call.key.id, text)
        lock = self._running.setdefault(name, asyncio.Lock())
        self._waiting[name] = self._waiting.get(name, 0) + 1
        try:
            async with lock:
                return await self._locked(request, call, name, produce)
        finally:
            self._waiting[name] -= 1
            if not self._waiting[name]:
                del self._waiting[name], self._running[name]

    async def _locked(
        self, request: web.Request, call: Call, name: tuple[str, str], produce: Callable[[], Awaitable[web.Response]]
    ) -> web.Response:
        digest = _digest(request, call)
        saved = await self._threads.run(self._store.begin, *name, digest)
        if saved is not None:
            return web.Response(status=saved.status, headers={**saved.headers, REPLAYED: "true"}, body=saved.body)
        response = await produce()
        if isinstance(response.body, bytes):
            kept = {header: response.headers[header] for header in _KEPT_HEADERS if header in response.headers}
            await self._threads.run(self._store.save, *name, digest, response.status, kept, response.body)
        return response


def _digest(request: web.Request, call: Call) -> bytes:
    """Return what the request is, so that another one under the same key is refused."""
    found = hashlib.sha256()
    for part in (request.method.encode(), request.path_qs.encode(), call.tenant.encode(), call.raw):
        found.update(len(part).to_bytes(8) + part)
    return found.digest()
