"""Child processes kept alive and ended in order.

    start --> spawn --> poll until ready --> wait for its end --> reap --> back off --> spawn ...
                                                 | exit 78 (configuration): stop everything, show its last lines
    drain: stage 0 first (nothing new comes in), each stage up to its deadline, then SIGKILL

Lives here: when to start, restart and end. May not live here: how to spawn (process.py), what to run (up.py).
The restart rule is that of an Erlang supervisor (https://www.erlang.org/doc/system/sup_princ.html), with backoff in
place of a restart limit.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from deploy.local.errors import LocalError
from deploy.local.logs import LineSplitter, LogStream
from deploy.local.process import ProcessSpec, Spawn, kill_group, spawn_process, terminate
from schemas.errors import EXIT_CONFIGURATION
from schemas.reasons import Reason

DRAIN_TOTAL_S = 15.0
READY_POLL_S = 0.1
_LAST_LINES = 15
_PIPE_GRACE_S = 1.0
_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Seconds: the first wait, the longest wait, and how long a run forgives the failures before it."""

    first_s: float = 0.5
    longest_s: float = 30.0
    forgiven_after_s: float = 60.0

    def delay_s(self, failures: int) -> float:
        """Return the wait before restart number `failures` (from 1): doubled each time, bounded."""
        return min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 30))


@dataclass(frozen=True, slots=True)
class ChildState:
    """What a child is doing now; `pid` None between its end and its successor."""

    name: str
    pid: int | None
    ready: bool
    restarts: int


class _Child:
    """One supervised process and its history."""

    def __init__(self, spec: ProcessSpec) -> None:
        self.spec = spec
        self.process: asyncio.subprocess.Process | None = None
        self.ready = asyncio.Event()
        self.stopping = asyncio.Event()
        self.restarts = 0
        self.last: deque[str] = deque(maxlen=_LAST_LINES)
        self.task: asyncio.Task[None] | None = None

    def state(self) -> ChildState:
        pid = self.process.pid if self.process else None
        return ChildState(self.spec.name, pid, self.ready.is_set(), self.restarts)

    def text(self) -> str:
        return "\n".join(f"  {line}" for line in self.last) or "  (no output)"


