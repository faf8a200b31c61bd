"""One commit, exactly once: files and offsets land together or not at all (rules 17-21).

Lives here: the loop that decides by the table's offsets. Not here: what a snapshot is made of (snapshot.py), what
becomes of files that did not land (leftovers.py).
`CommitFailed` -> read again, look at the offsets, build again. Any other error is an unknown outcome -> read again and
let the offsets decide. pyiceberg's own retry would rebase a stale owner's append, so it is switched off.
"""

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pyiceberg.catalog import Catalog
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.refs import SnapshotRef
from pyiceberg.table.update import AssertTableUUID

from schemas import logs
from sinks.table import snapshot, state
from sinks.table.leftovers import Leftovers

Follow = Callable[[TableMetadata, FileIO], Sequence[DataFile] | None]
"""Returns delete files for the head of this metadata, written through this FileIO; None: somebody else was there."""
TRIES = 8
ANYWHERE = -1
"""No snapshot's id: what is committed holds on any."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.02, 2.0
_FULL = {errno.ENOSPC, errno.EDQUOT}
log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Committed:
    """The commit is in, and it was this call that put it there; `tried`: the snapshots that its tries asked for."""

    state: state.TableState
    tried: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class AlreadyThere:
    """The commit is in; the answer to an earlier try had been lost, or somebody else made the same of the log.

    It was one of `tried`, or else somebody else's.
    """

    state: state.TableState
    tried: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Fenced:
    """Somebody else moved the table: drop the buffer and start again from `offsets`."""

    offsets: state.Offsets


@dataclass(frozen=True, slots=True)
class Batch:
    """What one commit holds: files, the schema that they need, where offsets go from and to, notes for the summary.

    `kept`: what stands in the summary and as a property too, beside the offsets.
    `unsent`: snapshots that this commit must not expire. `deletes`: position delete files; they and the choice of rows
    hold for one state of the table only, so the commit is `Fenced` when its head is another than `onto`; unless
    `follow` knows what was done to the table since, and writes the deletes anew for the head that it has now.
    """

    files: Sequence[DataFile]
    schema: Schema
    base: state.Offsets
    ends: state.Offsets
    notes: Mapping[str, str]
    kept: Mapping[str, str] = field(default_factory=dict)
    unsent: frozenset[int] = frozenset()
    deletes: Sequence[DataFile] = ()
    onto: int | None = ANYWHERE
    follow: Follow | None = None


class RefsStand(AssertTableUUID):
    """The table is this one, and its branches and tags those that the expiry in this commit was worked out with.

    The REST protocol has no such requirement; pyiceberg's own catalogs check it against the metadata that they swap.
    """

    refs: dict[str, SnapshotRef]

    def validate(self, base_metadata: TableMetadata | None) -> None:  # type: ignore[override]  # pyiceberg does so too
        """Raise `CommitFailedException` unless they are."""
        super().validate(base_metadata)
        if base_metadata is None or base_metadata.refs != self.refs:
            raise CommitFailedException("a branch or tag was made or moved meanwhile")


def commit(
    catalog: Catalog,
    table: Table,
    owner_id: str,
    batch: Batch,
    *,
    now_ms: Callable[[], int],
    wait: Callable[[float], None],
    random: Callable[[], float],
) -> Committed | AlreadyThere | Fenced:
    """Put `batch` into the table; `table` is refreshed in place. Raises the last error after 8 tries.

    `wait` sleeps (it may raise to give up: the next owner's offsets check decides then). Files that certainly did not
    land are deleted, the batch's own included. Blocks on catalog and storage.
    """
    left = Leftovers(table.io, [file.file_path for file in (*batch.files, *batch.deletes)])
    failed: Exception | None = None
    try:
        for attempt in range(TRIES):
            if attempt:
                wait(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt) * (0.5 + random() / 2))
            try:
                result = _once(catalog, table, owner_id, batch, left, now_ms, again=failed is not None)
            except CommitFailedException as error:
                left.refused()
                failed = error
            except Exception as error:  # noqa: BLE001 unknown outcome: the offsets decide (rule 20)
                log.warning("commit_outcome_unknown", table=".".join(table.name()), error=str(error), attempt=attempt)
                if _full(catalog, error):
                    left.unasked()
                failed = error
            else:
                left.read(table, landed=isinstance(result, Committed))
                return result
    except BaseException:
        _give_up(table, left)
        raise
    _give_up(table, left)
    assert failed is not None  # noqa: S101 the loop ends by return or after an error
    raise failed


def _once(
    catalog: Catalog,
    table: Table,
    owner_id: str,
    batch: Batch,
    left: Leftovers,
    now_ms: Callable[[], int],
    *,
    again: bool,
) -> Committed | AlreadyThere | Fenced:
    wanted = state.moved(batch.base, batch.ends)
    if again or snapshot.expired(
        table.metadata, batch.unsent
    ):  # a tag made since our last commit must be seen before expiring
        table.refresh()
    have = state.offsets(table.metadata, owner_id)
    if have == wanted and wanted != batch.base:
        return AlreadyThere(state.read(table.metadata, owner_id), left.asked)
    if have != batch.base or state.owner(table.metadata) != owner_id or state.unplaced(table.metadata, owner_id):
        return Fenced(have)
    schema = _schema(table, batch.schema)
    if schema is None:
        return Fenced(have)
    deletes, io = batch.deletes, left.begin()
    if batch.onto not in {ANYWHERE, table.metadata.current_snapshot_id}:
        followed = None if batch.follow is None else batch.follow(table.metadata, io)
        if followed is None:
            return Fenced(have)
        left.instead([file.file_path for file in deletes])
        deletes = followed
    made = snapshot.build(
        table.metadata,
        io,
        batch.files,
        schema,
        batch.notes,
        owner_id,
        wanted,
        now_ms(),
        batch.kept,
        batch.unsent,
        deletes,
    )
    left.sent(made.snapshot_id)
    call(catalog, table, made)
    return Committed(state.read(table.metadata, owner_id), left.asked)


def _give_up(table: Table, left: Leftovers) -> None:
    """Tidy up when the loop ends without an answer: one more reading tells, if all that was asked was refused."""
    if left.refused_all:
        try:
            table.refresh()
        except Exception as error:  # noqa: BLE001 then nothing is certain
            log.warning("table_not_read", table=".".join(table.name()), error=str(error))
        else:
            left.read(table, landed=False)
            return
    left.unread()


def _full(catalog: Catalog, error: Exception) -> bool:
    """Tell whether a full disk stopped a SQL catalog before it asked its database: nothing landed then."""
    return isinstance(catalog, SqlCatalog) and isinstance(error, OSError) and error.errno in _FULL


def _schema(table: Table, wanted: Schema) -> Schema | None:
    """Return the schema to commit with; None when the table's has moved from under the files' one."""
    current = table.schema()
    if wanted.fields == current.fields:
        return current
    highest = max(schema.schema_id for schema in table.metadata.schemas)
    grown = wanted.schema_id == highest + 1 and {f.field_id for f in current.fields} <= {
        f.field_id for f in wanted.fields
    }
    return wanted if grown else None


def call(catalog: Catalog, table: Table, made: snapshot.Commit) -> None:
    """Do what `Table._do_commit` does, but let a REST server delete old metadata files itself (it would be twice)."""
    before, requirements = table.metadata, made.requirements
    if made.expires and not isinstance(catalog, RestCatalog):
        requirements = (*requirements, RefsStand(uuid=before.table_uuid, refs=before.refs))
    answer = catalog.commit_table(table, requirements, made.updates)
    table.metadata, table.metadata_location = answer.metadata, answer.metadata_location
    if isinstance(catalog, RestCatalog):
        return
    try:
        catalog._delete_old_metadata(table.io, before, answer.metadata)  # noqa: SLF001 pinned by a test
    except Exception as error:  # noqa: BLE001 the commit stands; the orphan sweep takes what is left
        log.warning("old_metadata_kept", table=".".join(table.name()), error=str(error))
