"""The floor: aiohttp's client posts bodies of the same size to the same receiver, one at a time to each endpoint.

    python -m tests.benchmarks.notify.floor PORT ENDPOINTS POSTS BYTES

Prints posts a second and CPU us a post. It signs nothing, keeps nothing, waits for nothing but the answer.
"""

import asyncio
import sys
import time

import aiohttp
import orjson
import uvloop


async def main(port: int, endpoints: int, posts: int, size: int) -> None:
    """Post and tell."""
    body = b'{"timestamp":0,"fill":"' + b"x" * max(0, size - 25) + b'"}'
    left = iter(range(posts))

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        for _ in left:
            async with session.post(f"http://127.0.0.1:{port}/e{number}", data=body) as answer:
                assert answer.status == 204

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(one(session, number) for number in range(endpoints)))
        took, used = time.perf_counter() - began, time.process_time() - cpu
    sys.stdout.write(orjson.dumps({"rate": posts / took, "cpuUs": used / posts * 1e6}).decode())


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:5])))
