"""N workers on one inherited socket: started, started again when they die, replaced without losing a request.

One listening socket for all, never SO_REUSEPORT: a closing socket's queue would lose requests at each restart
(measured: README). SIGHUP replaces the workers one by one, the successor first; SIGTERM drains all. A worker knows its
supervisor by one end of a socket pair: it writes a byte there when it is ready, and drains when the other end is gone.
"""

import asyncio
import contextlib
import os
import resource
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from schemas.errors import EXIT_CONFIGURATION
from schemas.logs import logger

BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_STEADY_S = 10.0
_log = logger("ingress")
Command = Callable[[int, int], Sequence[str]]
"""(descriptor of the listening socket, descriptor of the control channel) -> what to execute."""


def bind(host: str, port: int, *, backlog: int = 1024) -> socket.socket:
    """Bind and listen once for all workers; port 0 takes a free one. Raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def raise_descriptors() -> int:
    """Raise this process' soft limit of open files to the hard one, which workers inherit; return it.

    Each connection takes a descriptor; many systems start processes with 1,024.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # no hard limit, and a lower one of the kernel's
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def inherited(descriptor: int) -> socket.socket:
    """Return the listening socket that the supervisor bound, by its descriptor."""
    sock = socket.socket(fileno=descriptor)
    sock.setblocking(False)
    return sock


class Control:
    """A worker's end of the channel to its supervisor; `descriptor` is what the supervisor passed."""

    def __init__(self, descriptor: int) -> None:
        self._sock = socket.socket(fileno=descriptor)
        self._sock.setblocking(False)

    def ready(self) -> None:
        """Tell the supervisor that this worker takes requests."""
        with contextlib.suppress(OSError):
            self._sock.send(b"1")

    def watch(self, loop: asyncio.AbstractEventLoop, gone: Callable[[], None]) -> None:
        """Call `gone` once the supervisor has ended, so that no worker outlives it."""

        def readable() -> None:
            with contextlib.suppress(BlockingIOError):
                if self._sock.recv(16) == b"":
                    loop.remove_reader(self._sock)
                    gone()

        loop.add_reader(self._sock, readable)


@dataclass(slots=True)
class _Worker:
    process: asyncio.subprocess.Process
    channel: socket.socket
    started: float


class Workers:
    """The supervisor of `count` workers; `run` returns the exit code of the whole.

    `beside`: further sockets that each worker inherits, under the descriptors that they have here.
    """

    def __init__(
        self,
        command: Command,
        count: int,
        sock: socket.socket,
        *,
        beside: Sequence[socket.socket] = (),
        ready_limit_s: float = 30.0,
    ) -> None:
        self._command = command
        self._count = count
        self._sock = sock
        self._beside = tuple(each.fileno() for each in beside)
        self._ready_limit_s = ready_limit_s
        self._slots: dict[int, _Worker] = {}
        self._stopping = asyncio.Event()
        self._rolling = asyncio.Lock()
        self._failed = 0

    @property
    def pids(self) -> list[int]:
        """Return the workers' process ids."""
        return [worker.process.pid for worker in self._slots.values()]

    def stop(self) -> None:
        """Drain all workers and end."""
        self._stopping.set()

    async def run(self) -> int:
        """Keep the workers running until SIGTERM or SIGINT; 78 when a worker cannot be configured, else 0."""
        loop = asyncio.get_running_loop()
        rolls: set[asyncio.Task[None]] = set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

        def hangup() -> None:
            task = loop.create_task(self.roll())
            rolls.add(task)
            task.add_done_callback(rolls.discard)

        loop.add_signal_handler(signal.SIGHUP, hangup)
        keepers = [asyncio.create_task(self._keep(slot), name=f"worker-{slot}") for slot in range(self._count)]
        await self._stopping.wait()
        for task in rolls:
            task.cancel()
        for worker in self._slots.values():
            _terminate(worker)
        await asyncio.gather(*keepers, *rolls, return_exceptions=True)
        return self._failed

    async def roll(self) -> None:
        """Replace every worker, one at a time: the successor is ready before the old one is told to drain."""
        async with self._rolling:
            for slot in list(self._slots):
                if self._stopping.is_set():
                    return
                successor = await self._start()
                if successor is None:
                    _log.error("worker_successor_failed", slot=slot)
                    return
                old, self._slots[slot] = self._slots[slot], successor  # it may have died and been replaced meanwhile
                _terminate(old, signal.SIGINT)  # at once: the socket stays, so nobody has to be given notice
                _log.info("worker_replaced", slot=slot, pid=successor.process.pid)

    async def _keep(self, slot: int) -> None:
        failures = 0
        while not self._stopping.is_set():
            worker = await self._start()
            if worker is None:
                failures += 1
            else:
                self._settle(slot, worker)
                if self._stopping.is_set():  # told to stop while it was starting: nobody else tells this one
                    _terminate(worker)
                failures = 0 if await self._watch(slot) else failures + 1
            if not self._stopping.is_set():
                await self._pause(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])

    def _settle(self, slot: int, worker: _Worker) -> None:
        """Put a worker that was started for a dead one into its slot, unless a roll has filled it meanwhile."""
        present = self._slots.get(slot)
        if present is None or present.process.returncode is not None:
            self._slots[slot] = worker
            return
        worker.channel.close()  # by which it drains and ends; kept, nobody would watch or replace it
        _terminate(worker)

    async def _watch(self, slot: int) -> bool:
        """Wait until the worker in a slot, whichever it is by then, has died; True if it had run steadily."""
        while True:
            worker = self._slots[slot]
            code = await worker.process.wait()
            worker.channel.close()
            if self._slots[slot] is not worker:
                continue
            ran_s = asyncio.get_running_loop().time() - worker.started
            if not self._stopping.is_set():
                _log.error("worker_died", slot=slot, code=code, after_s=round(ran_s, 1))
            self._judge(code)
            return ran_s >= _STEADY_S

    async def _start(self) -> _Worker | None:
        """Start a worker and wait until it is ready; None when it ended or did not become ready in time."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            descriptors = (self._sock.fileno(), theirs.fileno())
            process = await asyncio.create_subprocess_exec(
                *self._command(*descriptors), pass_fds=(*descriptors, *self._beside)
            )
        worker = _Worker(process, ours, loop.time())
        try:
            async with asyncio.timeout(self._ready_limit_s):
                if await loop.sock_recv(ours, 1) == b"1":
                    return worker
                await process.wait()  # it is ending: its own exit code says why, ours would hide it
        except TimeoutError:
            _log.error("worker_not_ready", pid=process.pid, after_s=self._ready_limit_s)
        except asyncio.CancelledError:
            _terminate(worker)
            raise
        _terminate(worker)
        self._judge(await process.wait())
        ours.close()
        return None

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _judge(self, code: int) -> None:
        if code == EXIT_CONFIGURATION:
            self._failed = code
            self._stopping.set()


def _terminate(worker: _Worker, number: signal.Signals = signal.SIGTERM) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker.process.pid, number)
