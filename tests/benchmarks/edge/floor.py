"""The floor: aiohttp's low-level server, the body read, its HMAC, one produce with acks=all, and nothing else.

    python -m tests.benchmarks.edge.floor PORT BOOTSTRAP TOPIC LINGER_MS

No source, no admission, no record headers, no counters, no answer but the status: what ours costs on top is the price
of those. The producer is polled on the loop as ours is, and the answer is one prepared write.
"""

import asyncio
import hmac
import sys

import uvloop
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from confluent_kafka import KafkaError, Message, Producer

SECRET = b"s3cret"
POLL_S = 0.001
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Written(web.Response):
    """An answer that is on the transport already."""

    def __init__(self) -> None:
        super().__init__()
        self._keep_alive = True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002
        return None

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002
        return None


class Floor:
    """One server process."""

    def __init__(self, bootstrap: str, topic: str, linger_ms: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._topic = topic
        self._written = Written()
        self._outstanding = 0
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": linger_ms,
                "batch.size": 1 << 20,
                "message.max.bytes": 32 << 20,
                "socket.nagle.disable": True,
            }
        )

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        made = "sha256=" + hmac.digest(SECRET, body, "sha256").hex()
        if not hmac.compare_digest(made.encode(), request.headers.get("X-Hub-Signature-256", "").encode()):
            return web.Response(status=401)
        stored: asyncio.Future[bool] = self._loop.create_future()

        def reported(error: KafkaError | None, _message: Message) -> None:
            self._outstanding -= 1
            if not stored.done():
                stored.set_result(error is None)

        self._producer.produce(
            self._topic, body, request.headers.get("X-GitHub-Delivery", "").encode(), on_delivery=reported
        )
        self._outstanding += 1
        if self._outstanding == 1:
            self._loop.call_later(POLL_S, self._poll)
        if not await stored or request.transport is None:
            return web.Response(status=503)
        request.transport.write(_OK)
        return self._written

    def _poll(self) -> None:
        self._producer.poll(0)
        if self._outstanding:
            self._loop.call_later(POLL_S, self._poll)


async def main(port: int, bootstrap: str, topic: str, linger_ms: int) -> None:
    """Serve until ended."""
    floor = Floor(bootstrap, topic, linger_ms)
    server = web.Server(floor.handle, access_log=None)
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
