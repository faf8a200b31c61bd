"""How much is taken at a time: about a quarter of a second of deciding, shared by the partitions that are behind.

Lives here: the size of a round, learned from how long rounds take, whatever the machine, the records and the load. What
was fetched and does not belong to the round stays in aiokafka's buffers, and what comes for other partitions is in the
next one: it waits for one round at most, however large a producer's batch is (README.md).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from streams.engine.chunks import pause_s

ROUND_S = 0.25
START, LEAST, MOST = 1_000, 16, 50_000
"""Records of a round: the first of a backlog, for nobody knows yet what its records cost, and the bounds."""
LEAST_SHARE = 4
BUFFERED_BYTES = 64 << 20
"""Fetched beforehand for all partitions that are behind, as Kafka sends it: compressed, a record batch at least."""
_LEAST_FETCH, _MOST_FETCH = 64 << 10, 1 << 20
_SHRINK, _GROW = 0.25, 2.0


class Rounds:
    """Learns the size of a round, and tells aiokafka's fetcher how much to buffer; `client` returns its consumer.

    `highwater` returns the end of a partition's log as the last fetch told it, None = not known.
    """

    def __init__(
        self,
        highwater: Callable[[Any], int | None],
        client: Callable[[], Any],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._highwater, self._client, self._monotonic = highwater, client, monotonic
        self.budget, self._behind, self._began = START, 0, 0.0

    @property
    def share(self) -> int:
        """Return the records of one partition in a round."""
        return max(LEAST_SHARE, self.budget // max(1, self._behind))

    def begin(self) -> None:
        """Begin a round: its records are there."""
        self._began = self._monotonic()

    def over(self, records: Mapping[Any, Sequence[Any]], partitions: int) -> float:
        """End a round: learn from it, and return how long to wait before more is taken (s)."""
        took = self._monotonic() - self._began
        self._behind = sum(self._is_behind(found, batch[-1].offset + 1) for found, batch in records.items())
        if not self._behind:
            self.budget = START
        elif took > ROUND_S:
            self.budget = max(LEAST, int(self.budget * max(_SHRINK, ROUND_S / took)))
        elif took < ROUND_S / 2:
            self.budget = min(MOST, int(self.budget * _GROW))
        self.tell()
        return 0.0 if self._behind else pause_s(sum(map(len, records.values())), partitions)

    def tell(self) -> None:
        """Give the fetcher the bytes of one partition in its next request.

        A larger record batch comes all the same. The bytes of a whole answer stay as they are: that batch would use
        them up, and those who have little would get nothing.
        """
        client = self._client()
        if client is not None:
            share = min(_MOST_FETCH, max(_LEAST_FETCH, BUFFERED_BYTES // max(1, self._behind)))
            client._fetcher._max_partition_fetch_bytes = share  # noqa: SLF001 README.md

    def _is_behind(self, found: Any, following: int) -> bool:  # noqa: ANN401 aiokafka's TopicPartition
        try:
            end = self._highwater(found)
        except AssertionError:  # aiokafka's way to say that it is not assigned just now
            return False
        return end is not None and int(end) > following
