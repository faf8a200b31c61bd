"""The stats app in a process of its own; the registry is a file, minutes are in SQLite: `stats_worker.py CONFIG`."""

import asyncio
import json
import logging
import sys
from pathlib import Path

from deploy.processes import ending
from schemas import logs
from schemas.backing.registry import Registry, Vault
from schemas.settings import StreamsSettings
from streams import stats_app
from streams.stats_app import StatsEnv, run_stats
from tests.integration.streams.worker import FileRegistry, WallClock


def main(path: Path) -> int:
    config = json.loads(path.read_text())
    logs.configure("stats", level="info", fmt="console")
    logging.captureWarnings(capture=True)
    settings = StreamsSettings(**config["settings"])
    registry = Registry(config["database"], vault=Vault(bytes(32)), clock=WallClock())
    stats_app.SILENCE_S = config.get("silence_s", stats_app.SILENCE_S)
    env = StatsEnv(
        settings=settings,
        kafka={"bootstrap.servers": settings.kafka_bootstrap_servers},
        registry=FileRegistry(path.with_name("registry.json")),
        clock=WallClock(),
        alerts=registry.alerts,
        minutes=registry.minutes,
        name=config["name"],
    )
    return asyncio.run(run_stats(env))


if __name__ == "__main__":
    ending.quick()
    sys.exit(main(Path(sys.argv[1])))
