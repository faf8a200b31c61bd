"""What one request may read, and what it had to leave out: answers say so instead of guessing.

Lives here: the bounds. They are counted over everything that the request reads from topics. Figures: README.md here.
"""

from collections.abc import Callable

MAX_RECORDS = 100_000
MAX_BYTES = 64 << 20
MAX_S = 10.0


class Budget:
    """Records, bytes and seconds of one request; `why` says what was cut, for people, `cuts` how often."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        *,
        records: int = MAX_RECORDS,
        size: int = MAX_BYTES,
        seconds: float = MAX_S,
    ) -> None:
        self._monotonic = monotonic
        self._records, self._bytes = records, size
        self._until = monotonic() + seconds
        self._limits = (records, size, seconds)
        self.why: list[str] = []
        self.cuts = 0

    def take(self, size: int) -> None:
        """Count one record of `size` bytes."""
        self._records -= 1
        self._bytes -= size

    @property
    def spent(self) -> bool:
        """Tell whether no more may be read."""
        return self._records <= 0 or self._bytes <= 0 or self._monotonic() >= self._until

    def cut(self, why: str) -> None:
        """Note something that the answer leaves out, once."""
        self.cuts += 1
        if why not in self.why:
            self.why.append(why)

    def ran_out(self, what: str) -> None:
        """Note that a bound ended the reading of `what`."""
        records, size, seconds = self._limits
        self.cut(f"{what}: one request reads {records:,} records, {size >> 20} MiB or {seconds:g} s at most")
