"""When the rows of many tables could be seen, from outside and at little cost.

Lives here: which snapshot each table showed at what time, and which event came with which snapshot. A thread asks the
catalog's database 20 times a second which metadata file each table has now (one query for all), and reads the head out
of each new file: from then on a load of the table shows that snapshot. Rows are read once the load is over: an event is
visible since the first look whose head is as young as the snapshot that added its row. So a figure is exact up to the
time between two looks, and no table is loaded while it is measured.
"""

import itertools
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
from pyiceberg.manifest import ManifestEntryStatus
from pyiceberg.table import Table

from tests.system import lake

LOOK_S = 0.05
_QUERY = "select table_name, metadata_location from iceberg_tables where table_namespace = ?"
ID = "vendor_event_id"


@dataclass(slots=True)
class Seen:
    """By table: (time, sequence number of the head, its rows) of each change; looks, the longest time between two."""

    heads: dict[str, list[tuple[float, int, int]]] = field(default_factory=dict)
    looks: int = 0
    slowest_s: float = 0.0
    cpu_s: float = 0.0

    def commits(self, since: float, until: float = float("inf")) -> int:
        """Count the heads seen in a time."""
        return sum(since <= at < until for heads in self.heads.values() for at, _, _ in heads)

    def gaps(self, since: float, until: float, table: str) -> float:
        """Return the longest time without a new head of a table within a time, its ends included."""
        times = [since, *(at for at, _, _ in self.heads.get(table, ()) if since <= at < until), until]
        return max(after - before for before, after in itertools.pairwise(times))

    def moved(self, since: float) -> dict[str, float]:
        """Return when each table's head first moved after a time."""
        found = {table: [at for at, _, _ in heads if at > since] for table, heads in self.heads.items()}
        return {table: min(times) for table, times in found.items() if times}


@contextmanager
def watching(data_dir: Path, namespace: str) -> Iterator[Seen]:
    """Watch a namespace's tables meanwhile."""
    seen, stop = Seen(), threading.Event()
    thread = threading.Thread(target=_watch, args=(data_dir / "catalog.db", namespace, seen, stop), daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def _watch(catalog: Path, namespace: str, seen: Seen, stop: threading.Event) -> None:
    locations: dict[str, str] = {}
    opened = sqlite3.connect(f"file:{catalog}?mode=ro", uri=True, timeout=2)
    last = time.monotonic()
    while not stop.wait(LOOK_S):
        try:
            found = opened.execute(_QUERY, (namespace,)).fetchall()
        except sqlite3.Error:  # being written: the next look
            continue
        for table, location in found:
            if locations.get(table) != location and (head := _head(location)) is not None:
                locations[table] = location
                seen.heads.setdefault(table, []).append((time.time(), *head))
        now = time.monotonic()
        seen.looks, seen.slowest_s, last = seen.looks + 1, max(seen.slowest_s, now - last), now
        seen.cpu_s = time.thread_time()
    opened.close()


def _head(location: str) -> tuple[int, int] | None:
    """Return the head's sequence number and rows; (0, 0): no snapshot yet, None: a younger file has taken its place."""
    try:
        metadata = orjson.loads(Path(location.removeprefix("file://").removeprefix("file:")).read_bytes())
    except OSError:
        return None
    head = metadata.get("current-snapshot-id")
    for one in reversed(metadata.get("snapshots", ())):
        if one["snapshot-id"] == head:
            return one["sequence-number"], int(one["summary"].get("total-records", 0))
    return 0, 0


def visible(data_dir: Path, namespace: str, table: str, seen: Seen, since: float) -> Mapping[str, float]:
    """Return since when each event of a table could be seen, of the snapshots made after `since`."""
    loaded = lake.table(data_dir, namespace, table)
    if loaded is None:
        return {}
    heads = seen.heads.get(table, [])
    found: dict[str, float] = {}
    for snapshot in loaded.metadata.snapshots:
        if snapshot.timestamp_ms < since * 1e3:
            continue
        at = next((at for at, sequence, _ in heads if sequence >= (snapshot.sequence_number or 0)), None)
        if at is not None:
            for name in _added(loaded, snapshot):
                found.setdefault(name, at)
    return found


def _added(loaded: Table, snapshot: Any) -> Iterator[str]:
    """Yield the events whose rows a snapshot brought; those that upkeep has only joined were there before."""
    if "hookberg.upkeep" in snapshot.summary.additional_properties:
        return
    for manifest in snapshot.manifests(loaded.io):
        if manifest.added_snapshot_id != snapshot.snapshot_id:
            continue
        for entry in manifest.fetch_manifest_entry(loaded.io):
            if entry.status == ManifestEntryStatus.ADDED:
                path = entry.data_file.file_path.removeprefix("file://").removeprefix("file:")
                yield from pq.read_table(path, columns=[ID], partitioning=None).column(ID).to_pylist()
