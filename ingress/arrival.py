"""What comes in and what goes out: the types at the joint between the doors and `receive`. No HTTP server's type here.

Header and query texts are latin-1 as received, so that `text.encode("latin-1")` gives the exact bytes back.
"""

from dataclasses import dataclass, field
from typing import Protocol

from schemas.reasons import Reason

PROBLEM = "application/problem+json"
JSON = "application/json"


class BodyStream(Protocol):
    """A request's body as it arrives. Implemented by ingress.request.RequestBody and tests.fakes.MemoryBody."""

    def whole(self) -> bytes | None:
        """Return the body when all of it is here already, else None; raise `Refused(bad_request)` if it is broken."""

    async def chunk(self) -> bytes:
        """Return the next bytes, b"" at the end; raise `Refused(bad_request)` when the sender broke the framing."""

    def go_on(self) -> None:
        """Tell a sender that waits for it (Expect: 100-continue) to send; called after admission."""


class Link(Protocol):
    """The connection that a request came by, asked only when it matters. Implemented by ingress.request.RequestLink."""

    def peer(self) -> str:
        """Return the IP address of the other end, "" when it has none."""

    def is_tls(self) -> bool:
        """Tell whether it came by our own TLS listener."""

    def certificate(self) -> tuple[bytes, object] | None:
        """Return the client certificate (DER) and the TLS context that its handshake was made with; None without."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request: `path` and `query` exactly as on the request line, headers in wire order, repeated ones too.

    `content_length` None = chunked; `by_name` holds the headers by lower-case name, the first value wins.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    by_name: dict[str, str] = field(repr=False)
    content_length: int | None
    body: BodyStream = field(repr=False)
    link: Link | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Return path and query as on the request line."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `outcome`: accepted, handshake, refused, overloaded or failed; `close`: end the connection."""

    status: int
    body: bytes
    content_type: str
    outcome: str
    reason: Reason | None = None
    headers: tuple[tuple[str, str], ...] = ()
    close: bool = False


def by_name(headers: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Index headers by lower-case name; the first value of a name wins."""
    found: dict[str, str] = {}
    for name, value in headers:
        found.setdefault(name.lower(), value)
    return found
