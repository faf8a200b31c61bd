"""The product made wrong on purpose: what the simulation must find (the test of the test).

Lives here: one change each, at the seam of the real class. A mutation that no history catches means that the simulation
does not look where it says it does.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sinks.table import commit, state
from streams.agents.ingest import Ingest
from streams.emit import Decided
from streams.engine.table import FirstSeenTable, View, Writes
from streams.engine.transaction import Transaction, Transactions
from streams.judge import Judge
from streams.parse import Delivery
from tests.simulation import lake
from tests.simulation.stage import Parts


class _WritesFirst(Transactions):
    def _commit_now(self) -> None:
        if self._before is not None:  # what is being committed: on disk before Kafka has taken it
            self._table.apply(self._before.writes, {})
        super()._commit_now()


class WrittenBeforeCommit(Parts):
    """States and positions reach the disk before the commit (rule 7)."""

    transactions = _WritesFirst


class _ForgetsStands(Transactions):
    def _finish(self, done: Transaction) -> float:
        kept = dict(done.writes.stands)
        done.writes.stands.clear()
        try:
            return super()._finish(done)
        finally:
            done.writes.stands.update(kept)


class OffsetsNotStored(Parts):
    """A transaction holds everything but the next offsets (rule 6)."""

    transactions = _ForgetsStands


class _Blind(FirstSeenTable):
    def read(self, keys: Iterable[bytes]) -> View:
        shown: Any = FirstSeenTable.__new__(FirstSeenTable)
        shown.__dict__.update(self.__dict__)
        shown.open_writes = ()
        return View(shown, keys)


class OverlayNotConsulted(Parts):
    """Look-ups do not see what open transactions will write (rules 7 and 12)."""

    table = _Blind


class _OneOverlay(FirstSeenTable):
    def read(self, keys: Iterable[bytes]) -> View:
        shown: Any = FirstSeenTable.__new__(FirstSeenTable)
        shown.__dict__.update(self.__dict__)
        shown.open_writes = self.open_writes[:1]
        return View(shown, keys)


class CommittingNotConsulted(Parts):
    """Look-ups see the open transaction, not the one that is being committed meanwhile."""

    table = _OneOverlay


class _KeepsMarks(FirstSeenTable):
    def apply(self, writes: Writes, marks: Mapping[int, int]) -> None:
        super().apply(Writes(), marks)  # the mark says more than the disk holds
        super().apply(writes, {})


class MarkBeforeState(Parts):
    """The mark reaches the disk in a write of its own, before the state that it stands for (rule 7)."""

    table = _KeepsMarks


class _AllItems(Judge):
    def deliveries(self, deliveries: Iterable[Delivery], *more: Any) -> list[Decided]:
        return super().deliveries(map(unnamed, deliveries), *more)


class _RedrivesAll(Ingest):
    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._judge.__class__ = _AllItems


class RedriveDecidesAll(Parts):
    """A redrive decides items that it does not name (rule 16)."""

    ingest = _RedrivesAll


def unnamed(one: Delivery) -> Delivery:
    """Return a delivery whose redrive, if it is one, names no items."""
    if one.meta is None or one.meta.redrive is None:
        return one
    redrive = msgspec.structs.replace(one.meta.redrive, items=(), event_ids=())
    return msgspec.structs.replace(one, meta=msgspec.structs.replace(one.meta, redrive=redrive))


STAGE: tuple[type[Parts], ...] = (
    RedriveDecidesAll,
    WrittenBeforeCommit,
    OffsetsNotStored,
    OverlayNotConsulted,
    CommittingNotConsulted,
    MarkBeforeState,
)


# ---- the writer: replacements of commit._once and snapshot.build
def unchecked(
    catalog: Any, table: Any, owner_id: str, batch: commit.Batch, left: Any, now_ms: Any, *, again: bool
) -> Any:
    """After an unknown outcome the table is read, but its offsets are not looked at (rule 20)."""
    if not again:
        return _ONCE(catalog, table, owner_id, batch, left, now_ms, again=again)
    table.refresh()
    wanted = state.moved(batch.base, batch.ends)
    files: Any = batch.files
    made = lake.build(table.metadata, left.begin(), files, table.schema(), batch.notes, owner_id, wanted, now_ms())
    left.sent(made.snapshot_id)
    commit.call(catalog, table, made)
    return commit.Committed(state.read(table.metadata, owner_id))


def forgetful(
    metadata: Any, io: Any, files: Any, schema: Any, facts: Any, owner_id: str, wanted: Any, now_ms: int, *more: Any
) -> Any:
    """A snapshot holds the rows and not the offsets (rule 17)."""
    have = state.offsets(metadata, owner_id)
    return lake.build(metadata, io, files, schema, facts, owner_id, have if files else wanted, now_ms, *more)


_ONCE = commit._once
TABLES: tuple[dict[str, Any], ...] = ({"once": unchecked}, {"build": forgetful})
