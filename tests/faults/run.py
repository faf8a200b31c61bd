"""`make faults`: one run of the fault suite, from a seed: traffic, definitions that change, and fault after fault.

`python -m tests.faults.run --seed 1 --rounds 12 --brokers 1`. Lives here: the run and its command line. Not here: the
faults themselves (menu.py), what must hold afterwards (history.py).
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults import definitions, menu, menu_stage
from tests.faults.broken import FLAGS
from tests.faults.gather import REDRIVE, Archive, Streamed, gather, undecided
from tests.faults.history import History
from tests.faults.pairs import Assigned
from tests.faults.rules import excused_by_cuts, faults, missing_and_doubled
from tests.faults.stack import Stack, running
from tests.faults.topics import ids
from tests.faults.traffic import GITHUB, ORDERS, PLATFORMS, SECRET, Sender, schema
from tests.faults.witness import Witness
from tests.faults.worker import BROKEN, TOP
from tests.system.client import Caller, eventually

RECOVERY_S = 240.0
DRAIN_S = 300.0
TENANT = "faults"
TABLES = {GITHUB: "issues", ORDERS: "orders"}
ROLES = (("webhook.*", "desk"), ("webhook.orders.order_made", "bot"), ("webhook.orders.*", "bot"))
"""Assignments of the run: role or glob, target. Made before the sources, so that no event is decided without them."""
Say = Callable[[str], None]


@dataclass
class Run:
    """One run: what runs, who posts, what was taken away, and the streams there are."""

    stack: Stack
    caller: Caller
    sender: Sender
    witness: Witness
    rng: random.Random
    say: Say
    archive: Archive = field(default_factory=Archive)
    assigned: list[Assigned] = field(default_factory=list)
    streams: list[Streamed] = field(default_factory=list)
    done: list[tuple[str, str, float]] = field(default_factory=list)

    @property
    def tenant(self) -> str:
        """Return the tenant."""
        return TENANT

    def last(self, seconds: float) -> None:
        """Let a fault last for some seconds of traffic."""
        threading.Event().wait(seconds)

    def await_rows(self) -> None:
        """Wait until an event of each platform that is acknowledged from now on is a row: the whole way works."""
        before = {platform: self.sender.newest_clean(platform) for platform in PLATFORMS}
        for platform in PLATFORMS:
            self.await_row(platform, before[platform])

    def await_row(self, platform: str, before: str | None = None) -> None:
        """Wait until an event of one platform, newer than `before` or than now, is a row."""
        before = self.sender.newest_clean(platform) if before is None else before

        def acknowledged() -> str | None:
            return new if (new := self.sender.newest_clean(platform)) != before else None

        marker = eventually(f"an event of {platform} is acknowledged", acknowledged, RECOVERY_S)
        table = TABLES[platform]
        eventually(f"{marker} is a row of {table}", lambda: self.stack.lake.has(TENANT, table, marker), RECOVERY_S)

    def new_stream(self, name: str, platform: str, globs: tuple[str, ...] = (), **more: object) -> None:
        """Make and start a stream of the event types that match, of all without globs."""
        self.stack.keeper.workers["api"].await_ready()
        self.caller.new_stream(name, platform, name, eventTypes=list(globs), **more)
        self.streams.append(
            Streamed(name, platform, lambda kind: not globs or any(fnmatchcase(kind, g) for g in globs))
        )


@contextlib.contextmanager
def prepared(
    seed: int, brokers: int, folder: Path, say: Say, modules: Mapping[str, str] | None = None
) -> Iterator[Run]:
    """Yield a run with everything started and traffic flowing."""
    rng = random.Random(seed)
    with contextlib.ExitStack() as stack:
        stacked = stack.enter_context(running(folder, brokers, modules))
        caller, assigned = _set_up(stacked)
        kinds = [f"{TENANT}.{kind}.{platform}" for kind in ("event", "quarantine") for platform in PLATFORMS]
        kinds += sorted({f"{TENANT}.run.{target}" for _, target in ROLES})
        partitions = {name: n for name, (_, n) in ids(stacked.bootstrap, [*kinds, f"{TENANT}.ledger"]).items()}
        witness = stack.enter_context(Witness(stacked.bootstrap, partitions, f"{TENANT}.ledger"))
        sender = stack.enter_context(Sender(caller, seed))
        run = Run(stacked, caller, sender, witness, rng, say, assigned=assigned)
        run.streams += [Streamed(table, platform) for platform, table in TABLES.items()]
        yield run


def _set_up(stack: Stack) -> tuple[Caller, list[Assigned]]:
    server = stack.server
    server.admin().call("POST", "/api/v1/tenants", {"id": TENANT}, expect=201)
    caller = server.admin(TENANT)
    made = [caller.call("POST", "/api/v1/roles", {"role": r, "target": t}, expect=201) for r, t in ROLES]
    auth: dict[str, dict[str, object]] = {GITHUB: {"auth": {"type": "github", "secrets": [SECRET]}},
            ORDERS: {"auth": {"type": "none"}, "dedupe": {"path": "/id"}}}  # fmt: skip
    for platform in PLATFORMS:
        caller.call("POST", "/api/v1/schemas", {"subject": platform, "compatibility": "none"}, expect=201)
        for version in (1, 2):
            given = {"schema": schema(platform, version)}
            caller.call("POST", f"/api/v1/schemas/{platform}/versions", given, expect=201)
        source = {"platform": platform, "name": platform, "pins": definitions.pins(platform, 1), **auth[platform]}
        caller.call("POST", "/api/v1/sources", source, expect=201)
        caller.new_stream(platform, platform, TABLES[platform])
    return caller, [Assigned(one["id"], one["role"], one["target"]) for one in made]


def chaos(run: Run, chosen: list[menu.Fault]) -> None:
    """Let the faults happen one after another, each followed by the proof that the whole way works again."""
    late = menu.late_streams()
    with definitions.changing(run.caller, run.rng.getrandbits(32)):
        run.await_rows()
        for number, fault in enumerate(chosen, 1):
            run.sender.wait_posts(run.rng.randrange(10, 75))  # the moment is part of the seed
            began = time.monotonic()
            what = fault.happen(run)
            if (late and run.rng.random() < 0.5) or len(late) > len(chosen) - number:
                late.pop(0)(run)
            run.await_rows()
            took = time.monotonic() - began
            run.done.append((fault.name, what, took))
            run.say(f"round {number:2}  {fault.name:32} {what:60} {took:5.1f} s")
        for more in late:
            more(run)
        run.await_rows()


def settle(run: Run) -> None:
    """Mend everything and redrive until nothing more comes of it: plainly, then as distinct, then plainly again."""
    run.sender.stop()
    run.witness.deaf()
    menu_stage.all_over(run)
    menu_stage.mend(run)
    for wanted in ({}, {"as": "distinct"}, {}):
        _decided(run)
        ended = menu_stage.over(run, menu_stage.ask(run, wanted))
        assert ended["state"] == "succeeded", ended
        run.say(f"settling {wanted or ''}: {ended['result'] | {'left': len(ended['result']['left'])}}")


def _decided(run: Run) -> None:
    bootstrap = run.stack.bootstrap
    eventually("the ledger covers every raw record", lambda: undecided(bootstrap, TENANT) == 0, DRAIN_S)


def drained(run: Run, *, settled: bool = False) -> History:
    """Stop the traffic, wait until the ledger covers the raw topics and the tables the clean ones; read everything."""
    run.sender.stop()
    run.witness.deaf()
    began = time.monotonic()
    bootstrap, stack = run.stack.bootstrap, run.stack
    menu_stage.all_over(run)
    _decided(run)

    def read() -> History:
        sent, seen = run.sender.ledger, run.witness.seen
        return gather(
            bootstrap, stack.lake, TENANT, sent, run.archive, run.streams, seen, settled=settled,
            assigned=run.assigned, minutes=_minutes(run),
        )  # fmt: skip

    eventually("every stream has its table", lambda: all(_exists(run, each.table) for each in run.streams), DRAIN_S)

    first = read()
    due = {table.name: _due(first, table.name) for table in first.tables}
    due |= {f"hookberg_{name}": len(first.pairs[name][0]) for name in ("quarantine", "ledger")}

    def complete() -> bool:
        found = read()
        behind = {
            table.name: missing for table in found.tables if (missing := _due(found, table.name) - len(table.rows)) > 0
        }
        behind |= {name: n for name, (topic, table) in found.pairs.items() if (n := (topic - table).total()) > 0}
        run.say(f"draining: {behind or 'done'} after {time.monotonic() - began:.0f} s")
        return not behind and not found.reader

    with contextlib.suppress(AssertionError):  # what is not there after the deadline is a fault with its place
        eventually("the tables have as many rows as they should", lambda: _counted(run, due), DRAIN_S)
        eventually("the tables hold every clean event", complete, DRAIN_S)
    return read()


def _exists(run: Run, table: str) -> bool:
    with run.stack.lake.catalog() as catalog:
        return catalog.table_exists((TENANT, table))


def _minutes(run: Run) -> dict[str, dict[str, int]] | None:
    """Return what the API tells of every source's events; None when clocks have jumped: it goes by the time of day."""
    if any(name == "clock jump" for name, _, _ in run.done):
        return None
    found = {}
    for platform in PLATFORMS:
        source = run.caller.call("GET", f"/api/v1/sources/{platform}")["id"]
        found[source] = run.caller.call("GET", f"/api/v1/sources/{platform}/stats?window=24h")["outcomes"]
    return found


