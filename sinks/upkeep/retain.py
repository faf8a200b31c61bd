"""Files whose rows are all older than the stream's `retentionDays`: which they are.

Lives here: the cut and the choice, by the upper bounds of the receive time that manifests hold; no file is opened. Not
here: the commit (table/replace.py), what the table says of it (table/kept.py). A file goes whole or stays, so one that
is partly older stays until all of it is. Iceberg spec, "Manifests" (`upper_bounds`, `null_value_counts`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile, ManifestFile
from pyiceberg.table.metadata import TableMetadata

from sinks.table import contents

MOST_FILES = 2_000
"""Removed in one look."""
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Retention:
    """How many days rows stay, and the column of their receive time: its name, and the id that it was made with."""

    days: int
    column: str
    field_id: int

    def cut_ms(self, now_ms: int) -> int:
        """Return the midnight (UTC) before which rows were received that may go."""
        return (now_ms - self.days * DAY_MS) // DAY_MS * DAY_MS


@dataclass(frozen=True, slots=True)
class Aged:
    """A data file, and when the last of its rows was received (microseconds)."""

    last_us: int
    path: str


@dataclass(slots=True)
class Ages:
    """The ages of a table's files; a manifest is read once, for manifests never change."""

    _known: dict[str, tuple[Aged, ...]] = field(default_factory=dict)
    _columns: frozenset[int] = frozenset()

    def before(
        self, retention: Retention, metadata: TableMetadata, before: Sequence[ManifestFile], io: FileIO, cut_ms: int
    ) -> frozenset[str]:
        """Return the files of these manifests that are wholly older than `cut_ms`, the oldest ones. Blocks on storage.

        A column that was renamed is known by its id, one that was dropped and made again by its name too.
        """
        named = (one.field_id for one in metadata.schema().fields if one.name == retention.column)
        columns = frozenset({retention.field_id, *named})
        had = self._known if columns == self._columns else {}
        self._columns = columns
        paths = {one.manifest_path: one for one in before if contents.is_data(one)}
        self._known = {path: had[path] if path in had else self._read(one, io) for path, one in paths.items()}
        old = [one for many in self._known.values() for one in many if one.last_us < cut_ms * 1000]
        old.sort(key=lambda one: (one.last_us, one.path))
        return frozenset(one.path for one in old[:MOST_FILES])

    def _read(self, manifest: ManifestFile, io: FileIO) -> tuple[Aged, ...]:
        files = (entry.data_file for entry in contents.live(io, manifest))
        found = ((self._last(file), file.file_path) for file in files)
        return tuple(Aged(last, path) for last, path in found if last is not None)

    def _last(self, file: DataFile) -> int | None:
        """Return when a file's last row was received; None where it does not say so of every row.

        Iceberg spec, "Binary single-value serialization": microseconds, 8 bytes, little-endian.
        """
        bounds, nulls = file.upper_bounds or {}, file.null_value_counts or {}
        known = (bounds[one] for one in self._columns if one in bounds and nulls.get(one) == 0)
        return max((int.from_bytes(one, "little", signed=True) for one in known), default=None)
