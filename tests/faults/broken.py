"""The negative control: the stage with one rule broken, RocksDB written before the commit (rule 7).

`python -m tests.faults.broken streams`. A kill between the two leaves ids on disk whose first copies were aborted, and
their repeats become duplicates of nothing: every count still adds up, only the orphan check sees it.
"""

import sys
import time
from typing import Any

from streams.engine.table import Writes
from streams.engine.transaction import Transactions
from tests.faults import entry

OPEN_S = 0.3
"""How long the wrong state stays on disk alone, so that a kill meets it."""


def install() -> None:
    """Break the rule: write the states of a transaction to disk, dawdle, then commit."""
    finish = Transactions._finish

    def too_early(self: Any, done: Any) -> Any:
        early = Writes()
        early.states = dict(done.writes.states)
        self._table.apply(early, {})
        time.sleep(OPEN_S)
        return finish(self, done)

    Transactions._finish = too_early  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.argv[0] = "hookberg"
    install()
    entry.run()
