"""The receiver: answers 204 as fast as one process can, or never; tells what it got.

    python -m tests.benchmarks.notify.receiver

Prints its port. POST to /hang… is read and never answered; GET /told answers and forgets what came since the last one:
deliveries, events, their bytes, when the last one came, and ms from each event's `timestamp` to its arrival.
"""

import asyncio
import re
import sys
import time
from typing import cast

import orjson
import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TIMESTAMP = re.compile(rb'"timestamp":(\d+)')
_OK = b"HTTP/1.1 204 No Content\r\n\r\n"


class Told:
    """What came."""

    def __init__(self) -> None:
        self.deliveries = self.events = self.bytes = self.hanging = 0
        self.last = 0.0
        self.waits_ms: list[int] = []


class Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, told: list[Told]) -> None:
        self.told, self.buffer = told, b""
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self.buffer, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self.buffer) < whole:
                return
            head, body, self.buffer = self.buffer[:end], self.buffer[end + 4 : whole], self.buffer[whole:]
            self.answer(head, body)

    def answer(self, head: bytes, body: bytes) -> None:
        assert self.transport is not None
        told = self.told[0]
        if head.startswith(b"GET"):
            said = orjson.dumps(vars(told))
            self.told[0] = Told()
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(said), said))
            return
        if head.startswith(b"POST /hang"):
            told.hanging += 1
            return
        told.last = time.time()
        now_ms = int(told.last * 1000)
        waits = [now_ms - int(each) for each in _TIMESTAMP.findall(body)]
        told.deliveries += 1
        told.events += len(waits)
        told.bytes += len(body)
        told.waits_ms += waits
        self.transport.write(_OK)


async def main() -> None:
    """Serve until the process is ended."""
    told = [Told()]
    server = await asyncio.get_running_loop().create_server(lambda: Line(told), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
