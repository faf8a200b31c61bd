"""An honest sender as a process of its own: small deliveries at a constant rate, until told to stop or all are sent.

    python -m tests.integration.edge.traffic PORT PATH RATE [COUNT]

Half of the requests go over kept connections, half over new ones. Latency counts from the time at which a request was
due, so a server that stands still is seen. Prints an empty line when the first request is answered. Ends at COUNT or at
the end of its input, then prints one JSON document.
"""

import asyncio
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import orjson

LIMIT_S = 60.0
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Seen:
    """What came of the requests: statuses, failures by their words, latencies (s), ids of acknowledged deliveries."""

    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)


class Sender:
    """Posts to one URL."""

    def __init__(self, port: int, path: str) -> None:
        self.port, self.path = port, path
        self.seen = Seen()
        self._kept: list[Connection] = []

    async def one(self, number: int, due: float) -> None:
        keep = number % 2 == 0
        try:
            async with asyncio.timeout(LIMIT_S):
                status, body = await self._post(number, keep)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as exc:
            self.seen.failures[f"{'kept' if keep else 'new'} {type(exc).__name__}: {exc}"[:200]] += 1
            return
        self.seen.statuses[status] += 1
        self.seen.latencies.append(time.monotonic() - due)
        if status == 200:
            self.seen.ids.append(orjson.loads(body)["deliveryId"])

    async def _post(self, number: int, keep: bool) -> tuple[int, bytes]:
        reader, writer = await self._connection(keep)
        body = b'{"n":%d}' % number
        end = "" if keep else "Connection: close\r\n"
        head = f"POST {self.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{end}\r\n"
        writer.write(head.encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].partition("\r")[0])
        answer = await reader.readexactly(length)
        if keep and "connection: close" not in head:
            self._kept.append((reader, writer))
        else:
            writer.close()
        return int(head[9:12]), answer

    async def _connection(self, keep: bool) -> Connection:
        while keep and self._kept:
            reader, writer = self._kept.pop(0)
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self.port)


async def run(port: int, path: str, rate: float, count: int) -> None:
    """Send until `count` requests are sent or the input ends."""
    sender, tasks = Sender(port, path), set[asyncio.Task[None]]()
    stop = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    began = time.monotonic()
    for number in range(count):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if stop.done():
            break
        task = asyncio.create_task(sender.one(number, due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        if number == 0:
            task.add_done_callback(lambda _: print(flush=True))
    await asyncio.gather(*tasks)
    seen = sender.seen
    said = {
        "statuses": {str(status): times for status, times in seen.statuses.items()},
        "failures": dict(seen.failures),
        "latencies": seen.latencies,
        "ids": seen.ids,
    }
    sys.stdout.buffer.write(orjson.dumps(said))
    sys.stdout.flush()
    os._exit(0)  # the thread that waits for the end of the input would hold the process


if __name__ == "__main__":
    asyncio.run(
        run(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 10**9)
    )
