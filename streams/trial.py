"""A record is decided in a child process first, which may die of it: found out without ending the worker (rule 13).

Lives here: the child, its bounds (CPU seconds and bytes, never elapsed time), what its end means. Not here: which
records are tried (poison.py). The child asks for what is remembered, so it decides as the worker would; what it decides
is thrown away. RLIMIT_CPU, RLIMIT_AS: https://man7.org/linux/man-pages/man2/getrlimit.2.html
"""

import contextlib
import dataclasses
import math
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from schemas.definitions.view import EMPTY, Snapshot
from schemas.errors import Transient
from schemas.logs import logger
from schemas.reasons import Reason
from schemas.wire.raw import RawRecord
from streams.emit import Place
from streams.judge import Adapter, Judge
from streams.parse import Fault, unread
from streams.seen import Seen

MEMORY_BYTES = 1 << 30
"""What one decision may take beside what the interpreter takes anyway."""
_TIMES = 2
_START_S = 120.0
_PATIENCE_S = 600.0
_PATIENCE = 20
_POLL_S = 1.0
NO_MEMORY = 71
_RUN = """import sys
from importlib import import_module
from multiprocessing.connection import Connection
import_module(sys.argv[1]).serve(Connection(int(sys.argv[2])))
"""
_FAULT = Fault(Reason.BAD_RECORD, "", "")
_log = logger(__name__)
Look = Callable[[bytes], Seen | None]


class Tried(NamedTuple):
    """How a trial ended: `how` a child died (None: it lived), and whether it had read the record's headers by then."""

    how: str | None
    headers_read: bool = True


class Trial:
    """Tries records, one at a time, in a child that is started when it is first needed. Blocks: not for event loops."""

    def __init__(self, adapter: Adapter, *, cpu_s: int, memory_bytes: int = MEMORY_BYTES) -> None:
        self._adapter, self._cpu_s, self._memory_bytes = adapter, cpu_s, memory_bytes
        self._child: tuple[subprocess.Popen[bytes], Connection] | None = None
        self._scene: tuple[Place, Snapshot] | None = None

    def decide(self, record: RawRecord, time_ms: int, place: Place, snapshot: Snapshot, look: Look) -> Tried:
        """Let a child decide about `record`; it must die twice to be found guilty: something else may end it once.

        Raises Transient when no child starts, or one neither answers nor uses up its CPU seconds.
        """
        tried = Tried(None)
        for _ in range(_TIMES):
            tried = self._once(record, time_ms, (place, snapshot), look)
            if tried.how is None:
                break
            _log.error("trial_died", topic=str(place.raw), offset=record.offset, how=tried.how)
        return tried

    def close(self) -> None:
        """End the child."""
        if self._child is None:
            return
        (process, pipe), self._child = self._child, None
        pipe.close()
        process.kill()
        process.wait()

    def _once(self, record: RawRecord, time_ms: int, scene: tuple[Place, Snapshot], look: Look) -> Tried:
        process, pipe = self._ready()
        deadline, headers_read = time.monotonic() + _PATIENCE_S + _PATIENCE * self._cpu_s, False
        try:
            if self._scene is None or self._scene[0] != scene[0] or self._scene[1] is not scene[1]:
                pipe.send((scene[0], shown(scene[1], scene[0].raw.tenant)))
                self._scene = scene
            pipe.send((record, time_ms))
            while True:
                if not pipe.poll(_POLL_S):
                    if time.monotonic() > deadline:
                        self.close()
                        raise Transient(f"a trial of offset {record.offset} does nothing and does not end")
                    continue
                kind, key = pipe.recv()
                if kind == "look":
                    pipe.send(look(key))
                elif kind == "headers":
                    headers_read = True
                else:
                    return Tried(None)
        except (EOFError, OSError):
            how = self._end(process)
            return Tried(how, headers_read)

    def _ready(self) -> tuple[subprocess.Popen[bytes], Connection]:
        if self._child is not None and self._child[0].poll() is None:
            return self._child
        self.close()
        self._scene = None
        process, pipe = self._child = start_child(__name__)
        try:
            pipe.send((self._adapter, self._cpu_s, self._memory_bytes))
            if pipe.poll(_START_S) and pipe.recv() == "ready":
                return self._child
        except (EOFError, OSError):
            pass
        raise Transient(f"the child process that tries records does not start ({self._end(process)})")

    def _end(self, process: subprocess.Popen[bytes]) -> str:
        """Reap a child that has closed its pipe and say how it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_S)
        how = how_it_ended(process.returncode)
        self.close()
        return how


def shown(snapshot: Snapshot, tenant: str) -> Snapshot:
    """Return what deciding for a tenant asks of the registry, and no secret."""
    sources = {name: dataclasses.replace(view, secrets=()) for name, view in snapshot.sources.items()}
    return dataclasses.replace(
        EMPTY,
        revision=snapshot.revision,
        sources={name: view for name, view in sources.items() if view.tenant == tenant},
        schemas={key: text for key, text in snapshot.schemas.items() if key[0] == tenant},
    )


def start_child(module: str) -> tuple["subprocess.Popen[bytes]", Connection]:
    """Start a process that calls `serve` of a module with the other end of the pipe."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(  # noqa: S603 ourselves
            [sys.executable, "-c", _RUN, module, str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)},
        )
    return process, Connection(ours.detach())


def how_it_ended(exitcode: int | None) -> str:
    """Return what a child's exit code says, for people."""
    if exitcode is None:
        return "no exit code"
    if exitcode == NO_MEMORY:
        return "out of memory"
    if exitcode >= 0:
        return f"exit code {exitcode}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-exitcode).name
    return f"signal {-exitcode}"


# ---- in the child
class _Asked:
    """What is remembered, asked of the worker."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._own: dict[bytes, Seen] = {}

    def fetch(self, keys: Iterable[bytes]) -> None:
        """Ask nothing yet."""

    def look(self, key: bytes) -> Seen | None:
        """Return what is remembered under `key`."""
        if (own := self._own.get(key)) is not None:
            return own
        self._pipe.send(("look", key))
        found: Seen | None = self._pipe.recv()
        return found

    def remember(self, key: bytes, state: Seen) -> None:
        """Let the next look-ups see `state`."""
        self._own[key] = state


def serve(pipe: Connection) -> None:
    """Be the child: decide one record after the other until the pipe closes; end at once when memory runs out."""
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the worker, which closes the pipe
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    adapter, cpu_s, memory_bytes = pipe.recv()
    judge = Judge(adapter)
    place: Place
    snapshot = EMPTY
    pipe.send("ready")
    limit_memory(memory_bytes)
    try:
        while True:
            first, second = pipe.recv()
            if isinstance(first, Place):
                place, snapshot = first, second
                continue
            allow_cpu(cpu_s)
            unread(first, judge.sources.at(snapshot.sources), second, _FAULT)
            pipe.send(("headers", None))
            try:
                judge.records([first], second, place, snapshot, _Asked(pipe), now_us=0)
            except MemoryError:
                raise
            except Exception:  # noqa: BLE001, S110 the worker meets it too and quarantines the record
                pass
            pipe.send(("done", None))
    except EOFError:
        return
    except MemoryError:
        os._exit(NO_MEMORY)


def limit_memory(more: int) -> None:
    """Bound the address space at what it is now and `more` bytes; where the system cannot, the CPU bound remains."""
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, hard))


def allow_cpu(seconds: int) -> None:
    """Bound this process' CPU at what it has used and `seconds`; SIGXCPU ends it there."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + seconds, hard))
