"""How large a request's head may be: the server bounds each header and their number, but not what they come to.

Lives here: the bound, on whole heads and on ones that are still coming, and the server that holds it. 128 headers of
8 KiB would be a megabyte a connection, held before anything is admitted. Not here: bodies (admission.py, body.py).
It rests on aiohttp's `_waiter` (set while a connection waits for a head), which its own idle timer reads as well; the
version is pinned and tests/integration/edge holds it. https://www.rfc-editor.org/rfc/rfc6585#section-5
"""

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from schemas.errors import Refused
from schemas.reasons import Reason

MAX_BYTES = 64 << 10
"""Names and values of all headers. The largest that vendors send are certificates (8 KiB) and tokens (8 KiB)."""
_REFUSED = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def refuse_too_large(headers: tuple[tuple[str, str], ...]) -> None:
    """Refuse a whole head that is larger than the bound."""
    if sum([len(name) + len(value) for name, value in headers]) > MAX_BYTES:
        raise Refused(Reason.HEADERS_TOO_LARGE, f"all headers together may have {MAX_BYTES} bytes")


class BoundedHandler(RequestHandler):
    """One connection that ends when an unfinished head passes the bound."""

    __slots__ = ("_unfinished",)

    def __init__(self, manager: web.Server, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:  # noqa: ANN401
        super().__init__(manager, loop=loop, **options)
        self._unfinished = 0

    def data_received(self, data: bytes) -> None:
        """Count what came since the last head; what completes one, and bodies, do not count."""
        super().data_received(data)
        waiter = self._waiter
        if waiter is None or waiter.done():
            self._unfinished = 0
            return
        self._unfinished += len(data)
        if self._unfinished > MAX_BYTES and self.transport is not None:
            self.transport.write(_REFUSED)
            self.force_close()


class BoundedServer(web.Server):
    """A low-level server whose connections are bounded."""

    def __call__(self) -> RequestHandler:
        """Make the handler of a new connection."""
        return BoundedHandler(self, loop=self._loop, **self._kwargs)
