"""A clock that stands still until it is moved."""


class ManualClock:
    """Implements schemas.ports.Clock; `at_s` is the wall clock in epoch seconds."""

    def __init__(self, at_s: float = 1_700_000_000.0) -> None:
        self.at_s = at_s

    def time_ns(self) -> int:
        return int(self.at_s * 1_000_000_000)

    def monotonic(self) -> float:
        return self.at_s

    def advance(self, seconds: float) -> None:
        self.at_s += seconds
