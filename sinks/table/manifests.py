"""The manifests of the next snapshot: the added files' one, with small older ones folded in.

Lives here: which manifests are folded and how entries are carried over. Not here: the snapshot (snapshot.py).
An entry that is carried over keeps its snapshot id and both sequence numbers: deletes apply to a file by its data
sequence number (Iceberg spec, "Sequence Numbers", "Manifest Entry Fields").
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from pyiceberg.io import FileIO
from pyiceberg.manifest import (
    DEFAULT_READ_VERSION,
    DataFile,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    ManifestWriterV2,
    data_file_with_partition,
    manifest_entry_schema_with_data_file,
)
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.types import StructType

from sinks.table import avro

FOLD_AT = 50
FOLD_ENTRIES = 10_000
"""A manifest of so many files is left as it is: rewriting it would make one commit slow."""
COMPRESSION: Literal["deflate"] = "deflate"


class DataManifestWriter(ManifestWriterV2):
    """Writes a manifest of data files as pyiceberg's does, by a shape that is worked out once a partition type."""

    def new_writer(self) -> avro.Writing[ManifestEntry]:
        """Return what writes the file."""
        return avro.Writing(self._output_file, _shape(self._spec.partition_type(self._schema)), self._meta)


@lru_cache(maxsize=256)
def _shape(partition: StructType) -> avro.Shape:
    in_file, as_read = (
        manifest_entry_schema_with_data_file(
            format_version=version,
            data_file=data_file_with_partition(format_version=version, partition_type=partition),
        )
        for version in (2, DEFAULT_READ_VERSION)
    )
    return avro.shape(in_file, as_read, "manifest_entry")


class DeleteManifestWriter(DataManifestWriter):
    """Writes a manifest of delete files: pyiceberg has none (Iceberg spec, "Manifests": `content`)."""

    def content(self) -> ManifestContent:
        """Return what it lists."""
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


def to_fold(
    before: Sequence[ManifestFile], spec_id: int, content: ManifestContent = ManifestContent.DATA
) -> list[ManifestFile]:
    """Return the manifests to fold into the next one: none before there are 50 small ones.

    Smallest first, as long as the next one is not larger than all before it together. So each file is carried over
    some log2(files / 50) times in all, and large manifests stay. Other specs' are left alone, and those of another
    `content`: data and deletes never share a manifest (Iceberg spec, "Manifests").
    """
    taken: list[ManifestFile] = []
    total = 0
    for manifest in sorted(
        (m for m in before if m.partition_spec_id == spec_id and m.content == content), key=_entries
    ):
        size = _entries(manifest)
        if size > max(total, FOLD_AT) or total + size > FOLD_ENTRIES:
            break
        taken.append(manifest)
        total += size
    return taken if len(taken) >= FOLD_AT else []


def write(
    spec: PartitionSpec,
    io: FileIO,
    files: Sequence[DataFile],
    schema: Schema,
    before: Sequence[ManifestFile],
    fold: Sequence[ManifestFile],
    path: str,
    snapshot_id: int,
    content: ManifestContent = ManifestContent.DATA,
) -> list[ManifestFile]:
    """Write one manifest of the added files of `spec` and what is folded; return it with the manifests that stay."""
    folded = {manifest.manifest_path for manifest in fold}
    output = io.new_output(path)
    kind = DataManifestWriter if content == ManifestContent.DATA else DeleteManifestWriter
    with kind(spec, schema, output, snapshot_id, COMPRESSION) as writer:
        for file in files:
            writer.add(added(file, snapshot_id))
        for manifest in fold:
            for entry in manifest.fetch_manifest_entry(io, discard_deleted=True):
                writer.existing(entry)
    return [writer.to_manifest_file(), *(m for m in before if m.manifest_path not in folded)]


def added(file: DataFile, snapshot_id: int) -> ManifestEntry:
    """Return the entry of a file that a snapshot adds; its sequence number is the snapshot's."""
    return ManifestEntry.from_args(
        status=ManifestEntryStatus.ADDED,
        snapshot_id=snapshot_id,
        sequence_number=None,
        file_sequence_number=None,
        data_file=file,
    )


def _entries(manifest: ManifestFile) -> int:
    return (manifest.added_files_count or 0) + (manifest.existing_files_count or 0)
