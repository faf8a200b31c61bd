"""A publisher that keeps records in memory, or fails the way it is told."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from schemas.ports import Done, Stored
from schemas.wire.raw import Header, RawMeta, decode


@dataclass(frozen=True, slots=True)
class Kept:
    """One record as published."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    headers: list[Header]
    offset: int

    @property
    def meta(self) -> RawMeta:
        return decode(self.headers)


class MemoryPublisher:
    """Implements ingress.publish.DoorPublisher. `fault`: raised instead of storing; `gate`: awaited before storing."""

    def __init__(self, *, keep: bool = True) -> None:
        self.failed = asyncio.Event()
        self.records: list[Kept] = []
        self.fault: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.offset_given: int | None = None
        self.away: str | None = None
        self.skew_s: float | None = None
        self.on_publish: Callable[[], None] | None = None
        self._keep = keep
        self._publishing: set[asyncio.Task[Stored]] = set()
        self._next: dict[tuple[str, int], int] = {}

    def start(self) -> None:
        """Nothing to begin."""

    def problem(self) -> str | None:
        return self.away

    def clock_skew_s(self) -> float | None:
        return self.skew_s

    async def publish(
        self, topic: str, partition: int, key: bytes, value: bytes | bytearray, headers: list[Header]
    ) -> Stored:
        if self.on_publish is not None:
            self.on_publish()
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        if self.offset_given is not None:
            return Stored(partition, self.offset_given)
        offset = self._next.get((topic, partition), 0)
        self._next[topic, partition] = offset + 1
        if self._keep:
            self.records.append(Kept(topic, partition, key, bytes(value), headers, offset))
        return Stored(partition, offset)

    def send(
        self, topic: str, partition: int, key: bytes, value: bytes | bytearray, headers: list[Header], done: Done
    ) -> None:
        publishing = asyncio.ensure_future(self.publish(topic, partition, key, value, headers))
        self._publishing.add(publishing)

        def told(task: asyncio.Task[Stored]) -> None:
            self._publishing.discard(task)
            if not task.cancelled():
                fault = task.exception()
                done(task.result() if not isinstance(fault, Exception) else fault)

        publishing.add_done_callback(told)

    async def drain(self, limit_s: float) -> int:  # noqa: ARG002 the port's signature
        return 0
