"""How much a worker takes at once: requests in flight and body bytes held; past either 429 with Retry-After.

Content-Length is reserved before a byte is read; a chunked body starts with 64 KiB and grows by 1 MiB, so memory never
grows past the budget (measured: the resident peak is base + 1.4 to 1.8 times the budget; see README).
"""

import random
from collections.abc import Callable

import msgspec

from schemas.errors import Overloaded
from schemas.reasons import Reason

CHUNKED_START = 64 << 10
_STEP = 1 << 20


def spread() -> int:
    """Return a Retry-After of 2 to 8 s, random so that refused senders do not come back together."""
    return random.randint(2, 8)  # noqa: S311 nothing is secured by it


class Admission:
    """Counts what is in flight in one worker; `retry_after` gives seconds."""

    def __init__(self, max_requests: int, max_bytes: int, *, retry_after: Callable[[], int] = spread) -> None:
        self.max_requests = max_requests
        self.max_bytes = max_bytes
        self.requests = 0
        self.held = 0
        self.retry_after = retry_after

    def enter(self, content_length: int | None) -> "Ticket":
        """Take a request in and reserve its body; raise `Overloaded(overloaded_requests|overloaded_bytes)`."""
        if self.requests >= self.max_requests:
            raise Overloaded(Reason.OVERLOADED_REQUESTS, self.retry_after())
        ticket = Ticket(self)
        ticket.reserve(CHUNKED_START if content_length is None else content_length)
        self.requests += 1
        return ticket


class Ticket(msgspec.Struct, gc=False):
    """One admitted request; `leave` it once."""

    _admission: Admission
    _held: int = 0

    def cover(self, size: int) -> None:
        """Hold at least `size` bytes, in steps of 1 MiB; raise `Overloaded(overloaded_bytes)` past the budget."""
        if size > self._held:
            self.reserve(max(size - self._held, _STEP))

    def reserve(self, more: int) -> None:
        """Hold `more` bytes on top; raise `Overloaded(overloaded_bytes)` past the budget."""
        admission = self._admission
        if admission.held + more > admission.max_bytes:
            raise Overloaded(Reason.OVERLOADED_BYTES, admission.retry_after())
        admission.held += more
        self._held += more

    def leave(self) -> None:
        """Give everything back."""
        self._admission.held -= self._held
        self._admission.requests -= 1
        self._held = 0
