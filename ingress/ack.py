"""Writing a Reply: the short way for a kept HTTP/1.1 connection, aiohttp's way for everything else.

The short way is one `transport.write` of a head prepared per status and type. It rests on aiohttp calling only
`prepare` and `write_eof` of a handler's response (two documented methods of StreamResponse); tests/integration/ingress
holds it. Measured: README.
"""

import asyncio
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
            rest = f"Content-Type: {content_type}\r\nContent-Length: ".encode("latin-1")
            made = self._made[status, content_type] = self.line(status) + rest
        return made

    def line(self, status: int) -> bytes:
        """Return the status line and the Date."""
        phrase = HTTPStatus(status).phrase
        return f"HTTP/1.1 {status} {phrase}\r\nDate: {formatdate(time.time(), usegmt=True)}\r\n".encode("latin-1")


_HEADS = Heads()
_WRITTEN = _Written()


def is_unread(transport: asyncio.WriteTransport) -> bool:
    """Cut off a sender that leaves its answers unread; True when it was, or is gone already."""
    if transport.get_write_buffer_size() > _UNREAD:
        transport.abort()
        return True
    return transport.is_closing()


def text(reply: Reply, *, closing: bool = False) -> bytes:
    """Return a reply as it stands on the wire of HTTP/1.1, head and body."""
    body = reply.body
    if not (closing or reply.headers) and body:
        return b"%b%d\r\n\r\n%b" % (_HEADS.head(reply.status, reply.content_type), len(body), body)
    head = _HEADS.line(reply.status)
    head += b"".join([f"{name}: {value}\r\n".encode("latin-1") for name, value in reply.headers])
    if closing:
        head += b"Connection: close\r\n"
    if body:
        head += b"Content-Type: %b\r\n" % reply.content_type.encode("latin-1")
    if reply.status != HTTPStatus.NO_CONTENT:  # which has no length (RFC 9110 section 8.6)
        head += b"Content-Length: %d\r\n" % len(body)
    return b"%b\r\n%b" % (head, body)


def respond(request: web.BaseRequest, reply: Reply, body: RequestBody, *, closing: bool) -> web.StreamResponse:
    """Write a reply, or return the response that aiohttp writes; `closing`: this worker is going away."""
    if not request.content.is_eof():
        length = request.content_length
        closing = closing or body.waits or length is None or length > LINGER_BYTES
    transport = request.transport
    if transport is not None and is_unread(transport):
        return _WRITTEN
    if (
        closing
        or reply.close
        or request.method == "HEAD"
        or request.version != HttpVersion11
        or not request.keep_alive
        or transport is None
    ):
        return ordinary(reply, closing=closing)
    transport.write(text(reply))
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
