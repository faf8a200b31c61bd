"""Where a writer says what it does: the registry keeps it, the API shows it.

Lives here: the port, and what is told when. The shape is the registry's own (volatile rows, no revision).
"""

import heapq
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from schemas import logs
from schemas.backing.registry import StreamState, TableUpkeep
from schemas.definitions.stream import State
from schemas.metrics import Metrics

__all__ = ["Lags", "States", "StreamState", "TableUpkeep", "Teller", "together"]
TELL_S = 1.0
MOST = 64
"""Streams whose state has not changed that are told each second: 200 have their turn every three or four seconds."""
Brief = tuple[State, int]
"""State and generation: what is told at once when it changes."""
log = logs.logger(__name__)


class States(Protocol):
    """Where states go. Implemented by the registry's `states`."""

    def put(self, many: Sequence[StreamState]) -> None:
        """Store the newest state of each stream; may raise when the database is away."""

    def many(self, stream_ids: Collection[str]) -> Mapping[str, StreamState]:
        """Return the states of these streams by id, other writers' too; may raise when the database is away."""


class Teller:
    """Tells what has changed state at once, the rest in turn, each at most once a second."""

    def __init__(self, states: States) -> None:
        self._states = states
        self._told: dict[str, Brief] = {}
        self._next: dict[str, float] = {}

    def differs(self, briefs: Mapping[str, Brief]) -> bool:
        """Tell whether streams are in another state than was told."""
        return self._told != briefs

    def tell(self, found: Sequence[StreamState], now: float) -> None:
        """Store what is due of the streams of this process; blocks on the database, which may be away."""
        briefs = {one.stream_id: (one.state, one.generation) for one in found}
        self._told = {name: brief for name, brief in self._told.items() if name in briefs}
        changed = [name for name, brief in briefs.items() if self._told.get(name) != brief]
        rest = (name for name in briefs.keys() - set(changed) if self._next.get(name, 0.0) <= now)
        due = {*changed, *heapq.nsmallest(MOST, rest, key=lambda name: self._next.get(name, 0.0))}
        self._next = {name: self._next.get(name, 0.0) for name in briefs} | dict.fromkeys(due, now + TELL_S)
        if not due:
            return
        try:
            self._states.put([one for one in found if one.stream_id in due])
        except Exception as error:  # noqa: BLE001 the data plane outlives the control plane
            log.warning("states_not_stored", error=str(error))
        else:
            self._told |= {name: briefs[name] for name in due}


def together(many: Sequence[TableUpkeep | None]) -> TableUpkeep | None:
    """Return the upkeep of several tables as one: sums, the oldest look, the newest compaction, the first error."""
    told = [one for one in many if one is not None]
    if not told:
        return None
    looks = [one.looked_at_ms for one in told if one.looked_at_ms is not None]
    compactions = [one.compacted_at_ms for one in told if one.compacted_at_ms is not None]
    return TableUpkeep(
        snapshots=sum(one.snapshots for one in told),
        files=sum(one.files for one in told),
        small_files=sum(one.small_files for one in told),
        live_bytes=sum(one.live_bytes for one in told),
        dead_files=sum(one.dead_files for one in told),
        dead_bytes=sum(one.dead_bytes for one in told),
        looked_at_ms=min(looks, default=None),
        compacted_at_ms=max(compactions, default=None),
        error=next((one.error for one in told if one.error is not None), None),
        removed_rows=sum(one.removed_rows for one in told),
        delete_files=sum(one.delete_files for one in told),
    )


class Lags:
    """How far the streams of this process stand behind, read at each scrape: `told` are their newest states."""

    def __init__(self, metrics: Metrics) -> None:
        self.told: Sequence[StreamState] = ()
        metrics.read("hookberg_stream_lag_records", lambda: self._by(lambda one: one.lag_records))
        metrics.read("hookberg_stream_lag_seconds", lambda: self._by(lambda one: one.lag_s))

    def _by(self, figure: Callable[[StreamState], float | None]) -> dict[tuple[str, ...], float]:
        found = ((one.stream_id, figure(one)) for one in self.told)
        return {(stream,): float(value) for stream, value in found if value is not None}
