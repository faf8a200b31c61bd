"""A fast door on a real socket over fakes, and raw HTTP to talk to it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from ingress.fast import Door
from ingress.probes import probes
from ingress.workers import bind
from tests.fakes.edge import Edge


@dataclass(frozen=True, slots=True)
class Answer:
    """One response read off the wire."""

    status: int
    version: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass(frozen=True, slots=True)
class Wire:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, limit_s: float = 10.0) -> Answer:
        async with asyncio.timeout(limit_s):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            version, status = head[0].split(" ", 2)[:2]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
            return Answer(int(status), version, headers, body)

    async def ended(self, limit_s: float = 10.0) -> bool:
        """Tell whether the server ends the connection within the limit."""
        async with asyncio.timeout(limit_s):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True


@dataclass(frozen=True, slots=True)
class Served:
    """A door and its address."""

    door: Door
    edge: Edge
    port: int
    runner: web.ServerRunner

    @asynccontextmanager
    async def wire(self) -> AsyncIterator[Wire]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Wire(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def served(edge: Edge, keepalive_s: float = 30.0) -> AsyncIterator[Served]:
    sock: socket.socket = bind("127.0.0.1", 0)
    door = Door(edge.env, probes(edge.env, edge.publisher, edge.metrics, lambda: False))
    runner = web.ServerRunner(door.server(keepalive_s), shutdown_timeout=2)
    await runner.setup()
    await web.SockSite(runner, sock).start()
    try:
        yield Served(door, edge, sock.getsockname()[1], runner)
    finally:
        await runner.cleanup()
        sock.close()


async def until(predicate: Callable[[], object], limit_s: float = 10.0) -> None:
    """Wait for something that the loop will bring about."""
    async with asyncio.timeout(limit_s):
        while not predicate():
            await asyncio.sleep(0.005)
