"""A snapshot built by hand: one manifest, one manifest list, the updates and requirements of one catalog call.

Lives here: what a lean commit writes and asks for. Not here: when to try again (commit.py). pyiceberg's own append
copies the whole table metadata some 19 times; this costs 7-10 ms whatever the table's age, because snapshots are
expired in the same commit (40 -> 20) and manifests folded at 50. Iceberg spec, "Snapshots", "Manifest Lists".
"""

import secrets
import uuid
from collections.abc import Mapping, Sequence
from typing import Literal

from pyiceberg.io import FileIO
from pyiceberg.manifest import (
    DataFile,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    write_manifest,
    write_manifest_list,
)
from pyiceberg.schema import Schema
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
    AddSchemaUpdate,
    AddSnapshotUpdate,
    AssertRefSnapshotId,
    AssertTableUUID,
    RemoveSnapshotsUpdate,
    SetCurrentSchemaUpdate,
    SetPropertiesUpdate,
    SetSnapshotRefUpdate,
    TableRequirement,
    TableUpdate,
)

KEEP_SNAPSHOTS = 20
EXPIRE_AT = 40
FOLD_AT = 50
_COMPRESSION: Literal["deflate"] = "deflate"
_NO_LIMITS: dict[str, int | None] = {"max_ref_age_ms": None, "max_snapshot_age_ms": None, "min_snapshots_to_keep": None}
Commit = tuple[tuple[TableUpdate, ...], tuple[TableRequirement, ...]]


def build(
    metadata: TableMetadata,
    io: FileIO,
    files: Sequence[DataFile],
    schema: Schema,
    facts: Mapping[str, str],
    kept: Mapping[str, str],
    now_ms: int,
) -> Commit:
    """Write manifest and list, return updates and requirements; `facts` go to the summary, `kept` to properties too.

    No data file: a snapshot that only moves offsets. Blocks on storage.
    """
    locations = load_location_provider(metadata.location, metadata.properties)
    made, snapshot_id = uuid.uuid4(), secrets.randbits(62)
    parent = metadata.current_snapshot()
    parent_id = parent.snapshot_id if parent is not None else None
    before = [] if parent is None else parent.manifests(io)
    manifests = before
    if files or len(before) >= FOLD_AT:
        path = locations.new_metadata_location(f"{made}-m0.avro")
        manifests = _manifest(metadata, io, files, schema, before, path, snapshot_id)
    collector = SnapshotSummaryCollector()
    for file in files:
        collector.add_file(file, schema, metadata.spec())
    summary = update_snapshot_summaries(
        Summary(operation=Operation.APPEND, **collector.build(), **facts, **kept),
        parent.summary.additional_properties if parent is not None and parent.summary else None,
    )
    list_path = locations.new_metadata_location(f"snap-{snapshot_id}-0-{made}.avro")
    if not isinstance(metadata, TableMetadataV2):
        raise TypeError("only tables of format version 2 are written")
    sequence = metadata.last_sequence_number + 1
    with write_manifest_list(2, io.new_output(list_path), snapshot_id, parent_id, sequence, _COMPRESSION) as writer:
        writer.add_manifests(manifests)
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
        SetPropertiesUpdate(updates=dict(kept)),
        AddSnapshotUpdate(snapshot=snapshot),
        SetSnapshotRefUpdate(
            snapshot_id=snapshot_id, parent_snapshot_id=parent_id, ref_name="main", type="branch", **_NO_LIMITS
        ),
    ]
    if dead := expired(metadata):
        updates.append(RemoveSnapshotsUpdate(snapshot_ids=dead))
    requirements = (
        AssertTableUUID(uuid=metadata.table_uuid),
        AssertRefSnapshotId(snapshot_id=parent_id, ref="main"),
    )
    return tuple(updates), requirements


def expired(metadata: TableMetadata) -> list[int]:
    """Return the snapshots to drop in this commit: none before there are 40, then all but 20; never a ref's head."""
    if len(metadata.snapshots) < EXPIRE_AT:
        return []
    heads = {ref.snapshot_id for ref in metadata.refs.values()}
    newest_first = sorted(metadata.snapshots, key=lambda snapshot: snapshot.sequence_number or 0, reverse=True)
    return [s.snapshot_id for s in newest_first[KEEP_SNAPSHOTS:] if s.snapshot_id not in heads]


def _manifest(
    metadata: TableMetadata,
    io: FileIO,
    files: Sequence[DataFile],
    schema: Schema,
    before: list[ManifestFile],
    path: str,
    snapshot_id: int,
) -> list[ManifestFile]:
    """Return the new list of manifests: the added files' one, with small older ones of the same spec folded in."""
    fold = (
        [m for m in before if m.partition_spec_id == metadata.default_spec_id and _data(m)]
        if len(before) >= FOLD_AT
        else []
    )
    fold = sorted(fold, key=_entries)[: max(1, FOLD_AT - 5)] if fold else []
    folded = {m.manifest_path for m in fold}
    with write_manifest(2, metadata.spec(), schema, io.new_output(path), snapshot_id, _COMPRESSION) as writer:
        for file in files:
            writer.add(
                ManifestEntry.from_args(
                    status=ManifestEntryStatus.ADDED,
                    snapshot_id=snapshot_id,
                    sequence_number=None,
                    file_sequence_number=None,
                    data_file=file,
                )
            )
        for manifest in fold:
            for entry in manifest.fetch_manifest_entry(io, discard_deleted=True):
                writer.existing(entry)
    return [writer.to_manifest_file(), *(m for m in before if m.manifest_path not in folded)]


def _data(manifest: ManifestFile) -> bool:
    return manifest.content == 0


def _entries(manifest: ManifestFile) -> int:
    return (manifest.added_files_count or 0) + (manifest.existing_files_count or 0)
