"""Answers that are held back: 2xx of sources whose policy is `queue`, after their records were stored.

One timer of the loop each, no task; bounded in number, past it an answer goes out at once; all of them go out at once
when the worker is told to end. Nothing else of a request is held: its body is on Kafka, its ticket given back.
"""

import asyncio
from collections.abc import Callable
from itertools import count

MAX_HELD = 10_000
"""Answers held in one worker; each is a timer, a connection and a few hundred bytes."""
Answer = Callable[[], None]


class Delays:
    """Holds answers; use it on one event loop. `total`: how many were held since the start."""

    def __init__(self, most: int = MAX_HELD) -> None:
        self.total = 0
        self._most = most
        self._ended = False
        self._numbers = count(1)
        self._held: dict[int, tuple[asyncio.TimerHandle, Answer]] = {}

    def __len__(self) -> int:
        """Return how many are held now."""
        return len(self._held)

    def hold(self, delay_s: float, answer: Answer) -> int:
        """Call `answer` later and return a number to let go of it by; 0: it is not held, answer now."""
        if delay_s <= 0 or self._ended or len(self._held) >= self._most:
            return 0
        number = next(self._numbers)
        timer = asyncio.get_running_loop().call_later(delay_s, self._due, number)
        self._held[number] = timer, answer
        self.total += 1
        return number

    def let_go(self, number: int) -> None:
        """Forget an answer: whoever waited for it has left."""
        held = self._held.pop(number, None)
        if held is not None:
            held[0].cancel()

    async def wait(self, delay_s: float) -> None:
        """Hold an answer in a task of its own; returns at once where it is not held."""
        due = asyncio.Event()
        number = self.hold(delay_s, due.set)
        if not number:
            return
        try:
            await due.wait()
        finally:
            self.let_go(number)

    def end(self) -> None:
        """Answer all that is held, and hold nothing from now on."""
        self._ended = True
        held, self._held = self._held, {}
        for timer, answer in held.values():
            timer.cancel()
            answer()

    def _due(self, number: int) -> None:
        held = self._held.pop(number, None)
        if held is not None:
            held[1]()
