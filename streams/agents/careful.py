"""Deciding with care: what is in hand is written down, and suspect records are tried in a child first (rule 13).

Lives here: the worker's side of it, between the agent and hand, poison and trial. Not here: deciding (ingest.py).
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from schemas.definitions.view import Snapshot
from schemas.logs import logger
from schemas.reasons import Reason
from schemas.wire.raw import RawRecord
from streams.engine.agent import Batch
from streams.engine.table import Partition, Stand
from streams.hand import Hand
from streams.parse import Delivery, Fault, unread
from streams.poison import Suspect, note
from streams.sources import Sources
from streams.trial import Look, Trial, Tried

_CONDEMNED = Tried("three starts though its trial lived", headers_read=False)
_log = logger(__name__)


class Careful:
    """Knows the suspects of this start; `trying` tells that a trial runs, so nothing is stuck."""

    def __init__(self, folder: Path, trial: Trial) -> None:
        self._folder, self._trial = folder, trial
        self._hand = Hand(folder / "in_hand")
        self._suspects: dict[Partition, Suspect] = {}
        self.trying = False

    def begin(self, stands: Mapping[Partition, Stand]) -> None:
        """Count this start; `stands` is where each raw partition stands. Once, after recovery. Blocks."""
        positions = {partition: stand.next_offset for partition, stand in stands.items()}
        self._suspects = note(self._folder / "starts.json", self._hand.left, positions)
        self._hand.drop()

    def take(self, batch: Batch, first: int, last: int) -> None:
        """Say that offsets `first` to `last` of a batch are being decided."""
        self._hand.take(batch.partition, first, last + 1)

    def drop(self) -> None:
        """Say that nothing is being decided."""
        self._hand.drop()

    def suspects(self, batch: Batch) -> bool:
        """Tell whether a record of the batch must be tried first."""
        suspect = self._suspects.get(batch.partition) if self._suspects else None
        return suspect is not None and any(suspect.covers(record.offset) for record in batch.records)

    async def tried(self, batch: Batch, record: RawRecord, time_ms: int, snapshot: Snapshot, look: Look) -> Tried:
        """Return how the trial of a record ended; one that is not suspect is not tried."""
        suspect = self._suspects.get(batch.partition)
        if suspect is None or not suspect.covers(record.offset):
            return Tried(None)
        if suspect.condemns(record.offset):
            return _CONDEMNED
        self.trying = True
        try:
            return await asyncio.to_thread(self._trial.decide, record, time_ms, batch.place, snapshot, look)
        finally:
            self.trying = False

    def close(self) -> None:
        """End the child, if there is one."""
        self._trial.close()
        self._hand.close()


def poison(record: RawRecord, tried: Tried, sources: Sources, time_ms: int) -> Delivery:
    """Make the delivery of a record that is not to be decided: its headers as far as they could be read, no items."""
    _log.error("record_is_poison", partition=record.partition, offset=record.offset, how=tried.how)
    fault = Fault(Reason.POISON_CRASH, "", f"deciding this record ends the process: {tried.how}")
    time_ms = max(time_ms, record.timestamp_ms)
    if tried.headers_read:
        return unread(record, sources, time_ms, fault)
    return Delivery(record, time_ms, None, None, {}, (), fault)
