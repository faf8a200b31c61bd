"""The joint to aiohttp: a request becomes an Arrival. Only this file, ack.py and the doors know aiohttp's types."""

import asyncio
from typing import Protocol

import msgspec
from aiohttp import ClientPayloadError, StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError

from ingress import headers
from ingress.arrival import Arrival
from schemas.errors import Refused
from schemas.reasons import Reason

INGEST = web.RequestKey("ingest", bool)
"""A request of the application that has this is a delivery, not the control plane's."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class RequestBody:
    """Implements BodyStream on aiohttp's payload; the request's own `read()` has no deadline."""

    __slots__ = ("_continued", "_request")

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._continued = False

    @property
    def waits(self) -> bool:
        """Tell whether the sender keeps its body back until it is told to go on."""
        return not self._continued and self._request.headers.get("Expect", "").lower() == "100-continue"

    def whole(self) -> bytes | None:
        """Return the body when all of it is here already, else None."""
        content = self._request.content
        if not content.is_eof():
            return None
        try:
            return content.read_nowait()
        except (ClientPayloadError, HttpProcessingError) as exc:
            raise _broken(exc) from None

    async def chunk(self) -> bytes:
        """Return the next bytes, b"" at the end."""
        try:
            return await self._request.content.readany()
        except (ClientPayloadError, HttpProcessingError) as exc:
            raise _broken(exc) from None

    def go_on(self) -> None:
        """Write 100 Continue, once, to a sender that waits for it (RFC 9110 section 10.1.1)."""
        if self._request.content.is_eof() or not self.waits:
            return
        self._continued = True
        transport = self._request.transport
        if transport is not None:
            transport.write(_CONTINUE)


class WholeBody(msgspec.Struct, frozen=True, gc=False):
    """Implements BodyStream on a payload that is here whole: whoever sent it waits for nothing."""

    _payload: StreamReader

    def whole(self) -> bytes:
        """Return the body, once."""
        return self._payload.read_nowait()

    async def chunk(self) -> bytes:
        """Return what is left of it."""
        return self._payload.read_nowait()

    def go_on(self) -> None:
        """Do nothing: it is here."""


class HeldBody(msgspec.Struct, gc=False):
    """Implements BodyStream on the bytes themselves."""

    _body: bytes

    def whole(self) -> bytes:
        """Return the body, once."""
        body, self._body = self._body, b""
        return body

    async def chunk(self) -> bytes:
        """Return what is left of it."""
        return self.whole()

    def go_on(self) -> None:
        """Do nothing: it is here."""


class HasTransport(Protocol):
    """A request or a connection of aiohttp."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """Return the transport, None when the other end has left."""


class TransportLink:
    """Implements Link on aiohttp's transport."""

    __slots__ = ("_request",)

    def __init__(self, request: HasTransport) -> None:
        self._request = request

    def peer(self) -> str:
        """Return the IP address of the other end, "" when it has none."""
        transport = self._request.transport
        name = None if transport is None else transport.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) and name else ""

    def is_tls(self) -> bool:
        """Tell whether it came by our own TLS listener."""
        transport = self._request.transport
        return transport is not None and transport.get_extra_info("ssl_object") is not None

    def certificate(self) -> tuple[bytes, object] | None:
        """Return the client certificate and the TLS context of its handshake, None on a plain connection."""
        transport = self._request.transport
        tls = None if transport is None else transport.get_extra_info("ssl_object")
        if tls is None:
            return None
        der = tls.getpeercert(binary_form=True)
        return None if der is None else (der, tls.context)


def arrival_of(request: web.BaseRequest) -> Arrival:
    """Return a request as received."""
    path, _, query = request.raw_path.partition("?")
    return Arrival(
        request.method,
        path,
        query,
        headers.read(request.raw_headers),
        request.content_length,
        RequestBody(request),
        TransportLink(request),
    )


def _broken(exc: Exception) -> Refused:
    return Refused(Reason.BAD_REQUEST, f"the body cannot be read: {type(exc).__name__}")
