"""How much a shedding source may still lose: one worker's part of its loss budget.

The budget is a share (`loss_ratio`) of the deliveries of a window. Each worker may lose that share of what it has taken
itself since the window began, and no more: the parts of all workers, hosts and restarts add up to at most the whole,
and nobody has to be asked. Windows begin at whole multiples of their length since the epoch, for everybody alike.
"""

import threading

from schemas.definitions.overload import Shed


class LossBudget:
    """One source's budget in one worker. `taken` in all methods: its deliveries answered 2xx since the worker began.

    Thread-safe: large bodies are looked into beside the loop.
    """

    def __init__(self, shed: Shed, taken: int, now_s: float) -> None:
        self.shed = shed
        self._lock = threading.Lock()
        self._window = int(now_s // shed.window_seconds)
        self._taken_before = taken
        self._lost = 0

    def roll(self, taken: int, now_s: float) -> None:
        """Begin a new window if it is time; called once a second, so that no window counts deliveries of another."""
        window = int(now_s // self.shed.window_seconds)
        if window != self._window:
            self._window, self._taken_before, self._lost = window, taken, 0

    def take(self, taken: int, now_s: float) -> bool:
        """Take one delivery and return True; False when the budget is spent. What was taken is never given back."""
        with self._lock:
            self.roll(taken, now_s)
            if self._lost + 1 > self.shed.loss_ratio * (taken - self._taken_before):
                return False
            self._lost += 1
            return True
