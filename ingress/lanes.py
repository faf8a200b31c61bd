"""What one partition has on its way: records that the Kafka client has, and those that wait here for them.

Lives here: how many of a partition's records the client is given at a time. librdkafka sends nothing more of a
partition while five of its records are unreported, and until then asks without a pause whether it may: beside a broker
that was slow each worker lost a whole core to that (README). So while reports are late what cannot be sent waits here,
and goes together when they come. Large records go one by one: five of 20 MB at a time held a broker up for all others,
and the client copies what it is given. Not here: clients and what a report means (publish.py).
https://docs.confluent.io/platform/current/clients/librdkafka/html/md_INTRODUCTION.html
"""

from collections import deque

import msgspec

from schemas.logs import logger
from schemas.ports import Done, Stored
from schemas.wire.raw import Header

MOST = 5
"""Unreported records of a partition past which an idempotent client sends no more of it."""
MOST_LARGE = 1
SLOW_S = 0.02
"""How old the oldest of them is when reports are late. Before that the client gathers the next batch itself: what is
handed over with a report waits for linger.ms once more."""
_log = logger("ingress")


class Sent(msgspec.Struct):
    """One record on its way; `done` None: told. What it holds is let go once the client has it, or it is too late."""

    sequence: int
    deadline: float
    key: bytes
    value: bytes | bytearray
    headers: list[Header]
    done: Done | None

    def settle(self, result: Stored | Exception) -> None:
        """Tell what became of it, once; whoever is told cannot end the polling, which is all others'."""
        done, self.done = self.done, None
        self.value = b""
        if done is None:
            return
        try:
            done(result)
        except Exception:  # noqa: BLE001 a bug of one request
            _log.exception("report_not_taken")


class Lane:
    """One partition's small records, or its large ones: what is slow for one is not for the other.

    `given`: when each record that the client has was sent, by its sequence, the oldest first; `held`: those that wait.
    Nothing waits unless the client has something, whose report lets it go on.
    """

    __slots__ = ("given", "held", "large", "partition", "topic")

    def __init__(self, topic: str, partition: int, *, large: bool) -> None:
        self.topic = topic
        self.partition = partition
        self.large = large
        self.given: dict[int, float] = {}
        self.held: deque[Sent] = deque()

    def age_s(self, now: float) -> float:
        """Return how long ago the oldest unreported record was handed over, by the loop's time."""
        return now - next(iter(self.given.values()), now)

    def takes(self, now: float) -> bool:
        """Tell whether the client may be given one more record."""
        given = len(self.given)
        if self.large:
            return given < MOST_LARGE
        return given < MOST or self.age_s(now) < SLOW_S
