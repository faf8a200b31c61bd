"""When a delivery is tried again. Pure.

Lives here: the waits of `HOOKBERG_NOTIFY_RETRY_S`, lengthened by a bounded chance so that deliveries that failed
together do not come back together, and by what the receiver asked for (Retry-After, RFC 9110 section 10.2.3).
"""

from dataclasses import dataclass

from schemas.settings.notify import DeliverySettings, schedule

MAX_ASKED_S = 86_400.0
"""The longest that a receiver's Retry-After is waited for."""
GRACE_S = 86_400.0
"""What waits behind an open circuit is given up when it waits so much longer than all retries last."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Waits before each retry, in seconds; `jitter`: the share by which one is lengthened at most."""

    waits: tuple[int, ...]
    jitter: float = 0.0

    @classmethod
    def of(cls, given: DeliverySettings) -> "Schedule":
        """Read the settings."""
        return cls(schedule(given.notify_retry_s), given.notify_retry_jitter)

    @property
    def patience_s(self) -> float:
        """Return how long a delivery may be due before it is given up untried."""
        return sum(self.waits) * (1 + self.jitter) + GRACE_S

    def wait_s(self, tries: int, chance: float, asked_s: float | None = None) -> float | None:
        """Return the wait after so many tries (1..), None = that was the last one.

        `chance` 0..1; never shorter than what the receiver asked for, which counts up to `MAX_ASKED_S`.
        """
        if tries > len(self.waits):
            return None
        wait = self.waits[tries - 1] * (1 + self.jitter * chance)
        return wait if asked_s is None else max(wait, min(asked_s, MAX_ASKED_S))
