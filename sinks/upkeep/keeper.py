"""The thread of a process that keeps its tables healthy, one at a time, beside the tails and never in their way.

Lives here: which table is due, and what is done to one (`tend`). A tail opens its table's care and says when it has
committed; upkeep reads the table itself and commits on top of whatever stands there (table/replace.py). A storage that
hangs holds up the upkeep of this process and no commit. Rule 21.
"""

import threading
import uuid
from collections.abc import Callable
from dataclasses import replace as changed
from typing import Protocol

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation

from schemas import logs
from schemas.ports import Clock
from sinks.status import TableUpkeep
from sinks.table import contents, kept, replace, state
from sinks.upkeep import collect, compact, rounds
from sinks.upkeep import journal as journals
from sinks.upkeep.care import Care, Closed, Keyed
from sinks.upkeep.journal import Journal
from sinks.upkeep.retain import Retention

COMMITS = compact.MIN_INPUTS
"""A table is looked at after so many commits,"""
LOOK_S = 600.0
"""or after so long."""
ROUNDS = 8
"""Of compaction in one look; then it is the next table's turn."""
RETRY_S = 60.0
"""After an error."""
DEFAULT_GRACE_S = 10_800.0
_WAKE_S = 1.0
log = logs.logger(__name__)


class Upkeep(Protocol):
    """What a tail needs of it."""

    def open(
        self,
        identifier: tuple[str, str],
        owner_id: str,
        *,
        retention: Retention | None = None,
        keyed: Keyed | None = None,
    ) -> Care:
        """Look after a table from now on; `retention`: remove its old files; `keyed`: it is upserted into."""

    def committed(self, care: Care) -> None:
        """Say that the table has one more commit; never blocks."""

    def close(self, care: Care) -> None:
        """End a table's upkeep; never blocks: what is under way gives up at its next step."""