def _counted(run: Run, due: Mapping[str, int]) -> bool:
    return all(run.stack.lake.count(TENANT, name) >= rows for name, rows in due.items())


def _due(history: History, name: str) -> int:
    table = next(table for table in history.tables if table.name == name)
    return sum(
        each.place.offset >= table.starts.get(each.place[:2], 1 << 62) and table.selects(each.event_type)
        for each in history.clean
    )


def audit(run: Run) -> tuple[int, str]:
    """Return what `hookberg audit` says: exit code and everything printed."""
    command = [sys.executable, "-m", "deploy.cli", "audit"]
    env = {key: value for key, value in run.stack.env.items() if key != "FAULTS_DIR"}
    done = subprocess.run(command, cwd=TOP, env=env, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr


@dataclass(frozen=True, slots=True)
class Result:
    """What one run came to; `broken` is empty when every rule holds."""

    history: History
    broken: list[str]
    row: tuple[str, ...]


COLUMNS = ("seed", "brokers", "rounds", "items", "clean", "quarantined", "duplicates", "lost", "missing", "doubled",
           "longest silence", "commit")  # fmt: skip


def judged(run: Run, seed: int, brokers: int, *, settled: bool = False) -> Result:
    """Drain, check every rule and the audit; return the row of the results table.

    `settled`: mend and redrive everything before, so that what is open in the end is what no definition takes.
    """
    if settled:
        settle(run)
    history = drained(run, settled=settled)
    broken = [*faults(history), *run.witness.faults]
    code, said = audit(run)
    gone = Counter(one.topic for cut in run.archive.cut.values() for one in cut if REDRIVE not in one.headers)
    if code and not excused_by_cuts(said, gone):
        broken.append(f"audit: exit code {code}\n{said[-3000:]}")
    outcomes = Counter(other["outcome"] for record in history.ledger for other in record["others"])
    lost = sum(span["to"] - span["from"] for record in history.ledger for span in record["lost"])
    numbers = (seed, brokers, len(run.done), len(history.items), len(history.clean), outcomes["quarantined"],
               outcomes["duplicate"], lost, *missing_and_doubled(history))  # fmt: skip
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=TOP, capture_output=True, text=True, check=False
    )
    row = (*map(str, numbers), f"{run.witness.silence_s:.1f} s", commit.stdout.strip() or "?")
    return Result(history, broken, row)


