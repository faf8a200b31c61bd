"""The negative controls: the stage with one rule broken, while a flag stands in FAULTS_DIR.

`python -m tests.faults.broken streams`. `die`: states are on disk before the commit (rule 7), and the process kills
itself once between the two: ids whose first copies were aborted, and their repeats become duplicates of nothing; every
count still adds up. `decides-all`: a redrive decides items that it does not name (rule 16). `pause-drops`: what came
first while a topic was paused is passed over (rule 9).
"""

import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from streams.engine.agent import BatchAgent
from streams.engine.consumer import BatchConsumer
from streams.engine.table import Stand, Writes
from streams.engine.transaction import Transactions
from streams.judge import Judge
from streams.parse import Delivery
from tests.faults import entry
from tests.simulation.mutations import unnamed

DIE, DECIDES_ALL, PAUSE_DROPS = FLAGS = ("die", "decides-all", "pause-drops")


def install(folder: Path) -> None:
    """Break the rules."""
    if not any((folder / flag).exists() for flag in (DECIDES_ALL, PAUSE_DROPS)):
        _state_before_commit(folder / DIE)
    _redrive_of_all(folder / DECIDES_ALL)
    _pause_that_drops(folder / PAUSE_DROPS)


def _state_before_commit(flag: Path) -> None:
    finish = Transactions._finish

    def too_early(self: Any, done: Any) -> Any:
        early = Writes()
        early.states = dict(done.writes.states)
        self._table.apply(early, {})
        if flag.exists():
            flag.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return finish(self, done)

    Transactions._finish = too_early  # type: ignore[method-assign]


def _redrive_of_all(flag: Path) -> None:
    decide = Judge.deliveries

    def all_of(self: Any, deliveries: Iterable[Delivery], *more: Any) -> Any:
        return decide(self, map(unnamed, deliveries) if flag.exists() else deliveries, *more)

    setattr(Judge, "deliveries", all_of)  # noqa: B010 another signature


def _pause_that_drops(flag: Path) -> None:
    hold, process = BatchConsumer.hold, BatchAgent.process
    released: set[str] = set()

    def held(self: Any, paused: Iterable[str]) -> None:
        before = self.held
        hold(self, paused)
        released.update(before - self.held)

    async def passed_over(self: Any, topic: Any, partition: int, records: Any) -> None:
        if flag.exists() and str(topic.name) in released:
            released.discard(str(topic.name))
            stand = Stand(records[-1].offset + 1, records[-1].timestamp_ms)
            self._transactions.add((topic.topic_id, partition), stand, {}, [])
        else:
            await process(self, topic, partition, records)

    BatchConsumer.hold = held  # type: ignore[method-assign]
    BatchAgent.process = passed_over  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.argv[0] = "hookberg"
    install(Path(os.environ["FAULTS_DIR"]))
    entry.run()
