"""An event loop without sockets, time or threads of its own: what is ready runs when the scheduler says so.

Lives here: ready handles, timers on the simulated clock, and `run_in_executor` as an actor that the scheduler drives.
https://docs.python.org/3/library/asyncio-eventloop.html
"""

import asyncio
import contextlib
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

from tests.simulation.actors import Actor
from tests.simulation.log import Clock

MOST_STEPS = 20_000


class Stuck(Exception):
    """The event loop never comes to rest: a busy loop in the code under test."""


class Loop(asyncio.AbstractEventLoop):
    """One process' event loop; `job` is what its executor runs now, at most one thing at a time."""

    def __init__(self, clock: Clock, name: str) -> None:
        self._clock, self._name = clock, name
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = 0
        self._tasks: list[asyncio.Task[Any]] = []
        self.job: Actor | None = None
        self.stopped = False

    # ---- driven by the scheduler
    def run_ready(self) -> None:
        """Run what is ready and what is due until nothing is."""
        if self.stopped:
            return
        asyncio._set_running_loop(self)
        try:
            for _ in range(MOST_STEPS):
                now = self._clock.now
                while self._timers and self._timers[0][0] <= now:
                    self._ready.append(heapq.heappop(self._timers)[2])
                if not self._ready or self.stopped:
                    return
                handle = self._ready.popleft()
                if not handle._cancelled:
                    handle._run()
        finally:
            asyncio._set_running_loop(None)
        raise Stuck(self._name)

    def due(self) -> float | None:
        """Return when the next timer is due."""
        while self._timers and self._timers[0][2]._cancelled:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def go_job(self) -> bool:
        """Let the executor's job run to its next pause; False when there is none."""
        job = self.job
        if job is None or self.stopped:
            return False
        if not job.go():
            self.job = None
            self.run_ready()
        return True

    def stop(self) -> None:
        """Run nothing any more: the process is gone."""
        self.stopped = True
        self._ready.clear()
        self._timers.clear()
        if self.job is not None:
            self.job.kill()
            self.job = None
        for task in self._tasks:  # as if they had never been: nothing they do on the way out reaches anybody
            with contextlib.suppress(BaseException):
                task.get_coro().close()
        self._tasks.clear()

    # ---- asyncio's side
    def time(self) -> float:
        return self._clock.now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self.stopped:
            self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._clock.now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._count += 1
        if not self.stopped:
            heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> "asyncio.Task[Any]":
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        return task

    def run_in_executor(self, _executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        assert self.job is None, "one job at a time"
        future = self.create_future()

        def body() -> None:
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 the future's
                self.call_soon(future.set_exception, error)
            else:
                self.call_soon(future.set_result, result)

        self.job = Actor(f"{self._name} job", body)
        return future

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Nobody is told of tasks that a dead process leaves behind; a live one must not fail unseen."""
        if not self.stopped and "exception" in context:
            raise context["exception"]

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Asked by asyncio; cancelled timers are skipped when they are due."""
