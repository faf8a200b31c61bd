"""What a million remembered ids cost: bytes on disk and in the changelog, seconds to read them back.

The ids go through the engine's own transactions and table, in the order that deliveries have: none. Recovery is what a
worker does on an empty disk before it joins its group, from fencing to the last mark.
"""

import asyncio
import random
import resource
import shutil
import time
import uuid
from pathlib import Path

from schemas.wire.position import Position
from streams import seen
from streams.engine.table import Stand
from streams.seen import Seen
from tests.benchmarks.measure import Figure
from tests.integration.streams.ground import RAW, Worker, World
from tests.unit.streams.made import TOPIC_ID

IDS = 1_000_000
_BATCH = 200
_TIMES = 3


def ids(bootstrap: str, folder: Path, count: int = IDS) -> list[Figure]:
    """Measure `count` ids on the broker at `bootstrap`, whose data lie somewhere in `folder`."""
    world = World(bootstrap, folder)
    first = world.worker()
    first.begin()
    began, cpu = time.monotonic(), _cpu_s()
    asyncio.run(_fill(first, count))
    filled, filled_cpu = time.monotonic() - began, _cpu_s() - cpu
    first.table.close()
    disk = _size(world.folder / "disk")
    logs = [part for part in folder.rglob(f"_hookberg.{world.group}.changelog-*") if part.is_dir()]
    runs = sorted(_recovered(world, count) for _ in range(_TIMES))
    wall, used, records = runs[_TIMES // 2]
    how = f"{count:,} ids, {_BATCH} a batch, transactions of 20,000 records"
    middle = f"fencing to the last mark, {records:,} changelog records, median of {_TIMES}"
    return [
        Figure("ids written", f"{filled:.1f} s, {filled_cpu:.1f} CPU s", how),
        Figure("ids: RocksDB", f"{disk / 2**20:.0f} MiB, {disk / count:.0f} bytes an id", "state folder after the run"),
        Figure("ids: changelog", f"{sum(map(_size, logs)) / 2**20:.0f} MiB", "on the broker, lz4, not compacted yet"),
        Figure("ids: recovery, empty disk", f"{wall:.1f} s, {used:.1f} CPU s", middle),
    ]


async def _fill(worker: Worker, count: int) -> None:
    draw = random.Random(7)
    rhythm = asyncio.create_task(worker.transactions.run())
    for first in range(0, count, _BATCH):
        await worker.transactions.room()
        states = {
            seen.key("source-1", str(uuid.UUID(int=draw.getrandbits(128), version=5))): Seen(
                Position(TOPIC_ID, 0, number, 0), number, clean=True, fingerprint=draw.randbytes(8)
            ).pack()
            for number in range(first, first + _BATCH)
        }
        worker.transactions.add(RAW, Stand(first + _BATCH, first), states, [])
        await asyncio.sleep(0)
    await worker.transactions.commit()
    rhythm.cancel()


def _recovered(world: World, count: int) -> tuple[float, float, int]:
    shutil.rmtree(world.folder / "disk")
    again = world.worker()
    began, cpu = time.monotonic(), _cpu_s()
    records = again.begin()
    taken = time.monotonic() - began, _cpu_s() - cpu, records
    assert again.table.stands == {RAW: Stand(count, count - _BATCH)}
    again.table.close()
    return taken


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
