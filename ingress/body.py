"""Reading a body: bounded in size, memory and time.

Lives here: the rolling deadline (a body must flow at the least rate after the grace; the server below never times one
out) and the check for a JSON object. Not here: parsing bodies, which is the stage's.
"""

import asyncio
import zlib
from io import BytesIO

import msgspec

from ingress.admission import Ticket
from ingress.arrival import BodyStream
from ingress.env import Limits
from schemas.errors import Refused
from schemas.reasons import Reason

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_INFLATE = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_BOMB_FACTOR = 1030
"""The most that deflate makes of a byte, about."""


def refuse_declared(content_length: int | None, limit: int) -> None:
    """Refuse by Content-Length, before a byte is read."""
    if content_length is not None and content_length > limit:
        raise _too_large(limit)


async def read(stream: BodyStream, limit: int, ticket: Ticket, limits: Limits) -> bytes:
    """Return the whole body; raise `Refused(body_too_large|body_timeout)` or `Overloaded(overloaded_bytes)`."""
    whole = stream.whole()
    if whole is not None:
        if len(whole) > limit:
            raise _too_large(limit)
        ticket.cover(len(whole))
        return whole
    start = asyncio.get_running_loop().time() + limits.body_grace_s
    received = BytesIO()  # one buffer, handed over without a copy; a list of two-byte chunks would take 20 times more
    size = 0
    try:
        async with asyncio.timeout_at(start) as deadline:
            while chunk := await stream.chunk():
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                ticket.cover(size)
                received.write(chunk)
                deadline.reschedule(start + size / limits.body_min_rate)
    except TimeoutError:
        raise Refused(
            Reason.BODY_TIMEOUT,
            f"{size} bytes of the body arrived, slower than {limits.body_min_rate} bytes a second",
        ) from None
    return received.getvalue()


def weight(body: bytes, content_encoding: str) -> int:
    """Return how many bytes a look into a body may have to go through: compressed ones count inflated, at worst."""
    return len(body) * (_BOMB_FACTOR if content_encoding.strip().lower() in _INFLATE else 1)


def refuse_unless_object(body: bytes, content_encoding: str, limit: int) -> None:
    """Refuse a body that is not one JSON object; a gzip or deflate body is inflated for the check, bounded."""
    window = _INFLATE.get(content_encoding.strip().lower())
    try:
        if window is not None:
            inflater = zlib.decompressobj(window)
            body = inflater.decompress(body, limit)
            if inflater.unconsumed_tail or not inflater.eof:
                raise Refused(Reason.BODY_NOT_OBJECT, "the inflated body is cut short or larger than the limit")
        _OBJECT.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError, zlib.error) as exc:
        raise Refused(Reason.BODY_NOT_OBJECT, f"the body is not a JSON object: {str(exc)[:200]}") from None


def _too_large(limit: int) -> Refused:
    return Refused(Reason.BODY_TOO_LARGE, f"the body may have {limit} bytes")