class Supervisor:
    """Start, restart and drain children. One event loop; clock, sleep and spawn are parameters."""

    def __init__(
        self,
        logs: LogStream,
        *,
        policy: RestartPolicy | None = None,
        spawn: Spawn = spawn_process,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_change: Callable[[tuple[ChildState, ...]], None] = lambda _: None,
    ) -> None:
        self._logs = logs
        self._policy = policy or RestartPolicy()
        self._spawn = spawn
        self._clock = clock
        self._sleep = sleep
        self._on_change = on_change
        self._children: dict[str, _Child] = {}
        self._failed: asyncio.Future[LocalError] = asyncio.get_running_loop().create_future()

    def states(self) -> tuple[ChildState, ...]:
        """Return every child's state in the order of their start."""
        return tuple(child.state() for child in self._children.values())

    async def start(self, specs: Iterable[ProcessSpec], ready_timeout_s: float) -> None:
        """Start children together and wait until each is ready.

        Raises LocalError `process_failed` with last log lines when one cannot start or is not ready in time.
        """
        children = [_Child(spec) for spec in specs]
        for child in children:
            self._children[child.spec.name] = child
            child.task = asyncio.create_task(self._keep(child), name=f"keep {child.spec.name}")
            child.task.add_done_callback(partial(self._keeper_ended, child))
        ready = asyncio.create_task(_all_ready(children))
        failure = asyncio.create_task(self.failure())
        try:
            await asyncio.wait({ready, failure}, timeout=ready_timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                raise self._failed.result()
            if not ready.done():
                late = next(child for child in children if not child.ready.is_set())
                raise LocalError(
                    Reason.PROCESS_FAILED,
                    f"{late.spec.name} was not ready within {ready_timeout_s:.0f} s. "
                    f"Its last log lines:\n{late.text()}",
                )
        finally:
            ready.cancel()
            failure.cancel()
            await asyncio.gather(ready, failure, return_exceptions=True)

    async def failure(self) -> LocalError:
        """Wait for a child that cannot start (exit code 78 or no executable)."""
        return await asyncio.shield(self._failed)

    async def drain(self, total_s: float = DRAIN_TOTAL_S) -> None:
        """End all children, stage by stage; what outlives its stage's deadline gets SIGKILL. Ends within `total_s`.

        A stage that ends early leaves its time to the later ones.
        """
        started = self._clock()
        granted = 0.0
        ordered = sorted(self._children.values(), key=lambda child: child.spec.drain_stage)
        for _, members in groupby(ordered, key=lambda child: child.spec.drain_stage):
            stage = list(members)
            granted += max(child.spec.drain_s for child in stage)
            deadline = started + min(granted, total_s)
            for child in stage:
                self._ask_to_end(child)
            tasks = {child.task for child in stage if child.task}
            if tasks:
                await asyncio.wait(tasks, timeout=max(0.0, deadline - self._clock()))
            for child in stage:
                if child.process is not None:
                    self._logs.write(child.spec.name, "did not drain in time: killed")
                    kill_group(child.process)
            await asyncio.gather(*tasks, return_exceptions=True)
        self._children.clear()

    def kill_now(self) -> None:
        """Send SIGKILL to every child at once (the second ctrl-C)."""
        for child in self._children.values():
            child.stopping.set()
            if child.process is not None:
                kill_group(child.process)

    def _ask_to_end(self, child: _Child) -> None:
        child.stopping.set()
        if child.process is not None:
            terminate(child.process)

    async def _keep(self, child: _Child) -> None:
        """Run a child again and again until it is asked to end; each is reaped before its successor starts."""
        failures = 0
        while not child.stopping.is_set():
            began = self._clock()
            try:
                code = await self._run_once(child)
            except OSError as error:
                self._fail(child, f"cannot be run: {error}")
                return
            if child.stopping.is_set():
                return
            if code == EXIT_CONFIGURATION:
                self._fail(child, f"has a configuration error (exit {code}). Its last log lines:\n{child.text()}")
                return
            failures = 1 if self._clock() - began >= self._policy.forgiven_after_s else failures + 1
            delay = self._policy.delay_s(failures)
            self._logs.write(child.spec.name, f"ended with {_meaning(code)}: starting again in {delay:g} s")
            await self._pause(child, delay)
            child.restarts += 1

    async def _run_once(self, child: _Child) -> int:
        """Spawn, watch and reap one process; return its exit code."""
        spawned = await self._spawn(child.spec)
        process = child.process = spawned.process
        if child.stopping.is_set():  # asked to end while it was being spawned
            terminate(process)
        self._on_change(self.states())
        pump = asyncio.create_task(self._pump(child, spawned.output))
        watch = asyncio.create_task(self._watch(child))
        try:
            code = await process.wait()
        finally:
            kill_group(process)
            watch.cancel()
            _, unfinished = await asyncio.wait({pump, watch}, timeout=_PIPE_GRACE_S)
            for task in unfinished:
                task.cancel()
            spawned.close()
            child.process = None
            child.ready.clear()
            self._on_change(self.states())
        return code

    async def _watch(self, child: _Child) -> None:
        while not await child.spec.ready():
            await asyncio.sleep(READY_POLL_S)
        child.ready.set()
        self._on_change(self.states())

    async def _pump(self, child: _Child, output: asyncio.StreamReader) -> None:
        splitter = LineSplitter()
        while piece := await output.read(_READ_BYTES):
            self._take(child, splitter.feed(piece))
        self._take(child, splitter.end())

    def _take(self, child: _Child, lines: list[str]) -> None:
        for line in lines:
            child.last.append(line)
            self._logs.write(child.spec.name, line)

    async def _pause(self, child: _Child, delay_s: float) -> None:
        waits = {asyncio.ensure_future(self._sleep(delay_s)), asyncio.ensure_future(child.stopping.wait())}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def _keeper_ended(self, child: _Child, task: asyncio.Task[None]) -> None:
        """Turn a bug in a keeper into a stop: a child that nobody keeps must not go unnoticed."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(child, f"is no longer supervised: {error!r}")

    def _fail(self, child: _Child, why: str) -> None:
        if not self._failed.done():
            self._failed.set_result(LocalError(Reason.PROCESS_FAILED, f"{child.spec.name} {why}"))


async def _all_ready(children: list[_Child]) -> None:
    for child in children:
        await child.ready.wait()


def _meaning(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
