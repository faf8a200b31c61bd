"""A job done in a process of its own: whatever a schema does to it, the stage goes on.

Lives here: starting the child, its bounds, what its end means. Not here: what it does (dry_run.py). A schema may take
for ever on one event, and the validator holds the interpreter while it does: it must not be the stage's interpreter.
"""

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from schemas.definitions.job import Job
from schemas.errors import HookbergError, Transient
from schemas.ports import RegistryView
from streams.jobs.definitions import as_asked
from streams.jobs.runner import Beat, Work
from streams.trial import NO_MEMORY, allow_cpu, how_it_ended, limit_memory, shown, start_child

CPU_S = 60
"""Between two beats of the job in the child."""
MEMORY_BYTES = 1 << 30
NICE = 10
BEAT_S = 5.0
STUCK_S = 300.0
_POLL_S = 0.25
Make = Callable[..., Work]
"""Makes the work of a snapshot and some arguments; all of them can be pickled, and it is importable by name."""


class Apart:
    """Implements runner.Work: does `make(snapshot, *arguments)` in a child; `cpu_s` bounds it between two beats."""

    def __init__(self, view: RegistryView, make: Make, *arguments: Any, cpu_s: int = CPU_S) -> None:  # noqa: ANN401
        self._view, self._make, self._arguments, self._cpu_s = view, make, arguments, cpu_s

    def __call__(self, job: Job, beat: Beat) -> Mapping[str, Any]:
        """Do one job; raises `Transient` with what a person should know when the child fails or dies."""
        snapshot = as_asked(self._view, job, beat)
        with _child() as (process, pipe):
            try:
                pipe.send((self._make, self._arguments, shown(snapshot, job.tenant_id), job, self._cpu_s))
                return self._wait(pipe, beat)
            except (EOFError, OSError):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1.0)
                raise Transient(_words(process.returncode, self._cpu_s)) from None

    def _wait(self, pipe: Connection, beat: Beat) -> Mapping[str, Any]:
        share, heard, told = 0.0, time.monotonic(), time.monotonic()
        while True:
            if pipe.poll(_POLL_S):
                kind, what = pipe.recv()
                heard = time.monotonic()
                if kind == "done":
                    result: Mapping[str, Any] = what
                    return result
                if kind == "failed":
                    raise Transient(what)
                share = max(share, float(what))
            now = time.monotonic()
            if now - heard > STUCK_S:
                raise Transient(f"the job did nothing for {STUCK_S:g} s and was ended")
            if now - told >= BEAT_S:
                beat(share)
                told = now


@contextmanager
def _child() -> Iterator[tuple["subprocess.Popen[bytes]", Connection]]:
    process, pipe = start_child(__name__)
    try:
        yield process, pipe
    finally:
        pipe.close()
        process.kill()
        process.wait()


def _words(exitcode: int | None, cpu_s: int) -> str:
    if exitcode == -signal.SIGXCPU:
        return (
            f"one portion of events took more than {cpu_s} s of CPU: the candidate, or a schema pinned now, is endless"
        )
    return f"the process of this job ended early: {how_it_ended(exitcode)}"


# ---- in the child
def serve(pipe: Connection) -> None:
    """Be the child: do one job, tell of its progress, end with its result."""
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the stage, which closes the pipe
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    os.nice(NICE)
    make, arguments, snapshot, job, cpu_s = pipe.recv()
    limit_memory(MEMORY_BYTES)

    def beat(share: float, so_far: Mapping[str, Any] | None = None) -> None:  # noqa: ARG001 a child keeps none
        allow_cpu(cpu_s)
        pipe.send(("share", share))

    try:
        beat(0.0)
        pipe.send(("done", dict(make(snapshot, *arguments)(job, beat))))
    except HookbergError as exc:
        pipe.send(("failed", str(exc)))
    except (BrokenPipeError, ConnectionResetError):
        return
    except MemoryError:
        os._exit(NO_MEMORY)
