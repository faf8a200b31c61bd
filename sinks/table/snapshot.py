"""A snapshot built by hand: one manifest, one manifest list, the updates and requirements of one catalog call.

Lives here: what a lean commit writes and asks for. Not here: when to try again (commit.py). pyiceberg's own append
copies the whole table metadata some 19 times; this costs 7-10 ms whatever the table's age, because snapshots are
expired in the same commit (40 -> 20) and manifests folded at 50 (manifests.py). The requirements name everything that
the files and the new schema were made from. Iceberg spec, "Snapshots", "Manifest Lists", "Table requirements".
"""

import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile, ManifestContent, ManifestFile
from pyiceberg.schema import Schema
from pyiceberg.table.locations import LocationProvider, load_location_provider
from pyiceberg.table.metadata import TableMetadata, TableMetadataV2
from pyiceberg.table.snapshots import (
    Operation,
    Snapshot,
    SnapshotSummaryCollector,
    Summary,
    update_snapshot_summaries,
)
from pyiceberg.table.update import (
    AddSchemaUpdate,
    AddSnapshotUpdate,
    AssertCurrentSchemaId,
    AssertLastAssignedFieldId,
    AssertRefSnapshotId,
    AssertTableUUID,
    RemoveSnapshotsUpdate,
    SetCurrentSchemaUpdate,
    SetPropertiesUpdate,
    SetSnapshotRefUpdate,
    TableRequirement,
    TableUpdate,
)

from sinks.table import kept, lists, manifests, state

KEEP_SNAPSHOTS = 20
EXPIRE_AT = 40


@dataclass(frozen=True, slots=True)
class Commit:
    """What one catalog call carries."""

    snapshot_id: int
    expires: bool
    updates: tuple[TableUpdate, ...]
    requirements: tuple[TableRequirement, ...]


def build(
    metadata: TableMetadata,
    io: FileIO,
    files: Sequence[DataFile],
    schema: Schema,
    facts: Mapping[str, str],
    owner_id: str,
    wanted: state.Offsets,
    now_ms: int,
    also: Mapping[str, str] = MappingProxyType({}),
    unsent: frozenset[int] = frozenset(),
    deletes: Sequence[DataFile] = (),
) -> Commit:
    """Write manifest and list, return the catalog call; `facts` go to the summary, `wanted`, `also` to properties too.

    `unsent`: snapshots that must not expire yet (rule 22). `deletes`: position delete files.

    No data file: a snapshot that only moves offsets. Blocks on storage.
    """
    if not isinstance(metadata, TableMetadataV2):
        raise TypeError("only tables of format version 2 are written")
    said = {state.OFFSETS + owner_id: state.dump(wanted), **kept.by_the_writer(metadata, owner_id), **also}
    locations = load_location_provider(metadata.location, metadata.properties)
    made, snapshot_id = uuid.uuid4(), secrets.randbits(62)
    parent = metadata.current_snapshot()
    parent_id = parent.snapshot_id if parent is not None else None
    after = _manifests(metadata, io, files, deletes, schema, locations, str(made), snapshot_id)
    summary = _summary(
        metadata,
        [*files, *deletes],
        schema,
        parent,
        Operation.OVERWRITE if deletes else Operation.APPEND,
        {**facts, **said},
    )
    list_path = locations.new_metadata_location(f"snap-{snapshot_id}-0-{made}.avro")
    sequence = metadata.last_sequence_number + 1
    lists.write(list_path, io, snapshot_id, parent, sequence, after)
    snapshot = Snapshot(
        snapshot_id=snapshot_id,
        parent_snapshot_id=parent_id,
        manifest_list=list_path,
        sequence_number=sequence,
        summary=summary,
        schema_id=schema.schema_id,
        timestamp_ms=max(now_ms, metadata.last_updated_ms),
    )
    updates: list[TableUpdate] = []
    if schema.schema_id != metadata.current_schema_id:
        updates += [AddSchemaUpdate(schema_=schema), SetCurrentSchemaUpdate(schema_id=-1)]
    updates += [
        SetPropertiesUpdate(updates={**said, state.SEQUENCE + owner_id: str(sequence)}),
        AddSnapshotUpdate(snapshot=snapshot),
        head(metadata, snapshot_id, parent_id),
    ]
    if dead := expired(metadata, unsent):
        updates.append(RemoveSnapshotsUpdate(snapshot_ids=dead))
    requirements = _requirements(metadata, parent_id, schema)
    return Commit(snapshot_id, bool(dead), tuple(updates), requirements)


