"""Expired ids leave the table a few at a time, as tombstones of an open transaction (rule 12).

Lives here: how many, how often, by which time. Partition time decides, never the wall clock. Look-ups do not need the
sweep: an expired id does not count whether it is still stored or not.
"""

from collections.abc import Callable, Mapping

from schemas.definitions.view import SourceView
from streams import seen
from streams.engine.table import FirstSeenTable
from streams.engine.transaction import Transactions

EXAMINE = 2_000
REMOVE = 500


class Sweep:
    """Goes round the stored ids; `step` is called once a second and examines a bounded number."""

    def __init__(
        self, table: FirstSeenTable, transactions: Transactions, sources: Callable[[], Mapping[str, SourceView]]
    ) -> None:
        self._table, self._transactions, self._sources = table, transactions, sources

    def step(self) -> int:
        """Remove what has expired among the next ids and return how many; only rides on a transaction with records."""
        if self._transactions.fresh:
            return 0
        windows = {
            seen.source_prefix(source.id): source.definition.dedupe.window_seconds * 1000
            for source in self._sources().values()
        }
        stands = self._table.stands
        newest = max((stand.time_ms for stand in stands.values()), default=0)
        expired = []
        for key, state in self._table.sweep(EXAMINE):
            stand = stands.get((state.first.topic_id, state.first.partition))
            now_ms = newest if stand is None else stand.time_ms
            window_ms = windows.get(seen.source_of(key), seen.MAX_WINDOW_MS)
            if not state.counts(now_ms, window_ms) and not self._table.pending(key)[0]:
                expired.append(key)
                if len(expired) >= REMOVE:
                    break
        self._transactions.remove(expired)
        return len(expired)