def main() -> int:
    """Run once; return 1 when a rule is broken."""
    parser = argparse.ArgumentParser(description="Break everything, then prove that nothing was lost or doubled.")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1)
    parser.add_argument("--only", help="names of faults, comma-separated: the schedule is these, in this order")
    parser.add_argument("--broken", choices=FLAGS, help="a rule of the stage to break: the run must fail (broken.py)")
    parser.add_argument("--keep", type=Path, help="a folder that does not exist yet: logs and data stay in it")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # whoever ends us ends what we started
    print(f"SEED={given.seed} ROUNDS={given.rounds} BROKERS={given.brokers}", flush=True)
    say = lambda text: print(text, flush=True)  # noqa: E731
    chosen = menu.schedule(given.seed, given.rounds, given.brokers, given.only.split(",") if given.only else None)
    temporary = tempfile.TemporaryDirectory(prefix="hookberg-faults-")
    modules = {"streams": BROKEN} if given.broken else None
    with temporary as path:
        folder = given.keep or Path(path) / "run"
        folder.mkdir(parents=True)
        if given.broken:
            (folder / given.broken).touch()
        with prepared(given.seed, given.brokers, folder, say, modules) as run:
            result = _done(run, chosen, given.seed, given.brokers)
    show(run, result)
    return int(bool(result.broken))


def _done(run: Run, chosen: list[menu.Fault], seed: int, brokers: int) -> Result:
    try:
        chaos(run, chosen)
        result = judged(run, seed, brokers, settled=True)
    except BaseException:
        run.sender._stop.set()
        print(run.stack.tails(), flush=True)
        raise
    if result.broken:
        print(run.stack.tails(), flush=True)
    return result


def show(run: Run, result: Result) -> None:
    """Print the summary and what is broken."""
    out = Console(width=160)
    table = Table(*COLUMNS)
    table.add_row(*result.row)
    out.print(table)
    print(f"{run.sender.ledger.posts} deliveries acknowledged; refused on the way: {run.sender.ledger.refused}")
    print(f"load average {os.getloadavg()}")
    for each in result.broken:
        print(f"BROKEN {each}")
    print("every rule holds" if not result.broken else f"{len(result.broken)} rules are broken")


if __name__ == "__main__":
    sys.exit(main())
