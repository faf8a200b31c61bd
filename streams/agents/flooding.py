"""Floods become alerts in the registry, and are closed there when a source is well again (spec sections 5 and 10).

Lives here: what ledgers tell of it, when the registry is asked, and that counting goes on while it is away. Not here:
what a flood is (streams/floods.py).
"""

import asyncio
from collections.abc import Callable

from schemas.definitions.alert import AlertKind
from schemas.definitions.view import Snapshot
from schemas.logs import logger
from schemas.ports import AlertBook
from schemas.reasons import Outcome
from schemas.wire.ledger import Ledger
from streams.floods import Floods, Turn

UPDATE_S = 30.0
"""An open alert's figures are brought up to date no more often."""
_FLOOD = AlertKind.QUARANTINE
_CLEAN, _FAILED = Outcome.CLEAN.value, Outcome.QUARANTINED.value
_log = logger(__name__)


class Flooding:
    """`note` is told what is decided, `step` is called about once a second; both on one event loop."""

    def __init__(
        self,
        floods: Floods,
        book: AlertBook,
        snapshot: Callable[[], Snapshot],
        monotonic: Callable[[], float],
    ) -> None:
        self._floods, self._book = floods, book
        self._snapshot, self._monotonic = snapshot, monotonic
        self._known = False
        self._told: dict[str, float] = {}

    def note(self, record: Ledger) -> None:
        """Take what became of records: clean and quarantined ones, and one of the latter as a sample."""
        failures: dict[str, tuple[int, int]] = {}
        for count in record.counts:
            clean, failed = failures.get(count.source_id, (0, 0))
            if count.outcome == _CLEAN:
                failures[count.source_id] = clean + count.n, failed
            elif count.outcome == _FAILED:
                failures[count.source_id] = clean, failed + count.n
        self._floods.note(failures)
        wanted = {source_id for source_id, (_clean, failed) in failures.items() if failed}
        for other in reversed(record.others) if wanted else ():
            if other.outcome == _FAILED and other.source_id in wanted:
                wanted.discard(other.source_id)
                self._floods.sample(
                    other.source_id,
                    {"topic": record.topic, "partition": record.partition, "offset": other.offset,
                     "item": other.item, "eventId": other.event_id, "reason": other.reason},
                )  # fmt: skip
            if not wanted:
                break

    async def step(self) -> None:
        """Tell what has turned since; what the registry does not take is tried again with the next step."""
        snapshot = self._snapshot()
        if snapshot.revision < 0:
            return
        turns: list[Turn] = []
        try:
            if not self._known:
                await self._learn()
            turns += self._floods.turns(snapshot.sources)
            while turns:
                await self._tell(turns[0])
                turns.pop(0)
        except Exception as error:  # noqa: BLE001 the data plane outlives the control plane
            _log.warning("alerts_not_stored", error=str(error)[:300])
            for turn in turns:
                self._floods.again(turn.source_id)

    async def _learn(self) -> None:
        """Take over what the process before this one left open."""
        found = await asyncio.to_thread(self._book.opened, _FLOOD)
        self._floods.open.update(alert.entity_id for alert in found)
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
