"""How much one fetch brings: about a quarter of a second of deciding, shared by the partitions that are behind.

Lives here: the size of a round, learned from how long rounds take. A fetch goes out when the records of the one before
are handed over, so what has just come waits for two rounds at most, whatever lies before others (README.md). Sizes are
bytes as Kafka sends them, compressed; time is what counts, whatever the machine, the records and the load.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from streams.engine.chunks import pause_s

ROUND_S = 0.25
LEAST_BYTES, MOST_BYTES = 16 << 10, 16 << 20
LEAST_SHARE = 4 << 10
_SHRINK, _GROW = 0.25, 2.0


class Rounds:
    """Learns the size of a round and tells aiokafka's fetcher; `client` returns the aiokafka consumer, None = none.

    `highwater` returns the end of a partition's log as the last fetch told it, None = not known.
    """

    def __init__(
        self,
        highwater: Callable[[Any], int | None],
        client: Callable[[], Any],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._highwater, self._client, self._monotonic = highwater, client, monotonic
        self.budget, self._behind, self._began = LEAST_BYTES, 0, 0.0

    @property
    def share(self) -> int:
        """Return the bytes of one partition in a fetch."""
        return max(LEAST_SHARE, self.budget // max(1, self._behind))

    def begin(self) -> None:
        """Begin a round: its records are there."""
        self._began = self._monotonic()

    def over(self, records: Mapping[Any, Sequence[Any]], partitions: int) -> float:
        """End a round: learn from it, and return how long to wait before more is taken (s)."""
        took = self._monotonic() - self._began
        self._behind = sum(self._is_behind(found, batch[-1].offset + 1) for found, batch in records.items())
        if not self._behind:
            self.budget = LEAST_BYTES  # how well the next backlog compresses nobody knows: each begins small
        elif took > ROUND_S:
            self.budget = max(LEAST_BYTES, int(self.budget * max(_SHRINK, ROUND_S / took)))
        elif took < ROUND_S / 2:
            self.budget = min(MOST_BYTES, int(self.budget * _GROW))
        self.tell()
        return 0.0 if self._behind else pause_s(sum(map(len, records.values())), partitions)

    def tell(self) -> None:
        """Give the fetcher the size of its next request.

        Of one partition a larger record batch comes all the same. The bytes of a whole answer stay as they are: that
        batch would use them up, and those who have little would get nothing.
        """
        client = self._client()
        if client is not None:
            client._fetcher._max_partition_fetch_bytes = self.share  # noqa: SLF001 README.md

    def _is_behind(self, found: Any, following: int) -> bool:  # noqa: ANN401 aiokafka's TopicPartition
        try:
            end = self._highwater(found)
        except AssertionError:  # aiokafka's way to say that it is not assigned just now
            return False
        return end is not None and int(end) > following
