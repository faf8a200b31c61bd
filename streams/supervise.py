"""Groups -> processes: one process a group, held by a lock file, reaped before its successor starts (rule 8).

Lives here: which groups this host runs and what runs beside them, starting, restarting with backoff, ending. What a
group does: app.py; what runs beside: stats_app.py.
Two live processes of one group would fence each other for ever.
"""

import contextlib
import ctypes
import fcntl
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path

from schemas.errors import EXIT_CONFIGURATION, EXIT_RESTART, ConfigurationError
from schemas.logs import logger
from schemas.settings import StreamsSettings

GroupMain = Callable[[StreamsSettings, str], int]
"""Runs one group to its end and returns the exit code; importable by name, for it runs in a process of its own."""

DRAIN_S = 8.0
_LOCK_S = 10.0
_POLL_S = 0.1
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 60.0
BESIDE = "stats"
_BESIDE_AFTER_S = 5.0
"""What runs beside the groups starts after them: nobody waits for it."""
_PR_SET_PDEATHSIG = 1
_log = logger(__name__)


def groups_of(settings: StreamsSettings) -> list[str]:
    """Return the groups that this host runs; raise ConfigurationError when the setting names one that cannot be."""
    known = [str(number) for number in range(settings.groups)]
    if settings.groups_run == "all":
        return known
    wanted = [part.strip() for part in settings.groups_run.split(",")]
    if not wanted or any(group not in known for group in wanted) or len(set(wanted)) != len(wanted):
        raise ConfigurationError(
            f"HOOKBERG_GROUPS_RUN={settings.groups_run!r}: name groups 0 to {settings.groups - 1} once each, or `all`"
        )
    return wanted


@contextlib.contextmanager
def held(state_dir: Path, group: str, *, wait_s: float = _LOCK_S) -> Iterator[None]:
    """Hold the lock of a group's state folder; raise ConfigurationError when another process keeps it.

    The system lets go of it when the holder dies, so waiting a little covers a predecessor that is just ending.
    """
    folder = state_dir / group
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+b") as file:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ConfigurationError(
                        f"worker group {group} runs already on {folder}: stop that process first"
                    ) from None
                time.sleep(_POLL_S)
        yield


def run(settings: StreamsSettings, main: GroupMain, beside: GroupMain | None = None) -> int:
    """Run this host's groups until SIGTERM or SIGINT; return the exit code. Blocks.

    One group runs in this very process. Of several each gets a child with its own health port
    (`streams_health_port` + its place); a child is started again unless it ended with 0 or 78.
    `beside` (the stats app) is a child of its own on the host of group 0, so there is one in a cluster; what becomes
    of it ends nobody.
    """
    groups = groups_of(settings)
    aside = [_Child(BESIDE, settings, beside)] if beside and settings.stats_enabled and "0" in groups else []
    if len(groups) > 1:
        port = settings.streams_health_port
        ported = [port + place if port else 0 for place in range(len(groups))]
        of_groups = [
            _Child(group, settings.model_copy(update={"streams_health_port": one}), main)
            for group, one in zip(groups, ported, strict=True)
        ]
        return Supervisor(of_groups, aside).run()
    with held(settings.state_dir, groups[0]), _kept(aside):
        return main(settings, groups[0])


@contextlib.contextmanager
def _kept(aside: "list[_Child]") -> Iterator[None]:
    """Keep children alive from a thread, which their deaths are bound to, while the caller runs the group."""
    if not aside:
        yield
        return
    supervisor = Supervisor([], aside)
    thread = threading.Thread(target=supervisor.keep, name="beside", daemon=True)
    thread.start()
    try:
        yield
    finally:
        supervisor.stop()
        thread.join(DRAIN_S + _LOCK_S)


@dataclass(slots=True)
class _Child:
    """A process; `due` is when it may start (monotonic), `pause_s` the next pause after a failure."""

    group: str
    settings: StreamsSettings
    main: GroupMain
    process: SpawnProcess | None = None
    started: float = 0.0
    due: float = 0.0
    pause_s: float = _FIRST_PAUSE_S
    over: int | None = None


class Supervisor:
    """Keeps one child a group alive, and those beside them, for as long as a group is. Blocking."""

    def __init__(self, groups: list[_Child], beside: list[_Child]) -> None:
        self._context: SpawnContext = multiprocessing.get_context("spawn")
        self._groups, self._children = groups, [*groups, *beside]
        for child in beside:
            child.due = time.monotonic() + _BESIDE_AFTER_S
        self._stopping = threading.Event()

    def run(self) -> int:
        """Start all, start again what ends, drain all on a signal; return the first group's exit code that is not 0.

        Runs in the main thread, which signals reach.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self.stop())
        while not self._stopping.is_set() and any(child.over is None for child in self._groups):
            self._turn()
        return self._drain()

    def keep(self) -> None:
        """Start what is beside, start it again when it ends, drain it when stopped."""
        while not self._stopping.is_set():
            self._turn()
        self._drain()

    def stop(self) -> None:
        """Have `run` or `keep` drain and return."""
        self._stopping.set()

    def _turn(self) -> None:
        for child in self._children:
            self._look_after(child)
        self._stopping.wait(_POLL_S)

    def _look_after(self, child: _Child) -> None:
        now = time.monotonic()
        if child.over is not None:
            return
        if child.process is not None:
            child.process.join(0)  # reaps it
            code = child.process.exitcode
            if code is None:
                return
            child.process = None
            if code in (0, EXIT_CONFIGURATION):
                child.over = code
                return
            steady = now - child.started > _STEADY_S
            child.pause_s = _FIRST_PAUSE_S if steady else min(child.pause_s * 2, _LONGEST_PAUSE_S)
            child.due = now + child.pause_s
            _log.warning("group_ended", group=child.group, exit_code=code, again_in_s=child.pause_s)
        if now >= child.due:
            child.process = self._context.Process(
                target=_group_process, args=(child.main, child.settings, child.group), name=f"streams-{child.group}"
            )
            child.process.start()
            child.started = now

    def _drain(self) -> int:
        alive = [child.process for child in self._children if child.process is not None]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + DRAIN_S
        for process in alive:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.exitcode is None:
                process.kill()
                process.join()
        codes = [child.over or 0 for child in self._groups]
        return next((code for code in codes if code), 0)


def _group_process(main: GroupMain, settings: StreamsSettings, group: str) -> None:
    """Be one group's process: hold its lock, run it, end with its exit code."""
    _die_with_parent()
    try:
        with held(settings.state_dir, group):
            code = main(settings, group)
    except ConfigurationError as exc:
        _log.error("group_cannot_run", group=group, error=str(exc))
        code = EXIT_CONFIGURATION
    os._exit(code if 0 <= code < 256 else EXIT_RESTART)  # noqa: PLR2004 exit codes are a byte


def _die_with_parent() -> None:
    """Have the kernel kill this process when the supervisor ends, whatever ends it; elsewhere the engine's watch does.

    PR_SET_PDEATHSIG: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:  # it ended between start and prctl
        os._exit(EXIT_RESTART)
