"""`hookberg up` with stand-ins for the four processes; broker, folder, lock, ports and supervision are real."""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from deploy.local.up import UpOptions, up


async def prepare(env: Mapping[str, str]) -> None:
    """Note that the preparation ran, before any process."""
    with (Path(env["HOOKBERG_STATE_DIR"]) / "journal").open("a") as file:
        file.write("0 prepare done\n")


def command(name: str) -> tuple[str, ...]:
    """Run a stand-in."""
    return (sys.executable, str(Path(__file__).with_name("stub_process.py")), name)


def main() -> int:
    """Parse the options of `hookberg up` and run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--port", type=int)
    parser.add_argument("--ingest-port", type=int)
    given = parser.parse_args()
    options = UpOptions(
        prepare=prepare, data_dir=given.data_dir, port=given.port, ingest_port=given.ingest_port, command=command
    )
    return asyncio.run(up(options, Console()))


if __name__ == "__main__":
    sys.exit(main())
