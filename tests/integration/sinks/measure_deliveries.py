"""Times lookups of deliveries in a topic of many records: `python -m tests.integration.sinks.measure_deliveries`.

Arguments: BOOTSTRAP RECORDS. Prints p50 and p95 in ms of each kind of lookup, with the load beside them.
"""

import asyncio
import itertools
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from schemas import topics
from tests.integration.sinks.desk import Desk, Posted
from tests.integration.sinks.world import World

PARTITIONS, BATCH, LOOKUPS = 4, 1_000, 200
AT_ONCE = 50
"""Records stored before an answer is waited for: ids are a few ms older than their records, as a door has it."""
BODY = b'{"order":"' + b"x" * 300 + b'"}'


def fill(desk: Desk, records: int) -> list[Posted]:
    """Store and decide records, a transaction of 1,000 a partition in turn."""
    posted: list[Posted] = []
    for first in range(0, records // PARTITIONS, BATCH):
        for partition in range(PARTITIONS):
            key = key_of(desk, first, partition)
            for _ in range(0, BATCH, AT_ONCE):
                posted += desk.post(AT_ONCE, partition=partition, body=BODY, key=key)
        desk.decide(*(desk.all_clean(first, first + BATCH, partition) for partition in range(PARTITIONS)))
    return posted


def key_of(desk: Desk, first: int, partition: int) -> str:
    """Return a vendor's id of which the partition is the one wanted."""
    names = (f"k{first}-{n}" for n in itertools.count())
    return next(one for one in names if topics.partition(f"{desk.source}:{one}".encode(), PARTITIONS) == partition)


async def timed(what: str, calls: list[Callable[[], Awaitable[Any]]]) -> None:
    """Run calls one after another and print how long they took."""
    took = []
    for call in calls:
        started = time.perf_counter()
        await call()
        took.append((time.perf_counter() - started) * 1000)
    p95 = sorted(took)[len(took) * 95 // 100]
    load = os.getloadavg()[0]
    print(f"{what}: p50 {statistics.median(took):.1f} ms, p95 {p95:.1f} ms, n {len(took)}, load {load:.1f}")


async def main(bootstrap: str, records: int) -> None:
    """Fill a topic, let a table take it, and look deliveries up."""
    world = World(bootstrap, Path(tempfile.mkdtemp()))
    desk = Desk(world, partitions=PARTITIONS)
    stream = world.stream("orders", freshnessSeconds=1)
    posted = await asyncio.to_thread(fill, desk, records)
    world.start()
    await asyncio.to_thread(world.wait_rows, stream, records, 300)
    await timed("first lookup of a process, by receipt", [lambda: desk.by_receipt(posted[0])])
    chosen = random.Random(1).sample(posted, LOOKUPS)  # the same ones every time
    await timed("by receipt", [lambda one=one: desk.by_receipt(one) for one in chosen])  # type: ignore[misc]
    await timed("by delivery id", [lambda one=one: desk.by_id(one) for one in chosen])  # type: ignore[misc]
    await timed("list, newest 50", [desk.page for _ in range(LOOKUPS // 4)])
    keys = [key_of(desk, n * BATCH % (records // PARTITIONS), n % PARTITIONS) for n in range(20)]
    await timed("by vendor event id", [lambda key=key: desk.page(1, vendorEventId=key) for key in keys])  # type: ignore[misc]
    found = await desk.by_id(chosen[0])
    print(found["state"], found["incomplete"], found["why"])
    desk.reader.close()
    world.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
