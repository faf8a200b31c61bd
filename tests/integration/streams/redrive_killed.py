"""Jobs that are killed at each of their steps in turn, then taken over: `python redrive_killed.py CONFIG`.

A step is a call of a port: the queue, the table, Kafka. The process imports everything once and forks for each job,
with no client of its own. Prints one JSON line a job: the step that it was killed at, and whether it was.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from deploy.processes import ending
from schemas.backing.registry import SYSTEM
from schemas.definitions.job import REDRIVE
from tests.house.polling import wait_until
from tests.integration.streams.redrive_ground import TopicTable, registry, runner

PORTS = frozenset({
    "claim", "progress", "finish", "held", "rows", "ends", "waiting", "original", "write", "flush", "close",
})  # fmt: skip


class Steps:
    """Stands before the ports and kills this process before call `fatal`; 0 = never."""

    def __init__(self, fatal: int) -> None:
        self._calls, self._fatal = count(1), fatal

    def wrap(self, port: Any) -> Any:
        return _Wrapped(port, self._step)

    def _step(self) -> None:
        if next(self._calls) == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)


class _Wrapped:
    def __init__(self, port: Any, step: Callable[[], None]) -> None:
        self._port, self._step = port, step

    def __getattr__(self, name: str) -> Any:
        if name in PORTS:
            self._step()
        return getattr(self._port, name)


def child(config: dict[str, Any], fatal: int, *, create: bool) -> int:
    """Make a job or find the one that was killed, do it, and return the exit code."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    folder, steps = Path(config["folder"]), Steps(fatal)
    opened = registry(folder)
    if create:
        opened.jobs.create(config["tenant"], REDRIVE, {"limit": 1000}, actor=SYSTEM)
    table = TopicTable(config["bootstrap"], config["topics"], config["partitions"])
    made = runner(
        config["bootstrap"], folder, steps.wrap(opened.jobs), steps.wrap(table), steps.wrap
    )  # fmt: skip
    wait_until(made.run_one, 20, every_s=0.05, what="the lease of who was killed runs out")
    os._exit(0)


def jobs(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what became of each job, the last one is not killed."""
    for fatal in count(1):
        killed = child(config, fatal, create=True) == signal.SIGKILL
        if killed:
            assert child(config, 0, create=False) == 0
        yield {"fatal": fatal, "killed": killed}
        if not killed:
            return


def main() -> None:
    config = json.loads(sys.argv[1])
    for told in jobs(config):
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    ending.quick()
    main()
