"""Kill a split stream at its n-th call to storage or catalog, let a successor finish, look at all tables.

Lives here: the process that forks once per n (imports are paid once); the second argument is the step of n. Prints one
JSON line: calls, kills, faults found. May not live here: assertions of the suite.
"""

import json
import os
import sys
from pathlib import Path

from deploy.processes import ending
from sinks.table import manifests, snapshot
from tests.unit.sinks.ground import GATE, NAME, TOPIC
from tests.unit.sinks.kills import KILLED, in_fork
from tests.unit.sinks.split_ground import SplitGround
from tests.unit.sinks.told import ToldFile

KINDS = ["track", "identify", "track", "page", "track", "identify", "new.type", "track", "page"]


def ground(folder: Path) -> SplitGround:
    """Four types, the last one late; batches of three, so tables stand apart."""
    made = SplitGround(folder, per_poll=3)
    made.advances = ToldFile(folder / "told")
    made.log.make(TOPIC)
    made.put(KINDS)
    return made


def killed(folder: Path, at: int) -> None:
    """Write until the n-th call; exits with 9 there."""
    GATE.at, GATE.act, GATE.after = at, lambda: os._exit(KILLED), False
    ground(folder).run()


def finished(folder: Path) -> None:
    """Let a successor finish and check every row, once and in the table of its type."""
    made = ground(folder)
    made.run()
    wanted: dict[str, list[tuple[str, int]]] = {NAME[1]: []}
    for n, kind in enumerate(KINDS):
        wanted.setdefault(f"{NAME[1]}_{kind.replace('.', '_')}", []).append((kind, n))
    assert made.rows() == wanted, made.rows()


def main() -> None:
    """Loop over n until a writer lives through."""
    root, step = Path(sys.argv[1]), int(sys.argv[2])
    snapshot.EXPIRE_AT, snapshot.KEEP_SNAPSHOTS, manifests.FOLD_AT = 2, 1, 2
    faults, at, kills = [], 1, 0
    while True:
        folder = root / str(at)
        code = in_fork(lambda: killed(folder, at))  # noqa: B023 called at once
        if code not in {0, KILLED}:
            faults.append({"call": at, "writer": code})
        if in_fork(lambda: finished(folder)):  # noqa: B023 called at once
            faults.append({"call": at, "successor": 1})
        if code == 0:
            break
        at, kills = at + step, kills + 1
    sys.stdout.write(json.dumps({"kills": kills, "faults": faults}))


if __name__ == "__main__":
    ending.quick()
    main()
