"""Manifest lists: what the last ones of this process's tables hold is remembered, so the next one needs no reading.

Lives here: reading and writing lists, and their memory. A list never changes once it is written, and its name never
comes back, so what was written is what a reading would give. Each entry is kept as encoded: a list of 50 manifests
costs the encoding of the new one. One list a table is kept: writing a successor forgets the one before.
Iceberg spec, "Manifest Lists".
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pyiceberg.io import FileIO
from pyiceberg.manifest import (
    DEFAULT_READ_VERSION,
    MANIFEST_LIST_FILE_SCHEMAS,
    ManifestFile,
    ManifestListWriterV2,
)
from pyiceberg.table.snapshots import Snapshot

from sinks.table import avro

MOST = 2_000
"""Lists that are remembered: one a table, some 20 KB each."""
COMPRESSION: Literal["deflate"] = "deflate"
_SHAPE = avro.shape(MANIFEST_LIST_FILE_SCHEMAS[2], MANIFEST_LIST_FILE_SCHEMAS[DEFAULT_READ_VERSION], "manifest_file")


@dataclass(frozen=True, slots=True)
class _List:
    manifests: Sequence[ManifestFile]
    encoded: Mapping[str, bytes]


_known: OrderedDict[str, _List] = OrderedDict()
_lock = threading.Lock()


def read(snapshot: Snapshot | None, io: FileIO) -> list[ManifestFile]:
    """Return the manifests of a snapshot; blocks on storage unless this process wrote the list."""
    if snapshot is None:
        return []
    with _lock:
        found = _known.get(snapshot.manifest_list)
    return snapshot.manifests(io) if found is None else list(found.manifests)


def write(
    path: str, io: FileIO, snapshot_id: int, parent: Snapshot | None, sequence: int, manifests: Sequence[ManifestFile]
) -> None:
    """Write a snapshot's list; blocks on storage."""
    output = io.new_output(path)
    parent_id = None if parent is None else parent.snapshot_id
    own = ManifestListWriterV2(output, snapshot_id, parent_id, sequence, COMPRESSION)
    with _lock:
        before = None if parent is None else _known.get(parent.manifest_list)
    had = {} if before is None else before.encoded
    made, texts = [], {}
    for one in manifests:
        ready = own.prepare_manifest(one)
        made.append(ready)
        texts[one.manifest_path] = had.get(one.manifest_path) or avro.encoded(_SHAPE, ready)
    with avro.Writing[ManifestFile](output, _SHAPE, own._meta) as writer:  # noqa: SLF001 see README.md
        writer.write_encoded(len(made), b"".join(texts[one.manifest_path] for one in made))
    with _lock:
        if parent is not None:
            _known.pop(parent.manifest_list, None)
        _known[path] = _List(tuple(made), texts)
        while len(_known) > MOST:
            _known.popitem(last=False)
