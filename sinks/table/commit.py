"""One commit, exactly once: files and offsets land together or not at all (rules 17-21).

Lives here: the loop that decides by the table's offsets. Not here: what a snapshot is made of (snapshot.py).
`CommitFailed` -> read again, look at the offsets, build again. Any other error is an unknown outcome -> read again and
let the offsets decide. pyiceberg's own retry would rebase a stale owner's append, so it is switched off.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pyiceberg.catalog import Catalog
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.manifest import DataFile
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.update import TableRequirement, TableUpdate

from schemas import logs
from sinks.table import snapshot, state

TRIES = 8
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.02, 2.0
log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Committed:
    """The commit is in, and it was this call that put it there."""

    state: state.TableState


@dataclass(frozen=True, slots=True)
class AlreadyThere:
    """The commit is in; the answer to an earlier try had been lost."""

    state: state.TableState


@dataclass(frozen=True, slots=True)
class Fenced:
    """Somebody else moved the table: drop the buffer and start again from `offsets`."""

    offsets: state.Offsets


@dataclass(frozen=True, slots=True)
class Batch:
    """What one commit holds: files, the schema that they need, where offsets go from and to, notes for the summary."""

    files: Sequence[DataFile]
    schema: Schema
    base: state.Offsets
    ends: state.Offsets
    notes: Mapping[str, str]


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

    `wait` sleeps (it may raise to give up: the next owner's offsets check decides then). Blocks on catalog and storage.
    """
    wanted = state.moved(batch.base, batch.ends)
    kept = {state.OFFSETS + owner_id: state.dump(wanted)}
    failed: Exception | None = None
    for attempt in range(TRIES):
        if attempt:
            wait(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**attempt) * (0.5 + random() / 2))
        try:
            if failed is not None:
                table.refresh()
            have = state.offsets(table.metadata, owner_id)
            if have == wanted and wanted != batch.base:
                return AlreadyThere(state.read(table.metadata, owner_id))
            if have != batch.base or state.owner(table.metadata) != owner_id:
                return Fenced(have)
            schema = _schema(table, batch.schema)
            if schema is None:
                return Fenced(have)
            updates, requirements = snapshot.build(
                table.metadata, table.io, batch.files, schema, batch.notes, kept, now_ms()
            )
            _call(catalog, table, updates, requirements)
            return Committed(state.read(table.metadata, owner_id))
        except CommitFailedException as error:
            failed = error
        except Exception as error:  # noqa: BLE001 unknown outcome: the offsets decide (rule 20)
            log.warning("commit_outcome_unknown", table=".".join(table.name()), error=str(error), attempt=attempt)
            failed = error
    assert failed is not None  # noqa: S101 the loop ends by return or after an error
    raise failed


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


def _call(
    catalog: Catalog,
    table: Table,
    updates: tuple[TableUpdate, ...],
    requirements: tuple[TableRequirement, ...],
) -> None:
    """Do what `Table._do_commit` does, but let a REST server delete old metadata files itself (it would be twice)."""
    before = table.metadata
    answer = catalog.commit_table(table, requirements, updates)
    table.metadata, table.metadata_location = answer.metadata, answer.metadata_location
    if isinstance(catalog, RestCatalog):
        return
    try:
        catalog._delete_old_metadata(table.io, before, answer.metadata)  # noqa: SLF001 pinned by a test
    except Exception as error:  # noqa: BLE001 the commit stands; the orphan sweep takes what is left
        log.warning("old_metadata_kept", table=".".join(table.name()), error=str(error))
