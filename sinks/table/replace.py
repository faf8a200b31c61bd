"""Files of a table replaced by others, or removed: upkeep's commit, on top of whatever was appended meanwhile.

Lives here: the snapshot (`replace`, or `delete` where rows go) and the loop that puts it in. Not here: which files, and
what is in the new ones (sinks/upkeep). A change is tried again on a newer head as long as every file that it removes is
still live there, and deletes that came meanwhile are settled; else it is dropped. Offsets are those of the head,
whoever wrote them: nothing moves. Iceberg spec, "Snapshots" (operations), "Manifest Entry Fields" (deleted entries).
"""

import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile, ManifestContent, ManifestFile, write_manifest_list
from pyiceberg.table import Table
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.metadata import TableMetadata, TableMetadataV2
from pyiceberg.table.snapshots import (
    Operation,
    Snapshot,
    SnapshotSummaryCollector,
    Summary,
    update_snapshot_summaries,
)
from pyiceberg.table.update import (
    AddSnapshotUpdate,
    AssertRefSnapshotId,
    AssertTableUUID,
    SetPropertiesUpdate,
)

from schemas import logs
from sinks.table import commit, contents, kept, manifests, snapshot, state
from sinks.table.contents import Contents
from sinks.table.leftovers import Leftovers

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """Data files to remove by path and files to add, under the partition spec that the table is written with.

    `what` stands in the summary. `deletes`: paths of the delete manifests that the change goes with as they are.
    `settle`: works out for each try, from what the head holds then, which files of deletes go and come (it may raise
    `Dropped`); with it new deletes are no hindrance. `folds`: files of deletes that go in any case. `sending` is told
    the snapshot's id before the catalog is asked. `kept`: running totals, for the summary and as properties.
    `retained_ms`: rows received before it go with the files.
    """

    what: str
    removed: frozenset[str]
    added: Sequence[DataFile]
    operation: Operation = Operation.REPLACE
    deletes: frozenset[str] = frozenset()
    settle: "Callable[[TableMetadata, FileIO, Contents], Settled] | None" = None
    folds: frozenset[str] = frozenset()
    sending: Callable[[int], None] = lambda _snapshot_id: None
    kept: Mapping[str, str] = field(default_factory=dict)
    retained_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """Files of deletes that go, by path, and those that come in their place."""

    removed: frozenset[str] = frozenset()
    added: Sequence[DataFile] = ()


class Dropped(Exception):
    """The change no longer fits the table: files of it are gone, rows were deleted, or the table has another owner."""


def replace(
    catalog: Catalog,
    table: Table,
    owner_id: str,
    change: Change,
    *,
    now_ms: Callable[[], int],
    wait: Callable[[float], None],
    random: Callable[[], float],
) -> None:
    """Put `change` into the table, which is refreshed in place; raises `Dropped`, or the last error after 8 tries.

    The outcome of a try is unknown after any error but a refusal; the table, read again, then says whether the added
    files are in. Files that certainly did not land are deleted. `wait` sleeps, and may raise to give up.
    """
    left = Leftovers(table.io, [file.file_path for file in change.added])
    failed: Exception | None = None
    landed = False
    try:
        for attempt in range(commit.TRIES):
            if attempt:
                wait(min(commit.LONGEST_WAIT_S, commit.FIRST_WAIT_S * 2**attempt) * (0.5 + random() / 2))
            try:
                _once(catalog, table, owner_id, change, left, now_ms, again=failed is not None)
            except Dropped:
                raise
            except CommitFailedException as error:
                left.refused()
                failed = error
            except Exception as error:  # noqa: BLE001 unknown outcome: the table decides (rule 20)
                log.warning("upkeep_outcome_unknown", table=".".join(table.name()), error=str(error), attempt=attempt)
                failed = error
            else:
                landed = True
                return
        assert failed is not None  # noqa: S101 the loop ends by return or after an error
        raise failed
    finally:
        _tidy(table, left, landed=landed)


def _tidy(table: Table, left: Leftovers, *, landed: bool) -> None:
    """Delete what certainly did not land: the table is read once more where it was asked."""
    try:
        if not landed:
            table.refresh()
        left.read(table, landed=landed)
    except Exception as error:  # noqa: BLE001 then nothing is certain, and the orphan sweep takes it
        log.warning("table_not_read", table=".".join(table.name()), error=str(error))
        left.unread()


def _once(
    catalog: Catalog,
    table: Table,
    owner_id: str,
    change: Change,
    left: Leftovers,
    now_ms: Callable[[], int],
    *,
    again: bool,
) -> None:
    if again:
        table.refresh()
    metadata = table.metadata
    if state.owner(metadata) != owner_id or state.unplaced(metadata, owner_id):
        raise Dropped("the table is another's now")
    head = metadata.current_snapshot()
    if head is None:
        raise Dropped("the table has no snapshot any more")
    io = left.begin()
    before = head.manifests(io)
    if again and _landed(io, before, change):
        return
    made = _build(metadata, io, head, before, change, owner_id, now_ms())
    change.sending(made.snapshot_id)
    left.sent(made.snapshot_id)
    commit.call(catalog, table, made)


