"""What the manifests of one snapshot hold, and the manifests of the next one when files of it go and others come.

Lives here: reading entries, and writing them on. Not here: which files (sinks/upkeep), the snapshot (replace.py).
Entries that stay keep their sequence numbers; those that go are written down as deleted (Iceberg spec, "Manifest Entry
Fields").
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile, ManifestContent, ManifestEntry, ManifestFile, write_manifest
from pyiceberg.table.metadata import TableMetadata

from sinks.table import manifests

Listed = list[tuple[ManifestFile, list[ManifestEntry]]]
"""Manifests with their live entries."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Live entries of a snapshot, by manifest: data files, and files of deletes where those were asked for."""

    data: Listed
    deletes: Listed

    def files(self) -> dict[str, DataFile]:
        """Return the data files by path."""
        return {entry.data_file.file_path: entry.data_file for _one, many in self.data for entry in many}

    def delete_files(self) -> dict[str, DataFile]:
        """Return the files of deletes by path."""
        return {entry.data_file.file_path: entry.data_file for _one, many in self.deletes for entry in many}


def live(io: FileIO, manifest: ManifestFile) -> Iterator[ManifestEntry]:
    """Yield the entries of a manifest that are not deleted."""
    yield from manifest.fetch_manifest_entry(io, discard_deleted=True)


def is_data(manifest: ManifestFile) -> bool:
    """Tell whether a manifest lists data files, not files of deletes."""
    return manifest.content == ManifestContent.DATA


def deletes_of(before: Sequence[ManifestFile]) -> frozenset[str]:
    """Return the paths of the delete manifests that hold anything."""
    held = (m for m in before if not is_data(m) and (m.has_added_files() or m.has_existing_files()))
    return frozenset(m.manifest_path for m in held)


def read(io: FileIO, before: Sequence[ManifestFile], *, deletes: bool) -> Contents:
    """Read data manifests, and those of deletes too where asked. Blocks on storage."""

    def listed(*, data: bool) -> Listed:
        return [(one, list(live(io, one))) for one in before if is_data(one) == data]

    return Contents(listed(data=True), listed(data=False) if deletes else [])


def found(listed: Listed, paths: Collection[str]) -> list[DataFile]:
    """Return the files of these paths that are there."""
    return [entry.data_file for _one, many in listed for entry in many if entry.data_file.file_path in paths]


def changed(
    metadata: TableMetadata,
    io: FileIO,
    listed: Listed,
    removed: Collection[str],
    added: Sequence[DataFile],
    path: Callable[[int], str],
    number: int,
    content: ManifestContent = ManifestContent.DATA,
) -> tuple[list[ManifestFile], set[str]]:
    """Write what is left of the manifests that hold a removed file, and the added files: one a partition spec.

    Returns the manifests written and the paths of those that they stand for. `path`: of the n-th; `number`: the
    snapshot's. Blocks on storage.
    """
    touched = [(one, many) for one, many in listed if any(entry.data_file.file_path in removed for entry in many)]
    specs = {spec.spec_id: spec for spec in metadata.partition_specs}
    entries: dict[int, list[ManifestEntry]] = {}
    for one, many in touched:
        entries.setdefault(one.partition_spec_id, []).extend(many)
    written = []
    for at, spec_id in enumerate(sorted({*entries, *(file.spec_id for file in added)})):
        output = io.new_output(path(at))
        with (
            write_manifest(2, specs[spec_id], metadata.schema(), output, number, manifests.COMPRESSION)
            if content == ManifestContent.DATA
            else manifests.DeleteManifestWriter(
                specs[spec_id], metadata.schema(), output, number, manifests.COMPRESSION
            )
        ) as writer:
            for file in added:
                if file.spec_id == spec_id:
                    writer.add(manifests.added(file, number))
            for entry in entries.get(spec_id, ()):
                if entry.data_file.file_path in removed:
                    writer.delete(entry)
                else:
                    writer.existing(entry)
        written.append(writer.to_manifest_file())
    return written, {one.manifest_path for one, _many in touched}
