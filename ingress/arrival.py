"""What comes in and what goes out: the types at the joint between the doors and `receive`. No HTTP server's type here.

Structs where one is made for each request: a frozen dataclass takes ten times as long to make.
"""

from typing import Protocol

import msgspec

from ingress.headers import Headers
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


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One request: `path` and `query` exactly as on the request line; `content_length` None = chunked."""

    method: str
    path: str
    query: str
    headers: Headers
    content_length: int | None
    body: BodyStream
    link: Link | None = None

    @property
    def url(self) -> str:
        """Return path and query as on the request line."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def __repr__(self) -> str:
        """Show what is no secret: a path may be a credential, so are headers and body."""
        return f"Arrival(method={self.method!r}, content_length={self.content_length})"


class Reply(msgspec.Struct, frozen=True, gc=False):
    """One answer. `outcome`: accepted, shed, handshake, refused, overloaded or failed; `close`: end the connection."""

    status: int
    body: bytes
    content_type: str
    outcome: str
    reason: Reason | None = None
    headers: tuple[tuple[str, str], ...] = ()
    close: bool = False
