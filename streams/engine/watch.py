"""Watching over the process: group errors that nobody raises, a process that was frozen, a parent that is gone.

Lives here: one task. Not here: what ends a transaction (transaction.py). Why each is needed: README.md in this folder.
"""

import os
import time
from typing import TYPE_CHECKING

from mode import Service

from schemas.logs import logger

if TYPE_CHECKING:
    from streams.engine.app import App

_log = logger(__name__)
_EVERY_S = 1.0
_MAX_ERRORS = 10


class Watch(Service):
    """Ends the process when its group membership is broken, it slept past the session, or its parent has died."""

    def __init__(self, app: "App") -> None:
        self.app = app
        self._parent = os.getppid()
        super().__init__()

    @Service.task
    async def _watch(self) -> None:
        errors, beat = 0, time.monotonic()
        while not self.should_stop:
            await self.sleep(_EVERY_S)
            now = time.monotonic()
            if now - beat > self.app.conf.broker_session_timeout:
                self.app.end(f"frozen for {now - beat:.0f} s, longer than the group session: a successor may run", None)
            if os.getppid() != self._parent:
                self.app.end("the parent process is gone", None)
            beat = now
            errors = await self._group_errors(errors)

    async def _group_errors(self, errors: int) -> int:
        thread = self.app.batch_consumer._thread  # noqa: SLF001 README.md
        client = thread._consumer  # noqa: SLF001
        if client is None or client._coordinator is None:  # noqa: SLF001
            return 0

        async def check() -> None:
            client._coordinator.check_errors()  # noqa: SLF001

        try:
            await thread.call_thread(check)
        except Exception as exc:  # noqa: BLE001 whatever the group says
            _log.exception("group_error", count=errors + 1)
            if errors + 1 >= _MAX_ERRORS:
                self.app.end("the consumer group stays broken", exc)
            return errors + 1
        return 0
