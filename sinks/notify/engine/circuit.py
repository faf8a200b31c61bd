"""The circuit of a lane: an endpoint that fails in a row is called seldom, one probe at a time. Pure.

Lives here: counting failures and when the next call may be. What waits meanwhile uses up none of its retries.
https://learn.microsoft.com/azure/architecture/patterns/circuit-breaker
"""

from dataclasses import dataclass

LONGEST_MS = 300_000
"""Between two probes."""


@dataclass(slots=True)
class Circuit:
    """Open after `most` failures in a row; times in ms. The first wait is `first_ms`, then doubled up to 5 minutes."""

    most: int
    first_ms: int
    failures: int = 0
    probe_at_ms: int = 0

    @property
    def open(self) -> bool:
        """Tell whether calls are held back."""
        return self.failures >= self.most

    def failed(self, now_ms: int) -> None:
        """Count a failure."""
        self.failures += 1
        if self.open:
            doublings = min(self.failures - self.most, 32)
            self.probe_at_ms = now_ms + min(self.first_ms * 2**doublings, max(LONGEST_MS, self.first_ms))

    def succeeded(self) -> None:
        """Close."""
        self.failures, self.probe_at_ms = 0, 0

    def nudge(self) -> None:
        """Let the next probe be now: somebody asked for it."""
        self.probe_at_ms = 0