def _landed(io: FileIO, before: Sequence[ManifestFile], change: Change) -> bool:
    """Tell whether an earlier try is in: its files are there, or, where it adds none, all that it removes are gone."""
    held = contents.read(io, before, deletes=bool(change.folds))
    if change.added:
        return change.added[0].file_path in held.files()
    return not contents.found(held.data, change.removed) and not contents.found(held.deletes, change.folds)


def _build(
    metadata: TableMetadata,
    io: FileIO,
    head: Snapshot,
    before: Sequence[ManifestFile],
    change: Change,
    owner_id: str,
    now_ms: int,
) -> snapshot.Commit:
    """Write manifests and list, return the catalog call; raises `Dropped`. Blocks on storage."""
    if not isinstance(metadata, TableMetadataV2):
        raise TypeError("only tables of format version 2 are written")
    if change.settle is None and not contents.deletes_of(before) <= change.deletes:
        raise Dropped("rows were deleted meanwhile")
    made_for, made, number = state.as_made(metadata), uuid.uuid4(), secrets.randbits(62)
    locations = load_location_provider(metadata.location, metadata.properties)
    list_path = locations.new_metadata_location(f"snap-{number}-0-{made}.avro")
    held = contents.read(io, before, deletes=change.settle is not None)
    gone = contents.found(held.data, change.removed)
    if len(gone) != len(change.removed):
        raise Dropped(f"{len(change.removed) - len(gone)} of the files are not in the table any more")
    settled = Settled() if change.settle is None else change.settle(made_for, io, held)
    after, replaced = contents.changed(
        made_for, io, held.data, change.removed, change.added,
        lambda at: locations.new_metadata_location(f"{made}-m{at}.avro"), number,
    )  # fmt: skip
    hiding, unhiding = contents.changed(
        made_for, io, held.deletes, settled.removed, settled.added,
        lambda at: locations.new_metadata_location(f"{made}-d{at}.avro"), number, ManifestContent.DELETES,
    )  # fmt: skip
    after += hiding + [one for one in before if one.manifest_path not in replaced | unhiding]
    also = dict(change.kept)
    if change.retained_ms is not None:
        also |= kept.shortened(metadata, owner_id, change.retained_ms, sum(file.record_count for file in gone))
    said = {**kept.by_upkeep(metadata, owner_id), **also, state.UPKEEP: change.what}
    sequence = metadata.last_sequence_number + 1
    with write_manifest_list(
        2, io.new_output(list_path), number, head.snapshot_id, sequence, manifests.COMPRESSION
    ) as writer:
        writer.add_manifests(after)
    taken = Snapshot(
        snapshot_id=number,
        parent_snapshot_id=head.snapshot_id,
        manifest_list=list_path,
        sequence_number=sequence,
        summary=_summary(
            made_for,
            head,
            change,
            (*change.added, *settled.added),
            (*gone, *contents.found(held.deletes, settled.removed)),
            said,
        ),
        schema_id=metadata.current_schema_id,
        timestamp_ms=max(now_ms, metadata.last_updated_ms),
    )
    standing = {name: text for name, text in said.items() if name in metadata.properties or name in also}
    updates = (
        SetPropertiesUpdate(updates={**standing, state.SEQUENCE + owner_id: str(sequence)}),
        AddSnapshotUpdate(snapshot=taken),
        snapshot.head(metadata, number, head.snapshot_id),
    )
    requirements = (
        AssertTableUUID(uuid=metadata.table_uuid),
        AssertRefSnapshotId(snapshot_id=head.snapshot_id, ref="main"),
    )
    return snapshot.Commit(number, False, updates, requirements)


def _summary(
    metadata: TableMetadata,
    head: Snapshot,
    change: Change,
    come: Sequence[DataFile],
    gone: Sequence[DataFile],
    said: Mapping[str, str],
) -> Summary:
    collector, schema = SnapshotSummaryCollector(), metadata.schema()
    specs = {spec.spec_id: spec for spec in metadata.partition_specs}
    for file in come:
        collector.add_file(file, schema, specs[file.spec_id])
    for file in gone:
        collector.remove_file(file, schema, specs[file.spec_id])
    before = head.summary.additional_properties if head.summary else None
    counted = update_snapshot_summaries(Summary(operation=Operation.OVERWRITE, **collector.build()), before)
    return Summary(operation=change.operation, **counted.additional_properties, **said)
