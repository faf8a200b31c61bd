"""Processes of Hookberg as the harness runs them: started, started again when they end, and ended by pid.

Lives here: one process (`Worker`) and the thread that starts dead ones again (`Keeper`). Not here: settings (stack.py).
"""

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.system.client import eventually, request

TOP = Path(__file__).resolve().parents[2]
ENTRY, BROKEN = "tests.faults.entry", "tests.faults.broken"
READY_S = 180.0
END_S = 20.0
_EVERY_S = 0.1


class Worker:
    """One process; `port` answers `/readyz`. Its output goes to a file, `ended` counts its ends by exit code."""

    def __init__(self, name: str, env: Mapping[str, str], port: int, log: Path, *, module: str = ENTRY) -> None:
        self.name, self.port, self.log = name, port, log
        self.env, self._module = dict(env), module
        self.process: subprocess.Popen[bytes] | None = None
        self.ended: list[int] = []
        self.wanted = True

    def start(self) -> None:
        """Start it."""
        command = [sys.executable, "-m", self._module, self.name]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                command, env=self.env, cwd=TOP, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """Return its pid."""
        assert self.process is not None
        return self.process.pid

    def ready(self) -> bool:
        """Tell whether it answers that it is ready."""
        try:
            return request(f"http://127.0.0.1:{self.port}", "GET", "/readyz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def await_ready(self) -> None:
        """Wait until it is ready."""
        eventually(f"{self.name} on port {self.port} is ready", self.ready, READY_S)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the running process."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL and reap it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(END_S)

    def end(self) -> int:
        """Ask it to drain; return its exit code (SIGKILL after a while)."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        try:
            return self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(END_S)

    def tail(self, lines: int = 40) -> str:
        """Return the end of its output."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])


class Keeper:
    """Starts workers again when they end, as any supervisor does; those held back or put aside are left alone."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self.workers: dict[str, Worker] = {}
        self.aside: list[Worker] = []
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        for worker in [*self.aside, *self.workers.values()]:
            if worker.process is not None:
                worker.end()

    def put(self, worker: Worker) -> None:
        """Start a worker and keep it alive under its name; the one before is put aside, as it is."""
        with self._lock:
            before = self.workers.get(worker.name)
            if before is not None:
                before.wanted = False
                self.aside.append(before)
            worker.start()
            self.workers[worker.name] = worker

    def kill(self, name: str, *, hold: bool = False) -> Worker:
        """Send SIGKILL; unless `hold`, it is started again at once."""
        with self._lock:
            worker = self.workers[name]
            worker.wanted = not hold
            worker.kill()
            return worker

    def resume(self, name: str) -> None:
        """Let a worker that was held run again."""
        with self._lock:
            self.workers[name].wanted = True

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            with self._lock:
                for worker in self.workers.values():
                    if worker.wanted and worker.process is not None and worker.process.poll() is not None:
                        worker.ended.append(worker.process.returncode)
                        worker.start()


def elapsed(since: float) -> float:
    """Return the seconds since a monotonic moment."""
    return time.monotonic() - since
