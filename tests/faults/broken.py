"""The negative control: the stage with one rule broken, RocksDB written before the commit (rule 7).

`python -m tests.faults.broken streams`. It kills itself between the two once, when FAULTS_DIR holds `die`: ids stay on
disk whose first copies were aborted, and their repeats become duplicates of nothing. Every count still adds up.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from streams.engine.table import Writes
from streams.engine.transaction import Transactions
from tests.faults import entry

DIE = "die"


def install(flag: Path) -> None:
    """Break the rule: write the states of a transaction to disk, be killed when told to, then commit."""
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


if __name__ == "__main__":
    sys.argv[0] = "hookberg"
    install(Path(os.environ["FAULTS_DIR"]) / DIE)
    entry.run()
