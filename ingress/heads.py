"""How large a request's head may be: the server bounds each header and their number, but not what they come to.

Lives here: the bound. 128 headers of 8 KiB would be a megabyte a connection, held before anything is admitted. Heads
that are still coming: connection.py; bodies: admission.py, body.py. https://www.rfc-editor.org/rfc/rfc6585#section-5
"""

from schemas.errors import Refused
from schemas.reasons import Reason

MAX_BYTES = 64 << 10
"""Names and values of all headers. The largest that vendors send are certificates (8 KiB) and tokens (8 KiB)."""


def refuse_too_large(size: int) -> None:
    """Refuse a whole head whose headers take more bytes than the bound."""
    if size > MAX_BYTES:
        raise Refused(Reason.HEADERS_TOO_LARGE, f"all headers together may have {MAX_BYTES} bytes")
