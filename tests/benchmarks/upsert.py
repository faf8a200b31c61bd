"""What an upsert of some keys into a large table costs: decision, files and commit; upkeep after
them and the commit that follows it; the index read back; its memory.

Lives here: `python -m tests.benchmarks.upsert [ROWS] [KEYS] [COMMITS]`. May not live here: assertions.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from schemas.backing.lake import open_catalog
from schemas.settings.processes import LakeSettings
from sinks.table import commit, create, schema, state
from sinks.table.moves import Moves
from sinks.table.partitions import Arrangement
from sinks.upkeep.care import Keyed
from sinks.upkeep.keeper import Keeper
from sinks.upsert.index import BYTES_A_KEY
from sinks.upsert.lasting import Lasting
from sinks.upsert.rebuild import rebuild
from sinks.upsert.room import Room
from sinks.upsert.upserting import Upserting
from tests.fakes.clock import ManualClock

OWNER, STEP = "stream-1", 100_000


def rows(keys: range, at_us: int) -> pa.Table:
    """Return one event a key, some 0.3 KB each."""
    size = len(keys)
    times = pa.array([at_us] * size, pa.timestamp("us", "UTC"))
    filler = {
        name: pa.array([f"{name}-{key:012d}-{key * 7919:018d}" for key in keys]) for name in ("event_id", "delivery_id")
    }
    return pa.table(
        {**filler, "_key": pa.array([f'["{key:012d}"]' for key in keys]), "_sequence": pa.nulls(size, pa.string()),
         "_tombstone": pa.nulls(size, pa.bool_()), "event_time": times, "received_at": times}
    )  # fmt: skip


def run(count: int, keys: int, commits: int) -> Mapping[str, float]:
    """Fill a table, then upsert; return CPU milliseconds and megabytes by name."""
    with tempfile.TemporaryDirectory() as folder:
        catalog = open_catalog(
            LakeSettings(catalog_uri=f"sqlite:///{folder}/c.db", catalog_warehouse=f"file://{Path(folder)}/w")
        )
        first = schema.events(keyed=True)
        table = create.take(catalog, ("acme", "t"), first, OWNER, lambda: {"T": {"0": 0}}, Arrangement(()))
        moves = Moves()
        writing = Upserting(first, OWNER, table.metadata, lambda: None, moves, Room(1 << 40).share())

        def put(batch: pa.Table) -> float:
            began = time.process_time()
            metadata = state.as_made(table.metadata)
            base = state.offsets(metadata, OWNER)
            wrote = writing.write(batch, metadata.schema(), metadata, table.io)
            ends = {"T": {"0": base["T"]["0"] + batch.num_rows}}
            made = commit.Batch(
                wrote.files,
                wrote.schema,
                base,
                ends,
                {},
                writing.kept(),
                frozenset(),
                wrote.deletes,
                wrote.onto,
                wrote.follow,
            )
            done = commit.commit(
                catalog,
                table,
                OWNER,
                made,
                now_ms=lambda: time.time_ns() // 1_000_000,
                wait=time.sleep,
                random=lambda: 0.5,
            )
            if not isinstance(done, commit.Committed):
                raise TypeError(done)
            writing.landed(table.metadata, done.tried)
            return (time.process_time() - began) * 1000

        for start in range(0, count, STEP):
            put(rows(range(start, min(count, start + STEP)), 1))
        stride = max(1, count // keys)
        took = [put(rows(range(at % stride, count, stride)[:keys], 2 + at)) for at in range(commits)]
        began = time.process_time()
        keeper = Keeper(catalog, ManualClock(), lambda: 0.5)
        care = keeper.open(("acme", "t"), OWNER, keyed=Keyed(moves, Lasting(first)))
        keeper.look(care)
        looked = (time.process_time() - began) * 1000
        if care.report.error is not None:
            raise RuntimeError(care.report.error)
        overtaken = put(rows(range(0, count, stride)[:keys], 2 + commits))
        began = time.process_time()
        index = rebuild(table.metadata, first, table.io, lambda: None).index
        again = (time.process_time() - began) * 1000
        catalog.close()
        took.sort()
        return {
            "commit p50 CPU ms": statistics.median(took), "commit p95 CPU ms": took[len(took) * 95 // 100],
            "longest CPU ms": took[-1],
            "look of upkeep CPU ms": looked, "commit after it CPU ms": overtaken,
            "index read CPU ms": again, "keys": len(index),
            "index MB": len(index) * BYTES_A_KEY / 1e6,
        }  # fmt: skip


def main() -> None:
    """Print one run."""
    count, keys, commits = (int(text) for text in (*sys.argv[1:], *("1000000", "1000", "50")[len(sys.argv) - 1 :]))
    for name, value in run(count, keys, commits).items():
        sys.stdout.write(f"{name:24} {value:12.1f}\n")
    sys.stdout.write(f"load {os.getloadavg()[0]:.1f}\n")


if __name__ == "__main__":
    main()
