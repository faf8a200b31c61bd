"""The faults, as one table: name, on how many brokers, and what happens from injection to healing.

Lives here: faults of processes, disks, databases and the clock, and the schedule that a seed makes of all. Faults of
Kafka itself: menu_kafka.py; redrives and pauses: menu_stage.py.
"""

import random
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.faults import entry, menu_kafka, menu_stage
from tests.faults.proxy import Proxy
from tests.faults.stack import STORE_FULL, has_postgres
from tests.faults.traffic import GITHUB, MADE, ORDERS
from tests.faults.worker import Worker
from tests.system.client import eventually

if TYPE_CHECKING:
    from tests.faults.run import Run

Happen = Callable[["Run"], str]
ENDS_S = 180.0
HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault. `happen` injects it, lets it last, heals it, and says what it did.

    `brokers`: on how many it can; `postgres`: it needs databases that can be away.
    """

    name: str
    happen: Happen
    brokers: tuple[int, ...] = (1, 3)
    postgres: bool = False


def _kill(name: str) -> Happen:
    def happen(run: "Run") -> str:
        pid = run.stack.keeper.kill(name).pid
        return f"SIGKILL {pid}, started again on its disk"

    return happen


def _wipe(run: "Run") -> str:
    keeper = run.stack.keeper
    worker = keeper.kill("streams", hold=True)
    shutil.rmtree(run.stack.state_of(worker), ignore_errors=True)
    keeper.resume("streams")
    return f"SIGKILL {worker.pid}, state folder removed"


def _zombie_stage(run: "Run") -> str:
    zombie, frozen = _frozen(run, "streams")
    eventually(f"the zombie {zombie.pid} ends by itself", lambda: _poll(zombie) is not None, ENDS_S)
    run.stack.keeper.aside.remove(zombie)
    assert _poll(zombie) != 0, "a fenced stage ends with an error"
    return f"SIGSTOP {zombie.pid} for {frozen:.1f} s beside its successor, ended with {_poll(zombie)}"


def _zombie_writer(run: "Run") -> str:
    zombie, frozen = _frozen(run, "sinks")
    run.last(run.rng.uniform(1.0, 5.0))
    code = zombie.end()
    run.stack.keeper.aside.remove(zombie)
    return f"SIGSTOP {zombie.pid} for {frozen:.1f} s beside its successor, drained with {code}"


def _frozen(run: "Run", name: str) -> tuple[Worker, float]:
    """Freeze a process, start its successor, let it go on; return it and the seconds that it stood still."""
    zombie = run.stack.keeper.workers[name]
    zombie.signal(signal.SIGSTOP)
    run.stack.keeper.put(run.stack.new_worker(name))
    frozen = run.rng.uniform(1.0, 9.0)
    run.last(frozen)
    zombie.signal(signal.SIGCONT)
    return zombie, frozen


def _poll(worker: Worker) -> int | None:
    return None if worker.process is None else worker.process.poll()


def _away(name: str, longest_s: float) -> Happen:
    def happen(run: "Run") -> str:
        seconds = run.rng.uniform(1.0, longest_s)
        proxy = _proxy(run, name)
        proxy.away(True)
        run.last(seconds)
        proxy.away(False)
        return f"for {seconds:.1f} s"

    return happen


def _lost_answers(run: "Run") -> str:
    proxy = _proxy(run, "catalog")
    wanted, before = run.rng.randrange(1, 6), proxy.lost
    proxy.lose_commits(wanted)
    eventually("the commits are carried out, their answers lost", lambda: proxy.lost >= before + wanted, ENDS_S)
    return f"{wanted} commits carried out, no answer"


def _proxy(run: "Run", name: str) -> Proxy:
    proxy: Proxy | None = getattr(run.stack, name)
    assert proxy is not None, "this fault needs PostgreSQL"
    return proxy


def _store_full(run: "Run") -> str:
    seconds = run.rng.uniform(1.0, 6.0)
    with run.stack.full(STORE_FULL):
        run.last(seconds)
    return f"ENOSPC for {seconds:.1f} s"


def _state_full(run: "Run") -> str:
    seconds = run.rng.uniform(1.0, 5.0)
    with run.stack.full(entry.STATE_FULL):
        run.last(seconds)
    return f"ENOSPC for {seconds:.1f} s"


def _clock(run: "Run") -> str:
    hours = run.rng.choice((-24 * 400, -24 * 8, -3, 3, 24 * 8, 24 * 40, 24 * 400))
    run.stack.move_clock(hours * HOUR_NS)
    run.last(1.0)
    return f"the wall clock is off by {hours} h from now on"


MENU: tuple[Fault, ...] = (
    Fault("kill ingress", _kill("ingress")),
    Fault("kill api", _kill("api")),
    Fault("kill streams", _kill("streams")),
    Fault("kill sinks", _kill("sinks")),
    Fault("kill streams and wipe its disk", _wipe),
    Fault("zombie streams", _zombie_stage),
    Fault("zombie sinks", _zombie_writer),
    Fault("registry away", _away("registry", 6.0), postgres=True),
    Fault("catalog away", _away("catalog", 8.0), postgres=True),
    Fault("lost commit answers", _lost_answers, postgres=True),
    Fault("table store full", _store_full),
    Fault("state disk full", _state_full),
    Fault("clock jump", _clock),
    Fault("redriven twice", menu_stage.redrive_twice),
    Fault("redrive", menu_stage.redrive),
    Fault("redrive after mending", menu_stage.redrive_mended),
    Fault("redrive and kill streams", menu_stage.redrive_killed),
    Fault("redrive and kill sinks", menu_stage.redrive_behind),
    Fault("paused", menu_stage.paused),
    Fault("raw topic made anew", menu_kafka.made_anew),
    Fault("kill broker", menu_kafka.kill_broker, (1,)),
    Fault("raw log's tail cut", menu_kafka.cut_tail, (1,)),
    Fault("kill leader", menu_kafka.kill_leader, (3,)),
    Fault("kill coordinators", menu_kafka.kill_coordinator, (3,)),
)


def schedule(seed: int, rounds: int, brokers: int, only: list[str] | None = None) -> list[Fault]:
    """Return the faults of a run in order: every kind once before any comes again; `only` names them instead.

    Those that cannot happen here (no PostgreSQL) are left out.
    """
    by_name = {fault.name: fault for fault in MENU if brokers in fault.brokers}
    if only is not None:
        return [fault for name in only if not (fault := by_name[name]).postgres or has_postgres()]
    by_name = {name: fault for name, fault in by_name.items() if not fault.postgres or has_postgres()}
    rng, chosen = random.Random(f"schedule {seed}"), list[Fault]()
    while len(chosen) < rounds:
        chosen += rng.sample(list(by_name.values()), len(by_name))
    return chosen[:rounds]


def late_streams() -> list[Callable[["Run"], None]]:
    """Return what starts the streams that join while everything runs: late, at `latest`, with filters."""
    given: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("late", ORDERS, {}),
        ("newest", GITHUB, {"startFrom": "latest"}),
        ("nothing", ORDERS, {"globs": ("nothing.*",)}),
        ("made", ORDERS, {"globs": (MADE,), "startFrom": "latest"}),
    )

    def one(name: str, platform: str, more: dict[str, Any]) -> Callable[["Run"], None]:
        return lambda run: run.new_stream(name, platform, **more)

    return [one(name, platform, dict(more)) for name, platform, more in given]