def _manifests(
    metadata: TableMetadata,
    io: FileIO,
    files: Sequence[DataFile],
    deletes: Sequence[DataFile],
    schema: Schema,
    locations: LocationProvider,
    name: str,
    snapshot_id: int,
) -> list[ManifestFile]:
    """Write manifests of what is added, small older ones folded in; return all that the snapshot has."""
    made_for, parent = state.as_made(metadata), metadata.current_snapshot()
    after = before = lists.read(parent, io)
    fold = manifests.to_fold(before, made_for.default_spec_id)
    if files or fold:
        path = locations.new_metadata_location(f"{name}-m0.avro")
        after = manifests.write(made_for.spec(), io, files, schema, before, fold, path, snapshot_id)
    for spec_id in sorted({file.spec_id for file in deletes}):
        found = [file for file in deletes if file.spec_id == spec_id]
        fold = manifests.to_fold(after, spec_id, ManifestContent.DELETES)
        path = locations.new_metadata_location(f"{name}-d{spec_id}.avro")
        spec = metadata.specs()[spec_id]
        after = manifests.write(spec, io, found, schema, after, fold, path, snapshot_id, ManifestContent.DELETES)
    return after


def _summary(
    metadata: TableMetadata,
    files: Sequence[DataFile],
    schema: Schema,
    parent: Snapshot | None,
    operation: Operation,
    facts: Mapping[str, str],
) -> Summary:
    """Return what the snapshot says of itself; the totals are its parent's and what `files` add."""
    collector = SnapshotSummaryCollector()
    specs = metadata.specs()
    for file in files:
        collector.add_file(file, schema, specs[file.spec_id])
    return update_snapshot_summaries(
        Summary(operation=operation, **collector.build(), **facts),
        parent.summary.additional_properties if parent is not None and parent.summary else None,
    )


def _requirements(metadata: TableMetadata, parent_id: int | None, schema: Schema) -> tuple[TableRequirement, ...]:
    """Return what must still stand: all that the files and the new schema were made from."""
    requirements: list[TableRequirement] = [
        AssertTableUUID(uuid=metadata.table_uuid),
        AssertRefSnapshotId(snapshot_id=parent_id, ref="main"),
        AssertCurrentSchemaId(current_schema_id=metadata.current_schema_id),
    ]
    if schema.schema_id != metadata.current_schema_id:
        requirements.append(AssertLastAssignedFieldId(last_assigned_field_id=metadata.last_column_id))
    return tuple(requirements)


def head(metadata: TableMetadata, snapshot_id: int, parent_id: int | None) -> SetSnapshotRefUpdate:
    """Return the move of `main`; limits that an operator gave it stay."""
    main = metadata.refs.get("main")
    return SetSnapshotRefUpdate(
        snapshot_id=snapshot_id,
        parent_snapshot_id=parent_id,
        ref_name="main",
        type="branch",
        max_ref_age_ms=main.max_ref_age_ms if main is not None else None,
        max_snapshot_age_ms=main.max_snapshot_age_ms if main is not None else None,
        min_snapshots_to_keep=main.min_snapshots_to_keep if main is not None else None,
    )


def expired(metadata: TableMetadata, unsent: frozenset[int] = frozenset()) -> list[int]:
    """Return the snapshots to drop in this commit: none before there are 40, then all but 20; never a ref's head.

    Nor one of `unsent`, of which nobody is told yet (rule 22).
    """
    if len(metadata.snapshots) < EXPIRE_AT:
        return []
    kept = {ref.snapshot_id for ref in metadata.refs.values()} | unsent
    newest_first = sorted(metadata.snapshots, key=lambda snapshot: snapshot.sequence_number or 0, reverse=True)
    return [s.snapshot_id for s in newest_first[KEEP_SNAPSHOTS:] if s.snapshot_id not in kept]
