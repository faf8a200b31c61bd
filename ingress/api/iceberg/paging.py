"""Pages of names: `pageToken` is the last name of the page before, so a table made meanwhile shifts nothing.

A client that sends neither parameter gets everything, as the protocol asks of servers for clients that cannot page.
"""

import base64
import contextlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence

from schemas.errors import Refused
from schemas.reasons import Reason

PAGE = 500
MAX_PAGE = 1000
MAX_TOKEN = 1024


def page(names: Sequence[str], query: Mapping[str, str]) -> tuple[Sequence[str], str | None]:
    """Return the page of sorted `names` that is asked for, and the token of the next; raise `Refused(bad_request)`."""
    token, size = query.get("pageToken"), query.get("pageSize")
    if token is None and size is None:
        return names, None
    start = bisect_right(names, _last(token)) if token else 0
    end = start + _size(size)
    return names[start:end], _token(names[end - 1]) if end < len(names) else None


def _size(text: str | None) -> int:
    if text is None:
        return PAGE
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):  # noqa: PLR2004 fits 32 bits
        raise Refused(Reason.BAD_REQUEST, "pageSize: a whole number of at least 1")
    return min(int(text), MAX_PAGE)


def _token(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def _last(token: str) -> str:
    if len(token) <= MAX_TOKEN:
        with contextlib.suppress(ValueError):  # binascii.Error and UnicodeDecodeError are ValueErrors
            return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    raise Refused(Reason.BAD_REQUEST, "pageToken is not one that this catalog gave out")
