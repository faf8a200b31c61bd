"""A worker group in a process of its own, over a registry that is a file: `python worker.py CONFIG`.

The file is read again when it changes, so a test adds topics, pauses them and moves pins while the worker runs.
"""

import asyncio
import json
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.processes import ending
from schemas import logs
from schemas.backing.kafka import Topics
from schemas.backing.kafka.pressure import PressureTopic
from schemas.definitions.source import SourceDefinition
from schemas.definitions.view import RoleView, Snapshot, SourceView, TopicView
from schemas.metrics import Metrics
from schemas.settings import StreamsSettings
from streams.app import Env, Health, run_group
from streams.engine.consumer import BatchConsumer
from tests.integration.streams.vendor import adapter


def snapshot(config: dict[str, Any], revision: int) -> Snapshot:
    sources = {}
    for row in config["sources"]:
        definition = SourceDefinition.model_validate(row["definition"])
        sources[row["id"]] = SourceView(
            id=row["id"], tenant=row["tenant"], platform=row["platform"], name=row["platform"], version=1,
            definition=definition, partitioning="source", partitions=row["partitions"],
            topic=f"{row['tenant']}.webhook.{row['platform']}", open=True,
        )  # fmt: skip
    topics = {row["name"]: TopicView(**row) for row in config["topics"]}
    schemas = {(tenant, version): text.encode() for tenant, version, text in config["schemas"]}
    roles: dict[str, tuple[RoleView, ...]] = {}
    for row in config["roles"]:
        roles[row["tenant"]] = (*roles.get(row["tenant"], ()), RoleView(**row["view"]))
    return Snapshot(revision, frozenset({"t"}), sources, {}, {}, {}, {}, topics, schemas, roles)


class FileRegistry:
    """RegistryView over a JSON file."""

    def __init__(self, path: Path) -> None:
        self._path, self._stamp, self._revision = path, 0, 0
        self._snapshot = self.current()

    def current(self) -> Snapshot:
        stamp = self._path.stat().st_mtime_ns
        if stamp != self._stamp:
            self._stamp, self._revision = stamp, self._revision + 1
            self._snapshot = snapshot(json.loads(self._path.read_text()), self._revision)
        return self._snapshot

    async def refresh(self) -> Snapshot:
        return self.current()


class WallClock:
    def time_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()


async def nothing(_self: BatchConsumer, _records: Any, _generation: int) -> None:
    """Take what was fetched and decide nothing: a stage that stands still."""


def main(path: Path) -> int:
    config = json.loads(path.read_text())
    logs.configure("streams", level="info", fmt="console")
    logging.captureWarnings(capture=True)
    settings = StreamsSettings(**config["settings"])
    env = Env(
        settings=settings,
        kafka={"bootstrap.servers": settings.kafka_bootstrap_servers},
        registry=FileRegistry(path.with_name("registry.json")),
        adapter=adapter,
        clock=WallClock(),
        metrics=Metrics(),
    )
    if config.get("pressure"):
        env = replace(env, pressure=PressureTopic(env.kafka, Topics(settings).ensure_cluster_topics))
    health = Health()
    if config.get("deaf"):
        BatchConsumer._take = nothing  # type: ignore[method-assign, assignment]

    async def run() -> int:
        stage = asyncio.create_task(run_group(config["group"], env, health))
        while not stage.done():
            told = path.with_suffix(".ready")
            told.touch() if not health.ready() else told.unlink(missing_ok=True)
            await asyncio.wait({stage}, timeout=0.05)
        return stage.result()

    return asyncio.run(run())


if __name__ == "__main__":
    ending.quick()
    sys.exit(main(Path(sys.argv[1])))
