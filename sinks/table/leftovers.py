"""What a commit that did not land has written: deleted where that is certain, left and said where it is not.

Lives here: remembering what was written, and the decision. Best effort: what a killed process leaves behind, and what
is left here, is in no snapshot and waits for an orphan sweep. A file that a snapshot refers to is never deleted:
a try is certain not to have landed when it never reached the catalog, or when the catalog refused it and the table,
read again, does not know its snapshot (rule 21).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from pyiceberg.io import FileIO, InputFile, OutputFile
from pyiceberg.table import Table

from schemas import logs

log = logs.logger(__name__)


class Recording(FileIO):
    """A FileIO that remembers what was written through it."""

    def __init__(self, io: FileIO) -> None:
        super().__init__(io.properties)
        self._io = io
        self.written: list[str] = []

    def new_input(self, location: str) -> InputFile:
        """Open for reading."""
        return self._io.new_input(location)

    def new_output(self, location: str) -> OutputFile:
        """Open for writing."""
        self.written.append(location)
        return self._io.new_output(location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Delete."""
        self._io.delete(location)


@dataclass(slots=True)
class _Try:
    io: Recording
    snapshot_id: int | None = None
    """Set once the catalog was asked."""
    refused: bool = False
    first: bool = False
    """The first one without the files that others took the place of."""


class Leftovers:
    """The files of one batch and of each try to commit it."""

    def __init__(self, io: FileIO, data: Sequence[str]) -> None:
        self._io, self._data = io, list(data)
        self._tries: list[_Try] = []
        self._earlier: list[str] = []

    def begin(self) -> Recording:
        """Return the FileIO for the next try's manifest and list."""
        self._tries.append(_Try(Recording(self._io)))
        return self._tries[-1].io

    def sent(self, snapshot_id: int) -> None:
        """Note that the catalog is asked now: from here on the outcome is unknown."""
        self._tries[-1].snapshot_id = snapshot_id

    @property
    def asked(self) -> frozenset[int]:
        """Return the snapshots that the catalog was asked for."""
        return frozenset(one.snapshot_id for one in self._tries if one.snapshot_id is not None)

    def refused(self) -> None:
        """Note that the answer to the last try was no."""
        if self._tries:
            self._tries[-1].refused = True

    def unasked(self) -> None:
        """Note that the last try ended before the catalog did anything."""
        if self._tries:
            self._tries[-1].snapshot_id = None

    def instead(self, paths: Sequence[str]) -> None:
        """Note that from the last try on others take the place of these files."""
        if not self._earlier:
            self._earlier = list(paths)
            self._tries[-1].first = True
            self._data = [path for path in self._data if path not in set(paths)]

    @property
    def refused_all(self) -> bool:
        """Tell whether the catalog was asked, and said no each time."""
        asked = [one for one in self._tries if one.snapshot_id is not None]
        return bool(asked) and all(one.refused for one in asked)

    def unread(self) -> None:
        """Delete everything if nothing was sent, else leave everything: nobody has read the table since."""
        if any(one.snapshot_id is not None for one in self._tries):
            self._left(len(self._data))
            return
        self._delete([*self._data, *self._earlier, *(path for one in self._tries for path in one.io.written)])

    def read(self, table: Table, *, landed: bool) -> None:
        """Delete what `table`, read after the last try, shows not to be in it."""
        known = {snapshot.snapshot_id for snapshot in table.metadata.snapshots}
        landed = landed or any(one.snapshot_id in known for one in self._tries)
        asked = [one for one in self._tries if one.snapshot_id is not None and one.snapshot_id not in known]
        unknown = [one for one in asked if not one.refused]
        certain = [one for one in self._tries if one.snapshot_id is None or (one in asked and one.refused)]
        gone = [path for one in certain for path in one.io.written]
        drop = not landed and not unknown
        if all(one in certain for one in takewhile(lambda one: not one.first, self._tries)):
            gone += self._earlier
        if drop:
            gone += self._data
        elif not landed:
            self._left(len(self._data))
        if gone and asked:  # a second proof, for the case that the catalog said no to what it had done
            try:
                referred = _referred(table, data=drop or any(path.endswith(".parquet") for path in gone))
            except Exception as error:  # noqa: BLE001 nothing is deleted then
                log.warning("leftovers_kept", files=len(gone), error=str(error))
                return
            gone = [path for path in gone if path not in referred]
        self._delete(gone)

    def _left(self, files: int) -> None:
        if files:
            log.warning("leftovers_kept", files=files, error="it is not known whether the commit landed")

    def _delete(self, paths: Iterable[str]) -> None:
        delete(self._io, paths)


def delete(io: FileIO, paths: Iterable[str]) -> None:
    """Delete files that are in no snapshot; what cannot be deleted is left for an orphan sweep."""
    for path in paths:
        try:
            io.delete(path)
        except FileNotFoundError:
            continue
        except Exception as error:  # noqa: BLE001 best effort
            log.warning("leftover_not_deleted", path=path, error=str(error))


def _referred(table: Table, *, data: bool) -> set[str]:
    head = table.current_snapshot()
    if head is None:
        return set()
    found = {head.manifest_list or ""}
    for manifest in head.manifests(table.io):
        found.add(manifest.manifest_path)
        if data:
            found |= {entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io)}
    return found
