"""The only real clock of the project; everything else is given one (schemas.ports.Clock)."""

import time


class SystemClock:
    """Implements schemas.ports.Clock."""

    def time_ns(self) -> int:
        """Return the wall clock in ns since the epoch."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()
