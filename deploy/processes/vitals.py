"""What every process tells of itself: who it is, what the kernel says, how late its event loop is, disk, registry.

Lives here: the readers of metrics that all processes share. Not here: what a process does (its own file), the metrics
themselves (schemas/metrics.py). Everything is read at a scrape, but for the event loop, which is sampled.
"""

import asyncio
import os
from collections.abc import Callable, Container
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from prometheus_client import disable_created_metrics

from schemas.backing.registry.view import CachedView
from schemas.definitions.view import Snapshot
from schemas.metrics import Metrics
from schemas.series import OTHER

SAMPLE_S = 0.5
OWN_TABLES = ("hookberg_quarantine", "hookberg_ledger")
"""Tables of a tenant that no stream object names; their series are called `{tenant}.{table}`."""
_FILE = "file://"


class Streams(Container[str]):
    """The streams of a snapshot, and the tables that each tenant has of its own."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def __contains__(self, value: object) -> bool:
        tenant, _, table = str(value).partition(".")
        return value in self._snapshot.streams or (table in OWN_TABLES and tenant in self._snapshot.tenants)


def serve(process: str, metrics: Metrics, view: CachedView) -> None:
    """Let a process' own metrics be read at each scrape; once a process."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which nobody asks for
    metrics.watch_process()
    metrics.gauge("hookberg_info").labels(process, _version()).set(1)
    metrics.read("hookberg_registry_age_seconds", lambda: {(): view.age_s()})
    metrics.follow("source", lambda: view.current().sources)
    metrics.follow("stream", lambda: Streams(view.current()))


def name_objects(metrics: Metrics, view: CachedView) -> None:
    """Tell the names of sources and streams: on health pages only, for doors face tenants; once a process."""
    metrics.read("hookberg_source_info", lambda: _sources(view.current()))
    metrics.read("hookberg_stream_info", lambda: _streams(view.current()))


def watch_disks(metrics: Metrics, folders: dict[str, str]) -> None:
    """Tell how full the disks of folders are, by the folder's role; what is on no disk here is left out."""
    paths = {role: path for role, text in folders.items() if (path := _local(text)) is not None}
    metrics.read("hookberg_disk_free_bytes", lambda: _disks(paths, lambda disk: disk.f_bavail * disk.f_frsize))
    metrics.read("hookberg_disk_bytes", lambda: _disks(paths, lambda disk: disk.f_blocks * disk.f_frsize))


async def sample(metrics: Metrics) -> None:
    """Measure for ever how late the event loop runs what is due."""
    seconds, loop = metrics.timings("hookberg_event_loop_lag_seconds"), asyncio.get_running_loop()
    while True:
        due = loop.time() + SAMPLE_S
        await asyncio.sleep(SAMPLE_S)
        seconds.observe(max(0.0, loop.time() - due))


def _sources(snapshot: Snapshot) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {(OTHER, "", OTHER): 1.0}
    for one in snapshot.sources.values():
        found[one.id, one.tenant, one.name] = 1.0
    return found


def _streams(snapshot: Snapshot) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {(OTHER, "", OTHER): 1.0}
    for one in snapshot.streams.values():
        found[one.id, one.tenant, one.name] = 1.0
    for tenant in snapshot.tenants:
        for table in OWN_TABLES:
            found[f"{tenant}.{table}", tenant, table] = 1.0
    return found


def _disks(paths: dict[str, Path], figure: Callable[[os.statvfs_result], int]) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {}
    for role, path in paths.items():
        try:
            found[role,] = float(figure(os.statvfs(path)))
        except OSError:  # not made yet
            continue
    return found


def _local(text: str) -> Path | None:
    if text.startswith(_FILE):
        return Path(text.removeprefix(_FILE))
    return None if "://" in text else Path(text)


def _version() -> str:
    try:
        return version("hookberg")
    except PackageNotFoundError:
        return "unknown"
