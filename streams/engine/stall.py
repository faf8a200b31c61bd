"""Whether a stage stands still while records wait for it. Pure: offsets and seconds come in.

Lives here: the count. Not here: asking Kafka and ending the process (watch.py).
"""

from collections.abc import Mapping
from typing import NamedTuple

from streams.engine.table import Partition

ALONE = 10
"""A partition may wait so many times longer while others move: turns in a backlog of a thousand partitions are long."""


class _Waiting(NamedTuple):
    position: int
    since_s: float


class Stall:
    """Counts how long committed positions have not moved although the log goes further.

    Only time that is handed to `look` counts: what the stage cannot help (a commit in flight, a trial, Kafka away) is
    left out by not looking.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._now_s = 0.0
        self._moved_s = 0.0
        self._positions: dict[Partition, int] = {}
        self._waiting: dict[Partition, _Waiting] = {}

    def look(
        self, elapsed_s: float, positions: Mapping[Partition, int], ends: Mapping[Partition, int]
    ) -> list[Partition]:
        """Return the partitions that are stuck: all that wait when none has moved for the limit, else one by one.

        `positions` are the committed ones of the partitions that should move, `ends` the next offsets of their logs.
        """
        self._now_s += elapsed_s
        behind = {partition for partition, end in ends.items() if end > positions.get(partition, end)}
        waiting = {}
        for partition in behind:
            before = self._waiting.get(partition)
            same = before is not None and before.position == positions[partition]
            waiting[partition] = before if same and before else _Waiting(positions[partition], self._now_s)
        if any(self._positions.get(partition) != at for partition, at in positions.items()) or not behind:
            self._moved_s = self._now_s
        self._waiting, self._positions = waiting, dict(positions)
        limit_s = self._limit_s if self._now_s - self._moved_s > self._limit_s else ALONE * self._limit_s
        return [partition for partition, one in waiting.items() if self._now_s - one.since_s > limit_s]

    def forget(self, partition: Partition) -> None:
        """Begin anew for a partition: what it waits for is not there any more."""
        self._waiting.pop(partition, None)
