"""Watching over the process: what nobody raises. Each reason is in README.md in this folder.

Lives here: group errors, a frozen process, a dead parent, positions that stand still while records wait. Not here: a
blocked event loop (pulse.py), the count of a standstill (stall.py), what ends a transaction (transaction.py).
"""

import asyncio
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]
from mode import Service

from schemas.logs import logger
from streams.engine.pulse import Pulse
from streams.engine.stall import Stall
from streams.engine.table import Partition
from streams.engine.thread import check_group

if TYPE_CHECKING:
    from streams.engine.app import App

_log = logger(__name__)
_EVERY_S = 1.0
_LOOKS = 4
"""Looks at positions in one `stall_s`."""
_MAX_ERRORS = 10
_LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_EARLIEST: Any = OffsetSpec.earliest()  # type: ignore[no-untyped-call]


class Alive(Service):
    """Ends the process when its membership is broken, it slept past the session, its loop hangs or it lost its parent.

    `thread` returns Faust's consumer thread.
    """

    def __init__(self, app: Any, stall_s: float, thread: Callable[[], Any]) -> None:  # noqa: ANN401 either app
        self.app = app
        self._parent, self._consumer_thread = os.getppid(), thread
        self._pulse = Pulse(stall_s, app.end)
        super().__init__()

    async def on_start(self) -> None:
        """Start the thread that watches the event loop."""
        self._pulse.start()

    async def on_stop(self) -> None:
        """End it."""
        self._pulse.stop()

    @Service.task
    async def _watch(self) -> None:
        errors, beat = 0, time.monotonic()
        while not self.should_stop:
            await self.sleep(_EVERY_S)
            self._pulse.beat()
            now = time.monotonic()
            if now - beat > self.app.conf.broker_session_timeout:
                self.app.end(f"frozen for {now - beat:.0f} s, longer than the group session: a successor may run", None)
            if os.getppid() != self._parent:
                self.app.end("the parent process is gone", None)
            beat = now
            errors = await self._group_errors(errors)

    async def _group_errors(self, errors: int) -> int:
        try:
            await check_group(self._consumer_thread())
        except Exception as exc:  # noqa: BLE001 whatever the group says
            _log.exception("group_error", count=errors + 1)
            if errors + 1 >= _MAX_ERRORS:
                self.app.end("the consumer group stays broken", exc)
            return errors + 1
        return 0


class Watch(Alive):
    """Watches over the stage: it ends, too, when it stands still while records wait."""

    app: "App"

    def __init__(self, app: "App") -> None:
        super().__init__(app, app.stall_s, lambda: app.batch_consumer._thread)  # noqa: SLF001 README.md
        self._stall = Stall(app.stall_s)

    @Service.task
    async def _stalled(self) -> None:
        every_s = self.app.stall_s / _LOOKS
        while not self.should_stop:
            await self.sleep(every_s)
            if not self.app.transactions.committing and not self.app.busy():
                await self._look(every_s)

    async def _look(self, elapsed_s: float) -> None:
        """Compare committed positions with the ends of the logs, asked of Kafka by a client of its own."""
        held = self.app.batch_consumer.held
        topics = [(name, topic) for name, topic in self.app.live.items() if name not in held]
        places: dict[tuple[str, int], Partition] = {
            (name, number): (topic.topic_id, number) for name, topic in topics for number in range(topic.partitions)
        }
        stands = self.app.table.stands
        positions = {key: stands[key].next_offset if key in stands else 0 for key in places.values()}
        ends = await asyncio.to_thread(self.app.directory.offsets, places, _LATEST)
        stuck = self._stall.look(elapsed_s, positions, ends)
        if not stuck:
            return
        asked = {place: key for place, key in places.items() if key in stuck}
        firsts = await asyncio.to_thread(self.app.directory.offsets, asked, _EARLIEST)
        waiting = {place: ends[key] - max(positions[key], firsts[key]) for place, key in asked.items() if key in firsts}
        for place, records in waiting.items():
            if records <= 0:  # all of it has expired: the next record will tell the loss
                self._stall.forget(asked[place])
        named = {f"{name}:{number}": records for (name, number), records in waiting.items() if records > 0}
        if named:
            self.app.end(f"no progress for {self.app.stall_s:.0f} s or more while records wait: {named}", None)
