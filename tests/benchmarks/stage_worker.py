"""The stage as it is, over a registry that is a file: `python -m tests.benchmarks.stage_worker CONFIG`.

`ready` appears beside the configuration when the stage is; `commits.json` says at the end what transactions took.
"""

import asyncio
import json
import sys
from pathlib import Path

from schemas import logs
from schemas.metrics import Metrics
from schemas.settings import StreamsSettings
from schemas.vendors.github import GITHUB
from streams.app import Env, Health, run_group
from tests.integration.streams.worker import FileRegistry, WallClock


def main(path: Path) -> int:
    """Run one group until SIGTERM."""
    config = json.loads(path.read_text())
    logs.configure("streams", level="info", fmt="console")
    settings = StreamsSettings(**config["settings"])
    metrics, health = Metrics(), Health()
    env = Env(
        settings=settings,
        kafka={"bootstrap.servers": settings.kafka_bootstrap_servers},
        registry=FileRegistry(path.with_name("registry.json")),
        adapter=lambda _platform: GITHUB,
        clock=WallClock(),
        metrics=metrics,
    )

    async def run() -> int:
        stage = asyncio.create_task(run_group(config["group"], env, health))
        while not stage.done() and health.ready():
            await asyncio.wait({stage}, timeout=0.05)
        path.with_name("ready").touch()
        return await stage

    code = asyncio.run(run())
    taken = {
        sample.name.rpartition("_")[2]: sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name in ("hookberg_transaction_seconds_sum", "hookberg_transaction_seconds_count")
    }
    path.with_name("commits.json").write_text(json.dumps(taken))
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
