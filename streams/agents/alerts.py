"""Floods become alerts in the registry, and are closed there when a source is well again (spec sections 5 and 10).

Lives here: when the registry is asked, and that the stage goes on while it is away. Not here: what a flood is
(streams/floods.py).
"""

import asyncio
from collections.abc import Callable

from schemas.definitions.alert import AlertKind
from schemas.definitions.view import Snapshot
from schemas.logs import logger
from schemas.ports import AlertBook
from streams.floods import Floods, Turn

UPDATE_S = 30.0
"""An open alert's figures are brought up to date no more often."""
_FLOOD = AlertKind.QUARANTINE
_log = logger(__name__)


class Alerts:
    """Tells the floods of one group; `step` is called about once a second."""

    def __init__(
        self,
        group: str,
        floods: Floods,
        book: AlertBook,
        snapshot: Callable[[], Snapshot],
        monotonic: Callable[[], float],
    ) -> None:
        self._group, self._floods, self._book = group, floods, book
        self._snapshot, self._monotonic = snapshot, monotonic
        self._known = False
        self._told: dict[str, float] = {}

    async def step(self) -> None:
        """Tell what has turned since; what the registry does not take is tried again with the next step."""
        snapshot = self._snapshot()
        if snapshot.revision < 0:
            return
        turns: list[Turn] = []
        try:
            if not self._known:
                await self._learn(snapshot)
            turns += self._floods.turns(snapshot.sources)
            while turns:
                await self._tell(turns[0])
                turns.pop(0)
        except Exception as error:  # noqa: BLE001 the data plane outlives the control plane
            _log.warning("alerts_not_stored", error=str(error)[:300])
            for turn in turns:
                self._floods.again(turn.source_id)

    async def _learn(self, snapshot: Snapshot) -> None:
        """Take over what the process before this one left open: of this group's sources, and of none."""
        found = await asyncio.to_thread(self._book.opened, _FLOOD)
        for alert in found:
            source = snapshot.sources.get(alert.entity_id)
            topic = None if source is None else snapshot.topics.get(source.topic)
            if source is None or (topic is not None and topic.group == self._group):
                self._floods.open.add(alert.entity_id)
        self._known = True

    async def _tell(self, turn: Turn) -> None:
        entity, now, begins = ("source", turn.source_id), self._monotonic(), turn.source_id not in self._floods.open
        if not turn.open:
            await asyncio.to_thread(self._book.close, _FLOOD, entity)
            self._floods.open.discard(turn.source_id)
            _log.info("flood_over", source=turn.source_id)
        elif begins or now >= self._told.get(turn.source_id, now) + UPDATE_S:
            await asyncio.to_thread(self._book.open, turn.tenant, _FLOOD, entity, turn.message, turn.details)
            if begins:
                _log.warning("flood", source=turn.source_id, message=turn.message)
            self._floods.open.add(turn.source_id)
            self._told[turn.source_id] = now
