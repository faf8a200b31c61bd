"""Kill a writer at its n-th call to storage or catalog, let a successor finish, look at the table; for every n.

Lives here: the process that forks once per n (imports are paid once). Prints one JSON line: calls, kills, faults found.
May not live here: assertions.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from sinks.table import manifests, snapshot
from tests.unit.sinks.ground import GATE, TOPIC, Ground
from tests.unit.sinks.told import ToldFile

EVENTS, KILLED = 15, 9


def ground(folder: Path) -> Ground:
    """Three batches: the table is made, a column comes with the second, one expires and folds; each is told."""
    made = Ground(folder)
    made.advances = ToldFile(folder / "told")
    made.log.make(TOPIC)
    made.log.events(0, 5)
    made.log.events(5, EVENTS - 5, x=1)
    return made


def in_fork(act: Callable[[], None]) -> int:
    """Do it in a child; return its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        act()
        os._exit(0)
    except BaseException:  # noqa: BLE001 told by the exit code
        traceback.print_exc()
        os._exit(1)


def killed(folder: Path, at: int) -> None:
    """Write until the n-th call; exits with 9 there."""
    GATE.at, GATE.act, GATE.after = at, lambda: os._exit(KILLED), False  # after one call is before the next
    ground(folder).run()


def finished(folder: Path) -> None:
    """Let a successor finish and check every row, once."""
    made = ground(folder)
    tail = made.run()
    assert made.numbers() == list(range(EVENTS)), (made.numbers(), tail.status().message)
    assert made.table().schema().find_field("payload.x").field_id
    assert made.drained()
    assert not made.advances.missing(tail.status().sequence_number), "each commit is told"


def main() -> None:
    """Loop over n until a writer lives through."""
    root = Path(sys.argv[1])
    snapshot.EXPIRE_AT, snapshot.KEEP_SNAPSHOTS, manifests.FOLD_AT = 2, 1, 2
    faults, at = [], 0
    while True:
        at += 1
        folder = root / str(at)
        code = in_fork(lambda: killed(folder, at))  # noqa: B023 called at once
        if code not in {0, KILLED}:
            faults.append({"call": at, "writer": code})
        if in_fork(lambda: finished(folder)):  # noqa: B023 called at once
            faults.append({"call": at, "successor": 1})
        if code == 0:
            break
    sys.stdout.write(json.dumps({"kills": at - 1, "faults": faults}))


if __name__ == "__main__":
    main()
