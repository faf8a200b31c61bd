"""Blocking code that runs only when the scheduler says so: threads used as coroutines, one at a time.

Lives here: the baton. Product code that blocks (a commit, a recovery, a writer) runs in a thread, but only between two
calls of `Actor.go`, which waits until the code pauses again: at no time do two threads run, so a run repeats exactly.
"""

import threading
from collections.abc import Callable
from typing import Any


class Killed(BaseException):
    """Unwinds an actor whose process is gone; no product code catches it."""


class _Thread:
    """A thread that runs one body after another; making one costs more than a whole commit in memory."""

    def __init__(self) -> None:
        self.turn, self.back = threading.Lock(), threading.Lock()
        self.turn.acquire()
        self.back.acquire()
        self.body: Callable[[], None] | None = None
        threading.Thread(target=self._run, daemon=True, name="simulated").start()

    def _run(self) -> None:
        while True:
            self.turn.acquire()
            assert self.body is not None
            self.body()
            self.back.release()


_idle: list[_Thread] = []


class Actor:
    """One run of a blocking function; `at` says where it stands, "" before it began."""

    def __init__(self, name: str, body: Callable[[], Any]) -> None:
        self.name, self.at, self.done, self.killed = name, "", False, False
        self.result: Any = None
        self.error: BaseException | None = None
        self._body = body
        self._thread: _Thread | None = None

    def go(self) -> bool:
        """Run to the next pause or to the end; return whether there is more to run."""
        if self.done:
            return False
        if self._thread is None:
            if self.killed:
                self.done = True
                return False
            self._thread = _idle.pop() if _idle else _Thread()
            self._thread.body = self._run
        thread = self._thread
        thread.turn.release()
        thread.back.acquire()
        if self.done:
            _idle.append(thread)
        return not self.done

    def finish(self) -> None:
        """Run to the end."""
        while self.go():
            pass

    def kill(self) -> None:
        """End it where it stands, as a killed process ends."""
        self.killed = True
        self.finish()

    def pause(self, at: str) -> None:
        """Hand back to the scheduler; called by the code that runs inside. Raises `Killed` when there is no way on."""
        if self.killed:
            raise Killed
        assert self._thread is not None
        self.at = at
        self._thread.back.release()
        self._thread.turn.acquire()
        if self.killed:
            raise Killed

    def _run(self) -> None:
        try:
            self.result = self._body()
        except BaseException as error:  # noqa: BLE001 told to whoever runs it
            self.error = error
        self.done = True
