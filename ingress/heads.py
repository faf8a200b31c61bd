"""How large a request's head may be: the server bounds each header and their number, but not what they come to.

Lives here: the bounds. 128 headers of 8 KiB would be a megabyte a connection, held before anything is admitted; and
thousands of connections can each hold a head that does not end. Who counts them: connection.py; bodies: admission.py,
body.py. https://www.rfc-editor.org/rfc/rfc6585#section-5
"""

from schemas.errors import Refused
from schemas.reasons import Reason

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_OVERLOADED = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
MAX_BYTES = 64 << 10
"""Names and values of all headers. The largest that vendors send are certificates (8 KiB) and tokens (8 KiB)."""


def refuse_too_large(size: int) -> None:
    """Refuse a whole head whose headers take more bytes than the bound."""
    if size > MAX_BYTES:
        raise Refused(Reason.HEADERS_TOO_LARGE, f"all headers together may have {MAX_BYTES} bytes")


class Unfinished:
    """What heads that are still coming hold in one worker; past `max_bytes` the one that came last is turned away."""

    __slots__ = ("held", "max_bytes")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held = 0

    def answer(self, size: int) -> bytes | None:
        """Return the answer that ends a connection whose head has `size` bytes so far, None while it may go on."""
        if size > MAX_BYTES:
            return _TOO_LARGE
        return _OVERLOADED if self.held > self.max_bytes else None
