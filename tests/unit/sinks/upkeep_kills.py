"""Kill upkeep after each call that changes storage or catalog, let a successor finish, look at the table.

Lives here: the process that forks once per call, as kills.py does for the writer. Prints one JSON line. No assertions
on the whole: the test has them.
"""

import json
import os
import shutil
import sys
from pathlib import Path

from sinks.table import kept, snapshot, state
from sinks.upkeep import collect, compact, journal
from sinks.upkeep.keeper import Care, Keeper
from sinks.upkeep.retain import Retention
from tests.integration.sinks.world import wire_event
from tests.unit.sinks.ground import GATE, NAME, STREAM, TOPIC, Ground
from tests.unit.sinks.kills import KILLED, in_fork

EVENTS = 20
OLD = 5
READS = ("open ", "statement", "load_table")
"""Calls that change nothing: to die after one is to die before it."""


def tended(folder: Path) -> Ground:
    """Look after the table once, as a process that has just taken it."""
    made = Ground(folder)
    keeper = Keeper(made.catalog, made.clock, lambda: 0.5, grace_s=0)
    column = made.table().schema().find_field("received_at")
    keeper.tend(keeper.open(NAME, STREAM, retention=Retention(3, column.name, column.field_id)))
    return made


def written(folder: Path) -> None:
    """Make a table of four small files and one of another year; snapshots have expired since upkeep looked."""
    made = Ground(folder)
    made.log.make(TOPIC)
    made.log.events(0, EVENTS // 2)
    made.run()
    Keeper(made.catalog, made.clock, lambda: 0.5).tend(Care(NAME, STREAM, 0.0))
    made.log.events(EVENTS // 2, EVENTS // 2)
    made.log.put(*(wire_event(n, b'{"n":%d}' % n, at_ms=1_600_000_000_000) for n in range(EVENTS, EVENTS + OLD)))
    made.run()


def killed(folder: Path, at: int) -> None:
    """Tend until the n-th call; exits with 9 there."""
    GATE.clear()
    GATE.at, GATE.act, GATE.after = at, lambda: os._exit(KILLED), False
    tended(folder)


def finished(folder: Path) -> None:
    """Let a successor tend, and check every row, once."""
    made = tended(folder)
    files = [task.file for task in made.table().scan().plan_files()]
    assert len(files) == 1, files
    assert made.numbers() == list(range(EVENTS))
    assert state.offsets(made.table().metadata, STREAM) == {"TOPICID1": {"0": EVENTS + OLD}}
    assert kept.retained(made.table().metadata, STREAM).rows == OLD
    said = [one.summary.additional_properties for one in made.table().snapshots() if one.summary]
    did = [one[state.UPKEEP] for one in said if state.UPKEEP in one]
    assert did == ["retention", "compaction"], "each is done once"
    table = made.table()
    assert not journal.load(table.metadata, table.io).batches, "what was written down is deleted"
    lists = {Path(one.manifest_list).name for one in table.snapshots()}
    left = {path.name for path in folder.rglob("snap-*.avro")} - lists
    assert len(left) <= 1, "the list of the commit that was killed, which has been in no snapshot"


def counted(folder: Path, into: Path) -> None:
    """Tend to the end and write down every call."""
    GATE.clear()
    GATE.after = False
    tended(folder)
    into.write_text(json.dumps(GATE.calls))


def main() -> None:
    """Kill after every call that changes anything, each time over the same table, put back."""
    root = Path(sys.argv[1])
    folder, kept, calls = root / "table", root / "kept", root / "calls"
    compact.MIN_INPUTS, collect.VANISHED, snapshot.EXPIRE_AT, snapshot.KEEP_SNAPSHOTS = 4, 1, 3, 1
    in_fork(lambda: written(folder))
    shutil.copytree(folder, kept)
    in_fork(lambda: counted(folder, calls))
    names = json.loads(calls.read_text())
    faults, killed_at = [], []
    for at in range(2, len(names) + 1):
        if names[at - 2].startswith(READS):
            continue
        killed_at.append(names[at - 2].split()[0])
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
        code = in_fork(lambda: killed(folder, at))  # noqa: B023 called at once
        if code != KILLED or in_fork(lambda: finished(folder)):
            faults.append({"call": at, "name": names[at - 2], "upkeep": code})
    sys.stdout.write("\n" + json.dumps({"killed_at": killed_at, "faults": faults}))


if __name__ == "__main__":
    main()
