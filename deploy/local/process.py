"""One child process: how it is described, spawned in a group of its own, and ended with everything it started.

Lives here: the operating system's part of supervision. May not live here: when to restart (supervisor.py).
PR_SET_PDEATHSIG: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
"""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What to run. `drain_stage`: 0 is drained first; `drain_s`: seconds that its stage gets."""

    name: str
    argv: tuple[str, ...]
    ready: Callable[[], Awaitable[bool]]
    env: Mapping[str, str] | None = field(default=None, repr=False)
    cwd: Path | None = None
    drain_stage: int = 0
    drain_s: float = 4.0


@dataclass(frozen=True, slots=True)
class Spawned:
    """A running child and what it prints; `close` gives its pipe back."""

    process: asyncio.subprocess.Process
    output: asyncio.StreamReader
    close: Callable[[], None]


Spawn = Callable[[ProcessSpec], Awaitable[Spawned]]


async def spawn_process(spec: ProcessSpec) -> Spawned:
    """Spawn a child in its own session, output merged into one pipe; it dies with us (Linux). Raises OSError.

    The pipe is ours, not the process transport's: with PIPE, Python 3.11's `Process.wait()` returns only when every
    holder of the pipe is gone, so a crashed child whose own workers live on would never be noticed.
    """
    read_end, write_end = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *spec.argv,
            env=spec.env,
            cwd=spec.cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=write_end,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with(os.getpid()),
        )
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    output = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(read_end, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(output), pipe)
    return Spawned(process, output, transport.close)


def die_with(parent: int) -> Callable[[], None] | None:
    """Return what a fresh child runs so the kernel kills it when its parent ends; None where there is no such call."""
    if _LIBC is None:
        return None
    prctl = _LIBC.prctl

    def run() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended between fork and prctl
            os._exit(1)

    return run


def terminate(process: asyncio.subprocess.Process) -> None:
    """Ask a child to drain (SIGTERM to it alone: it ends its own workers in its own order)."""
    if process.returncode is None:
        try:
            process.terminate()
        except ProcessLookupError:
            return


def kill_group(process: asyncio.subprocess.Process) -> None:
    """Send SIGKILL to the child and to what is left of its group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
