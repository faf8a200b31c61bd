"""Run a blocking function without holding up the end of the process.

Lives here: one bridge to a daemon thread. The loop's own executor will not do: asyncio.run() waits for its threads
(https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.shutdown_default_executor), so a ctrl-C during a
download would wait for the download.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def in_daemon_thread(function: Callable[[], T]) -> T:
    """Return what `function` returns or raise what it raises; when cancelled, leave it behind."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # a T whenever there is no error

    def run() -> None:
        result, failed = None, None
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001  # handed to the waiting task
            failed = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=run, daemon=True, name=f"local {getattr(function, '__name__', 'step')}").start()
    return await future
