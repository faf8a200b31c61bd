"""A hung event loop is noticed from outside it: a thread, and behind it a timer that needs no interpreter lock.

Lives here: how the process ends when `beat` is not called for too long: with exit code 75, or, when a call inside C
holds the lock and no Python runs at all, with faulthandler's exit code 1. Both print where every thread stands.
https://docs.python.org/3/library/faulthandler.html#faulthandler.dump_traceback_later
"""

import faulthandler
import sys
import threading
import time
from collections.abc import Callable

from streams.engine.exits import Die

_EVERY_S = 0.5
_LAST_RESORT = 1.5


class Pulse:
    """Ends the process when the loop's `beat` stays away for longer than `limit_s`."""

    def __init__(self, limit_s: float, end: Die, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s, self._end, self._clock = limit_s, end, clock
        self._beat, self._over = clock(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pulse", daemon=True)

    def start(self) -> None:
        """Begin watching."""
        self.beat()
        self._thread.start()

    def beat(self) -> None:
        """Say that the event loop runs."""
        self._beat = self._clock()
        if sys.__stderr__ is not None:
            faulthandler.dump_traceback_later(self._limit_s * _LAST_RESORT, exit=True, file=sys.__stderr__)

    def stop(self) -> None:
        """Watch no longer."""
        self._over.set()
        faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        while not self._over.wait(_EVERY_S):
            silent_s = self._clock() - self._beat
            if silent_s > self._limit_s:
                if sys.__stderr__ is not None:
                    faulthandler.dump_traceback(file=sys.__stderr__, all_threads=True)
                self._end(f"the event loop has been blocked for {silent_s:.0f} s", None)
