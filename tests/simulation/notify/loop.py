"""An event loop on simulated time: when nothing is ready, the clock jumps to the next timer.

Lives here: the loop and the clock that everything shares. https://docs.python.org/3/library/asyncio-eventloop.html
"""

import asyncio
import selectors
from collections.abc import Mapping

EPOCH_S = 1_700_000_000.0


class _Still(selectors.BaseSelector):
    """Selects nothing; waiting is moving the clock."""

    def __init__(self, clock: "Clock") -> None:
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen: every task waits")
        self._clock.now += max(timeout, 0.0)
        return []

    def register(self, fileobj: object, events: int, data: object = None) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, events, data)  # type: ignore[arg-type]

    def unregister(self, fileobj: object) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, 0, None)  # type: ignore[arg-type]

    def get_map(self) -> Mapping[object, selectors.SelectorKey]:  # type: ignore[override]
        return {}


class Clock:
    """Implements schemas.ports.Clock."""

    def __init__(self) -> None:
        self.now = 0.0

    def time_ns(self) -> int:
        return int((EPOCH_S + self.now) * 1e9)

    def monotonic(self) -> float:
        return self.now


class Loop(asyncio.SelectorEventLoop):
    """asyncio's own loop, on that clock."""

    def __init__(self, clock: Clock) -> None:
        self._still = clock
        super().__init__(_Still(clock))

    def time(self) -> float:
        return self._still.now
