"""How many tables of a process build and write at a time.

Lives here: the bound. It keeps memory and cores for a few batches, and yet nobody can hold it for ever: a batch that
takes longer than a while (a storage that hangs) is no longer counted, up to a larger bound.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LOOK_S = 0.5


class Slots:
    """At most `count` batches at once, not counting those older than `patience_s`; `most` with those. Thread-safe."""

    def __init__(self, count: int, *, patience_s: float, most: int, monotonic: Callable[[], float]) -> None:
        self._count, self._patience_s, self._most, self._monotonic = count, patience_s, most, monotonic
        self._since: dict[object, float] = {}
        self._change = threading.Condition()

    @contextmanager
    def take(self, check: Callable[[], None]) -> Iterator[None]:
        """Hold a slot; waits for one, and calls `check` meanwhile, which may raise to give up."""
        mine = object()
        with self._change:
            while not self._free():
                self._change.wait(_LOOK_S)
                check()
            self._since[mine] = self._monotonic()
        try:
            yield
        finally:
            with self._change:
                del self._since[mine]
                self._change.notify()

    def _free(self) -> bool:
        young = self._monotonic() - self._patience_s
        return len(self._since) < self._most and sum(since > young for since in self._since.values()) < self._count
