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

from deploy.processes import ending
from sinks.columns.key import Key
from sinks.table import manifests, snapshot, state
from sinks.upsert.keys import Keys
from tests.integration.sinks.world import wire_event
from tests.unit.sinks.ground import GATE, STREAM, TOPIC, Ground
from tests.unit.sinks.told import ToldFile

EVENTS, KILLED, KILLING = 15, 9, 14


def upserts(folder: Path) -> Ground:
    """Three batches of three keys: rows are hidden in two of them, a key is deleted, some events come late."""
    made = Ground(folder)
    made.advances = ToldFile(folder / "told")
    made.keys = Keys(Key(("k",), ("n",)), (("gone",), (1,)))
    made.log.make(TOPIC)
    for n in range(EVENTS):
        late = -1 if n % 4 == 3 else 1
        body = b'{"k":%d,"n":%d,"gone":%d}' % (n % 3, n * late, int(n == KILLING))
        made.log.put(wire_event(n, body, at_ms=1_700_000_000_000 + n))
    return made


def upserted(folder: Path) -> None:
    """Let a successor finish and check every key, once, and every count."""
    made = upserts(folder)
    tail = made.run()
    rows = made.table().scan(selected_fields=("_key", "_offset")).to_arrow().to_pylist()
    found = sorted((row["_key"], row["_offset"]) for row in rows)
    assert found == [("[0]", 12), ("[1]", 13)], (found, tail.status().message)
    assert tail.status().rows == len(found)
    said = state.replaced(made.table().metadata, STREAM)
    assert said == {"deleted": 1, "superseded": 11, "tombstones": 1}, said
    assert made.drained()
    assert not made.advances.missing(tail.status().sequence_number), "each commit is told"


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


def killed(folder: Path, at: int, make: Callable[[Path], Ground]) -> None:
    """Write until the n-th call; exits with 9 there."""
    GATE.at, GATE.act, GATE.after = at, lambda: os._exit(KILLED), False  # after one call is before the next
    make(folder).run()


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
    make, finish = (upserts, upserted) if sys.argv[2:] == ["upsert"] else (ground, finished)
    snapshot.EXPIRE_AT, snapshot.KEEP_SNAPSHOTS, manifests.FOLD_AT = 2, 1, 2
    faults, at = [], 0
    while True:
        at += 1
        folder = root / str(at)
        code = in_fork(lambda: killed(folder, at, make))  # noqa: B023 called at once
        if code not in {0, KILLED}:
            faults.append({"call": at, "writer": code})
        if in_fork(lambda: finish(folder)):  # noqa: B023 called at once
            faults.append({"call": at, "successor": 1})
        if code == 0:
            break
    sys.stdout.write(json.dumps({"kills": at - 1, "faults": faults}))


if __name__ == "__main__":
    ending.quick()
    main()