class Keeper:
    """Looks after the tables of one process. `start` begins its thread, `end` ends it.

    `grace_s`: how long files stay that no snapshot holds any more, for readers that began before.
    """

    def __init__(
        self, catalog: Catalog, clock: Clock, random: Callable[[], float], grace_s: float = DEFAULT_GRACE_S
    ) -> None:
        self._catalog, self._clock, self._random, self._grace_s = catalog, clock, random, grace_s
        self._cares: list[Care] = []
        self._change = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self, timeout_s: float = 1.0) -> None:
        """End: what is under way gives up at its next step; waits for it at most `timeout_s`."""
        with self._change:
            self._ended = True
            for care in self._cares:
                care.closed.set()
            self._change.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def open(
        self,
        identifier: tuple[str, str],
        owner_id: str,
        *,
        retention: Retention | None = None,
        keyed: Keyed | None = None,
    ) -> Care:
        """Look after a table from now on; first within `RETRY_S`, spread over it."""
        care = Care(identifier, owner_id, self._clock.monotonic() + RETRY_S * self._random(), retention, keyed)
        with self._change:
            self._cares.append(care)
        return care

    def committed(self, care: Care) -> None:
        """Say that the table has one more commit."""
        care.commits += 1
        if care.commits >= COMMITS and self._change.acquire(blocking=False):
            self._change.notify()
            self._change.release()

    def close(self, care: Care) -> None:
        """End a table's upkeep."""
        care.closed.set()
        with self._change:
            self._cares = [one for one in self._cares if one is not care]

    def _run(self) -> None:
        while (care := self._next()) is not None:
            self.look(care)

    def _next(self) -> Care | None:
        """Wait for a table that is due and return it, the longest due first; None at the end."""
        with self._change:
            while not self._ended:
                if (care := self.due()) is not None:
                    return care
                self._change.wait(_WAKE_S)
        return None

    def due(self) -> Care | None:
        """Return the table that is due, the longest due first; None when none is."""
        now = self._clock.monotonic()
        due = [care for care in self._cares if care.due <= now or care.commits >= COMMITS]
        return min(due, key=lambda care: care.due, default=None)

    def look(self, care: Care) -> None:
        """Tend one table and write down what came of it; raises nothing."""
        care.commits = 0
        after = LOOK_S
        try:
            self.tend(care)
        except Closed:
            return
        except NoSuchTableError:
            after = RETRY_S
        except Exception as error:  # noqa: BLE001 the next look tries again; commits go on
            log.warning("upkeep_failed", table=".".join(care.identifier), error=f"{type(error).__name__}: {error}")
            care.report = changed(care.report, error=f"{type(error).__name__}: {error}"[:500])
            after = RETRY_S
        care.due = self._clock.monotonic() + after

    def tend(self, care: Care) -> None:
        """Do what there is to do for a table, a bounded share of it. Raises what catalog and storage raise."""
        table = self._catalog.load_table(care.identifier)
        error = None
        compacted_at = care.report.compacted_at_ms
        if state.owner(table.metadata) == care.owner_id:
            self._note(care, table)
            try:
                self._retain(care, table)
                for _round in range(ROUNDS):
                    if not self._compact(care, table):
                        break
                    compacted_at = self._now_ms()
            except replace.Dropped as dropped:
                error = str(dropped)
            self._collect(care, table)
        self._tell(care, table, compacted_at, error)

    def _note(self, care: Care, table: Table) -> Journal:
        """Write down the snapshots that are there, before they can expire."""
        care.check()
        if care.journal is None or care.journal.table_uuid != str(table.metadata.table_uuid):
            care.journal = journals.load(table.metadata, table.io)
        if care.journal.note(table.metadata):
            journals.save(care.journal, table.metadata, table.io)
        return care.journal

    def _collect(self, care: Care, table: Table) -> None:
        """Write down what died with the snapshots that vanished; delete what has been dead for long enough."""
        journal, now_ms = self._note(care, table), self._now_ms()
        if collect.is_due(journal, table.metadata, now_ms):
            collect.collect(journal, table.metadata, table.io, now_ms, lambda: str(uuid.uuid4()), care.check)
        batch = collect.due(journal, now_ms, int(self._grace_s * 1000))
        if batch is not None:
            table.refresh()
            if state.owner(table.metadata) != care.owner_id:
                return
            gone = collect.delete(journal, batch, table.metadata, table.io, care.check)
            log.info("dead_files_deleted", table=".".join(care.identifier), files=gone)

    def _retain(self, care: Care, table: Table) -> None:
        """Remove the files whose rows are all too old; before files are joined, so that none of them is rewritten."""
        care.check()
        head = table.metadata.current_snapshot()
        if care.retention is None or head is None:
            return
        before, cut_ms = head.manifests(table.io), care.retention.cut_ms(self._now_ms())
        old = care.ages.before(care.retention, table.metadata, before, table.io, cut_ms)
        if not old:
            return
        change = replace.Change(
            "retention", old, (), Operation.DELETE, contents.deletes_of(before), retained_ms=cut_ms
        )  # fmt: skip
        self._put(care, table, change)
        log.info("rows_expired", table=".".join(care.identifier), files=len(old), before_ms=cut_ms)

    def _put(self, care: Care, table: Table, change: replace.Change) -> None:
        replace.replace(
            self._catalog, table, care.owner_id, change, now_ms=self._now_ms, wait=care.wait, random=self._random
        )

    def _compact(self, care: Care, table: Table) -> bool:
        """Do one round of compaction; False when there is none."""
        care.check()
        made = rounds.choose(care, table)
        if made is None:
            return False
        if made.change is not None:
            self._put(care, table, made.change)
            log.info("compacted", table=".".join(care.identifier), files=made.files, into=made.into)
        return True

    def _tell(self, care: Care, table: Table, compacted_at: int | None, error: str | None) -> None:
        head = table.metadata.current_snapshot()
        said = head.summary.additional_properties if head is not None and head.summary else {}
        small = care.inventory.look([] if head is None else head.manifests(table.io), table.io)
        care.report = TableUpkeep(
            snapshots=len(table.metadata.snapshots),
            files=int(said.get("total-data-files", 0)),
            small_files=len(small),
            live_bytes=int(said.get("total-files-size", 0)),
            dead_files=sum(batch.files for batch in care.journal.batches) if care.journal else 0,
            dead_bytes=sum(batch.bytes for batch in care.journal.batches) if care.journal else 0,
            looked_at_ms=self._now_ms(),
            compacted_at_ms=compacted_at,
            error=error,
            delete_files=int(said.get("total-delete-files", 0)),
            removed_rows=kept.retained(table.metadata, care.owner_id).rows,
        )

    def _now_ms(self) -> int:
        return self._clock.time_ns() // 1_000_000
