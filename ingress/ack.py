"""Writing a Reply: the short way for a kept HTTP/1.1 connection, aiohttp's way for everything else.

The short way is one `transport.write` of a head prepared per status and type. It rests on aiohttp calling only
`prepare` and `write_eof` of a handler's response (two documented methods of StreamResponse); tests/integration/ingress
holds it. Measured: README.
"""

import time
from email.utils import formatdate
from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpVersion11

from ingress.arrival import Reply
from ingress.request import RequestBody

LINGER_BYTES = 64 << 10
"""An unread body above it is not read away: the connection ends."""
_UNREAD = 64 << 10
"""A sender that leaves so many bytes of answers unread is cut off: nothing else would ever end its connection."""
_MAX_HEADS = 64


class _Written(web.Response):
    """The response that was written already: shared, immutable, keeps the connection."""

    def __init__(self) -> None:
        super().__init__()
        self._keep_alive = True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002 aiohttp's signature
        """Do nothing: the bytes are on the transport."""
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing."""


class Heads:
    """Response heads by (status, type), with the Date of this second (RFC 9110 section 6.6.1)."""

    def __init__(self) -> None:
        self._second = 0
        self._made: dict[tuple[int, str], bytes] = {}

    def head(self, status: int, content_type: str) -> bytes:
        """Return everything before the length's value."""
        second = int(time.time())
        if second != self._second or len(self._made) > _MAX_HEADS:
            self._second = second
            self._made.clear()
        made = self._made.get((status, content_type))
        if made is None:
            phrase = HTTPStatus(status).phrase
            made = self._made[status, content_type] = (
                f"HTTP/1.1 {status} {phrase}\r\nDate: {formatdate(second, usegmt=True)}\r\n"
                f"Content-Type: {content_type}\r\nContent-Length: "
            ).encode("latin-1")
        return made


_HEADS = Heads()
_WRITTEN = _Written()


def respond(request: web.BaseRequest, reply: Reply, body: RequestBody, *, closing: bool) -> web.StreamResponse:
    """Write a reply, or return the response that aiohttp writes; `closing`: this worker is going away."""
    if not request.content.is_eof():
        length = request.content_length
        closing = closing or body.waits or length is None or length > LINGER_BYTES
    transport = request.transport
    if transport is not None and transport.get_write_buffer_size() > _UNREAD:
        transport.abort()
        return _WRITTEN
    if (
        closing
        or reply.close
        or reply.headers
        or not reply.body
        or request.method == "HEAD"
        or request.version != HttpVersion11
        or not request.keep_alive
        or transport is None
        or transport.is_closing()
    ):
        return ordinary(reply, closing=closing)
    text = reply.body
    transport.write(b"%b%d\r\n\r\n%b" % (_HEADS.head(reply.status, reply.content_type), len(text), text))
    return _WRITTEN


def ordinary(reply: Reply, *, closing: bool = False) -> web.Response:
    """Return a reply as an aiohttp response."""
    headers = dict(reply.headers)
    if reply.body:
        headers["Content-Type"] = reply.content_type
    response = web.Response(status=reply.status, body=reply.body, headers=headers)
    if closing or reply.close:
        response.force_close()
    return response
