"""The joint to aiohttp: a request becomes an Arrival. Only this file, ack.py and the doors know aiohttp's types."""

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError

from ingress.arrival import Arrival, by_name
from schemas.errors import Refused
from schemas.reasons import Reason

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class RequestBody:
    """Implements BodyStream on aiohttp's payload; the request's own `read()` has no deadline."""

    __slots__ = ("_request", "waits")

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self.waits = request.headers.get("Expect", "").lower() == "100-continue"

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
        transport = self._request.transport
        if self.waits and transport is not None:
            self.waits = False
            transport.write(_CONTINUE)


class RequestLink:
    """Implements Link on aiohttp's transport."""

    __slots__ = ("_request",)

    def __init__(self, request: web.BaseRequest) -> None:
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
    """Return a request as received; header texts are latin-1, so that they encode back to the exact bytes."""
    path, _, query = request.raw_path.partition("?")
    headers = tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers])
    return Arrival(
        request.method,
        path,
        query,
        headers,
        by_name(headers),
        request.content_length,
        RequestBody(request),
        RequestLink(request),
    )


def _broken(exc: Exception) -> Refused:
    return Refused(Reason.BAD_REQUEST, f"the body cannot be read: {type(exc).__name__}")
