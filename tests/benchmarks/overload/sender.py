"""Senders: a fixed number of kept connections that post at a rate, as vendors do: no more at a time than they have.

Lives here: the client and what it was answered. A request's time runs from its sending, so a sender that is made to
wait sends less: that is what `queue` is for. Past the rate nobody waits to send: with enough connections it is open.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

_ID = b'"deliveryId":"'
_REASON = b'"reason":"'
_ID_LENGTH = 36
Make = Callable[[int, int], bytes]
"""(connection, its how-manieth request) -> the request's bytes."""


@dataclass(slots=True)
class Heard:
    """What the senders were answered: by (status, reason), seconds of 2xx, ids of deliveries, longest of any answer.

    `cut`: connections that ended while an answer was owed; `refused`: that were not taken.
    """

    answers: Counter[tuple[int, str]] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    retry_after: list[int] = field(default_factory=list)
    longest_s: float = 0.0
    cut: int = 0
    refused: int = 0

    @property
    def sent(self) -> int:
        """Return how many requests were answered."""
        return sum(self.answers.values())

    def status(self, status: int) -> int:
        """Return how many answers had a status."""
        return sum(count for (told, _), count in self.answers.items() if told == status)

    def take(self, data: bytes, seconds: float) -> None:
        """Count one answer."""
        status, head = int(data[9:12]), data[: data.index(b"\r\n\r\n")].lower()
        self.longest_s = max(self.longest_s, seconds)
        if status < 300:
            self.answers[status, ""] += 1
            self.seconds.append(seconds)
            at = data.index(_ID) + len(_ID)
            self.ids.add(data[at : at + _ID_LENGTH].decode())
            return
        at = data.index(_REASON) + len(_REASON)
        self.answers[status, data[at : data.index(b'"', at)].decode()] += 1
        if (place := head.find(b"retry-after: ")) >= 0:
            self.retry_after.append(int(head[place + 13 :].split(b"\r", 1)[0]))


class _Line(asyncio.Protocol):
    """One connection: sends when its turn has come and its last request is answered."""

    def __init__(self, load: "Load", number: int) -> None:
        self._load, self._number, self._count = load, number, 0
        self._sent, self._buffer = 0.0, b""
        self._waits = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.next()

    def next(self) -> None:
        """Take the next turn; nobody sends after the end."""
        due = self._load.turn()
        if due is not None:
            self._load.loop.call_at(due, self._send)

    def _send(self) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        self._waits, self._sent = True, self._load.loop.time()
        self.transport.write(self._load.make(self._number, self._count))
        self._count += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.index(b"content-length: ") + 16
        whole = end + 4 + int(head[at:].split(b"\r", 1)[0])
        if len(self._buffer) < whole:
            return
        self._load.heard.take(self._buffer[:whole], self._load.loop.time() - self._sent)
        self._buffer, self._waits = b"", False
        self.next()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 asyncio's signature
        self._load.heard.cut += self._waits
        self._load.lost(self._number)


class Load:
    """One load; `rate` a second over all connections, None: as fast as answers come."""

    def __init__(self, url: str, make: Make, connections: int, rate: float | None, seconds: float) -> None:
        to = urlsplit(url)
        self._host, self._port = to.hostname or "", to.port or 0
        self.make, self.heard = make, Heard()
        self._connections, self._rate, self._seconds = connections, rate, seconds
        self._turns = 0
        self._end = 0.0
        self._lines: dict[int, _Line] = {}
        self._opening: set[asyncio.Task[None]] = set()

    async def run(self) -> Heard:
        """Send until the time is over and all that was sent is answered."""
        self.loop = asyncio.get_running_loop()
        self._begin = self.loop.time()
        self._end = self._begin + self._seconds
        await asyncio.gather(*(self._open(number) for number in range(self._connections)))
        await asyncio.sleep(max(0.0, self._end - self.loop.time()))
        limit = self.loop.time() + 30.0
        while any(line._waits for line in self._lines.values()) and self.loop.time() < limit:
            await asyncio.sleep(0.05)
        for line in self._lines.values():
            if line.transport is not None:
                line.transport.abort()
        return self.heard

    def turn(self) -> float | None:
        """Return when the next request is due, by the loop's clock; None past the end."""
        due = self.loop.time() if self._rate is None else self._begin + self._turns / self._rate
        self._turns += 1
        return None if max(due, self.loop.time()) >= self._end else due

    def lost(self, number: int) -> None:
        """Open a connection again that the server has ended."""
        if self.loop.time() < self._end:
            task = self.loop.create_task(self._open(number))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, number: int) -> None:
        while self.loop.time() < self._end:
            try:
                _, line = await self.loop.create_connection(lambda: _Line(self, number), self._host, self._port)
            except ConnectionError:
                self.heard.refused += 1
                await asyncio.sleep(0.1)
            else:
                self._lines[number] = line
                return
