"""A receiver of webhooks on a port of this machine that says, byte for byte, what a test wants, and counts."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from schemas.backing.egress import Guard, HttpEgress
from schemas.settings.notify import EndpointSettings

Say = Callable[[asyncio.StreamWriter], Awaitable[None]]
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody, and is made once."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def saying(*pieces: bytes, pause_s: float = 0.0, close: bool = False) -> Say:
    """Return what writes the pieces, a pause after each, and then closes the connection when told to."""

    async def say(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        if close:
            writer.close()

    return say


async def hanging(_writer: asyncio.StreamWriter) -> None:
    """Say nothing, ever."""
    await asyncio.Event().wait()


@dataclass
class Receiver:
    """Answers each request with `say`; `connections` counts who connected, `requests` holds (head, body)."""

    port: int = 0
    say: Say = field(default_factory=lambda: saying(OK))
    connections: int = 0
    requests: list[tuple[bytes, bytes]] = field(default_factory=list)
    ended: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                while not writer.is_closing():
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                    self.requests.append((head, await reader.readexactly(length)))
                    await self.say(writer)
        finally:
            self.ended += 1
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()


@asynccontextmanager
async def receiving(
    host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[Receiver]:
    """Serve a receiver."""
    receiver = Receiver()
    serving: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(receiver.serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(begin, host, port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def egress(networks: str = "127.0.0.0/8", *, allow_http: bool = True, **changed: object) -> HttpEgress:
    """Return what calls this machine's receivers."""
    settings = EndpointSettings(notify_allow_private=networks, notify_allow_http=allow_http)
    changed.setdefault("tls", TLS)
    return HttpEgress(Guard.for_webhooks(settings), ca_setting="notify_ca_file", **changed)  # type: ignore[arg-type]
