"""Kill upkeep after each call that changes storage or catalog, let a successor finish, look at the table.

Lives here: the process that forks once per call, as kills.py does for the writer. Prints one JSON line. No assertions
on the whole: the test has them.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.processes import ending
from sinks.table import kept, snapshot, state
from sinks.upkeep import collect, compact, journal
from sinks.upkeep.care import Care
from sinks.upkeep.keeper import Keeper
from sinks.upkeep.retain import Retention
from tests.integration.sinks.world import wire_event
from tests.unit.sinks import keyed
from tests.unit.sinks.ground import GATE, NAME, STREAM, TOPIC, Ground
from tests.unit.sinks.kills import KILLED, in_fork

EVENTS = 20
OLD = 5
UPSERTS: list[keyed.Event] = [(key, n, n % 5 == 4) for n, key in enumerate((0, 1, 1, 2, 0, 3, 3, 4, 1, 2, 0, 5, 4, 1))]
READS = ("open ", "statement", "load_table")
"""Calls that change nothing: to die after one is to die before it."""
COMMITS = ("commit", "closed")
"""Those that are never left out where only each n-th of the others is asked for."""


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


def killed(folder: Path, at: int, tend: Callable[[Path], object]) -> None:
    """Tend until the n-th call; exits with 9 there."""
    GATE.clear()
    GATE.at, GATE.act, GATE.after = at, lambda: os._exit(KILLED), False
    tend(folder)


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


def counted(folder: Path, into: Path, tend: Callable[[Path], object]) -> None:
    """Tend to the end and write down every call."""
    GATE.clear()
    GATE.after = False
    tend(folder)
    into.write_text(json.dumps(GATE.calls))


def upserts(folder: Path) -> keyed.Table:
    """Return the table with four commits that hide rows of each other; two keys are deleted."""
    made = keyed.Table(folder, grace_s=0)
    for n in range(state.offsets(made.table.metadata, STREAM)["T"]["0"]):
        made.events.append(UPSERTS[n])
    return made


def upserted(folder: Path) -> None:
    """Write the table; snapshots have expired since upkeep looked."""
    made = upserts(folder)
    for first in range(0, 4, 2):
        made.put(*UPSERTS[first : first + 2])
    made.keeper.look(made.care)
    for first in range(4, 8, 2):
        made.put(*UPSERTS[first : first + 2])


def joined(folder: Path) -> None:
    """Look after it once, with a commit of the writer in between."""
    made = upserts(folder)
    made.before_commit(lambda: made.put(*UPSERTS[8:10]) if len(made.events) < 10 else None)
    made.tend()


def joined_after(folder: Path) -> None:
    """Let a successor write and tend; whatever the dead one left, the table is what a dict would be."""
    made = upserts(folder)
    made.check()
    if len(made.events) < 10:
        made.put(*UPSERTS[8:10])
    made.tend()
    made.put(*UPSERTS[10:12])
    made.check()
    made.tend()
    made.put(*UPSERTS[12:14])
    made.check()
    assert made.files() <= (3, 3), made.files()
    table = made.read()
    for _look in range(3):
        made.clock.advance(1)
        made.tend()
    assert not journal.load(table.metadata, table.io).batches, "what was written down is deleted"
    assert made.shown() == keyed.folded(made.events)


def main() -> None:
    """Kill after every call that changes anything, each time over the same table, put back."""
    root = Path(sys.argv[1])
    folder, kept, calls = root / "table", root / "kept", root / "calls"
    compact.MIN_INPUTS, collect.VANISHED, snapshot.EXPIRE_AT, snapshot.KEEP_SNAPSHOTS = 4, 1, 3, 1
    write, tend, finish = (
        (upserted, joined, joined_after) if sys.argv[2:] == ["upsert"] else (written, tended, finished)
    )
    every = int(sys.argv[3]) if sys.argv[3:] else 1
    in_fork(lambda: write(folder))
    shutil.copytree(folder, kept)
    in_fork(lambda: counted(folder, calls, tend))
    names = json.loads(calls.read_text())
    faults, killed_at = [], []
    for at in range(2, len(names) + 1):
        if names[at - 2].startswith(READS) or (at % every and not names[at - 2].startswith(COMMITS)):
            continue
        killed_at.append(names[at - 2].split()[0])
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)
        code = in_fork(lambda: killed(folder, at, tend))  # noqa: B023 called at once
        if code != KILLED or in_fork(lambda: finish(folder)):
            faults.append({"call": at, "name": names[at - 2], "upkeep": code})
    sys.stdout.write("\n" + json.dumps({"killed_at": killed_at, "faults": faults}) + "\n")
    sys.exit(bool(faults) and sys.argv[3:] == [])


if __name__ == "__main__":
    ending.quick()
    main()
