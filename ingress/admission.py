"""How much a worker takes at once: requests in flight and body bytes held; past either 429 with Retry-After.

No source takes all of it: it may hold at most SHARE times what is still free (the dynamic threshold of
https://doi.org/10.1109/90.664262), so that alone it gets four fifths, two that flood get four ninths each once the
requests they began with have ended, and there is room for the others. Its first request takes whatever is free.

Content-Length is reserved before a byte is read; a chunked body starts with 64 KiB and grows by 1 MiB, so memory never
grows past the budget (measured: the resident peak is base + 1.4 to 1.8 times the budget; see README).
"""

import random
from collections.abc import Callable

import msgspec

from schemas.errors import Overloaded
from schemas.reasons import Reason

CHUNKED_START = 64 << 10
SHARE = 4
"""How many times what is still free a source may hold."""
MAX_SOURCES = 10_000
_STEP = 1 << 20


def spread() -> int:
    """Return a Retry-After of 2 to 8 s, random so that refused senders do not come back together."""
    return random.randint(2, 8)  # noqa: S311 nothing is secured by it


class Use(msgspec.Struct, gc=False):
    """What one source has in flight."""

    requests: int = 0
    held: int = 0


class Admission:
    """Counts what is in flight in one worker; `retry_after` gives seconds."""

    def __init__(self, max_requests: int, max_bytes: int, *, retry_after: Callable[[], int] = spread) -> None:
        self.max_requests = max_requests
        self.max_bytes = max_bytes
        self.requests = 0
        self.held = 0
        self.retry_after = retry_after
        self._uses: dict[str, Use] = {}

    def enter(self, content_length: int | None, source_id: str = "") -> "Ticket":
        """Take a request in and reserve its body.

        Raises `Overloaded(overloaded_requests|overloaded_bytes)`, `Overloaded(overloaded_source)` past the share.
        """
        if self.requests >= self.max_requests:
            raise Overloaded(Reason.OVERLOADED_REQUESTS, self.retry_after())
        size = CHUNKED_START if content_length is None else content_length
        held = self.held + size
        if held > self.max_bytes:
            raise Overloaded(Reason.OVERLOADED_BYTES, self.retry_after())
        use = self._uses.get(source_id)
        if use is None:
            use = self._use(source_id)
        elif use.requests and (
            use.requests >= SHARE * (self.max_requests - self.requests)
            or use.held + size > SHARE * (self.max_bytes - held)
        ):
            raise Overloaded(Reason.OVERLOADED_SOURCE, self.retry_after())
        self.held = held
        self.requests += 1
        use.held += size
        use.requests += 1
        return Ticket(self, use, size)

    def _use(self, source_id: str) -> Use:
        """Begin to count a source; those with nothing in flight are forgotten when there are very many."""
        if len(self._uses) >= MAX_SOURCES:
            self._uses = {one: use for one, use in self._uses.items() if use.requests}
        made = self._uses[source_id] = Use()
        return made


class Ticket(msgspec.Struct, gc=False):
    """One admitted request; `leave` it once."""

    _admission: Admission
    _use: Use
    _held: int = 0

    def cover(self, size: int) -> None:
        """Hold at least `size` bytes, in steps of 1 MiB; raise `Overloaded(overloaded_bytes|overloaded_source)`."""
        if size <= self._held:
            return
        admission, use, more = self._admission, self._use, max(size - self._held, _STEP)
        held = admission.held + more
        if held > admission.max_bytes:
            raise Overloaded(Reason.OVERLOADED_BYTES, admission.retry_after())
        if use.held > self._held and use.held + more > SHARE * (admission.max_bytes - held):
            raise Overloaded(Reason.OVERLOADED_SOURCE, admission.retry_after())
        admission.held = held
        use.held += more
        self._held += more

    def leave(self) -> None:
        """Give everything back."""
        admission, use = self._admission, self._use
        admission.held -= self._held
        admission.requests -= 1
        use.held -= self._held
        use.requests -= 1
        self._held = 0
