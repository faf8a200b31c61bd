"""The orphan sweep: files in a table's location that nothing refers to, and that are too old to be on their way.

Lives here: what is an orphan, and its deletion. Not here: who asks (sinks/jobs/sweep_table.py). Only the folders `data`
and `metadata` of the table's own location are looked into, and only if no other table of the namespace lies there. What
is found is compared with the table as it is read afterwards, so a file of a commit made meanwhile is none.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from pyarrow.fs import FileSelector, FileType
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table

from schemas.errors import Poison
from schemas.reasons import Reason
from sinks.table import leftovers
from sinks.upkeep import collect
from sinks.upkeep import journal as journals

FOLDERS = ("data", "metadata")
MOST_LISTED = 2_000_000
MOST_FOUND = 100_000
"""A sweep ends there; the next one goes on."""
HINT = "version-hint.text"


@dataclass(frozen=True, slots=True)
class Orphan:
    """A file that nothing refers to: its full path, bytes, and when it was written, in epoch seconds."""

    path: str
    bytes: int
    written_s: float


class NotSwept(Poison):
    """The table cannot be swept safely."""

    def __init__(self, why: str) -> None:
        super().__init__(Reason.WRITER_FAILED, why)


def find(catalog: Catalog, table: Table, before_s: float, check: Callable[[], None]) -> list[Orphan]:
    """Return files written before `before_s` (epoch seconds) that nothing refers to; `table` is refreshed.

    Blocks on storage for as long as listing takes; `check` may raise to give up. Raises `NotSwept`.
    """
    _alone(catalog, table)
    listed: list[Orphan] = []
    for number, found in enumerate(_files(table.io, table.location(), check)):
        if number >= MOST_LISTED:
            raise NotSwept(f"the table has over {MOST_LISTED:,} files: nothing was deleted")
        if found.written_s < before_s and len(listed) < MOST_FOUND:
            listed.append(found)
    table.refresh()
    kept = _kept(table, check)
    return [one for one in listed if _plain(table.io, one.path) not in kept]


def delete(table: Table, found: list[Orphan], check: Callable[[], None]) -> int:
    """Delete what still nothing refers to when the table is read once more; return how many files."""
    table.refresh()
    kept = _kept(table, check)
    gone = [one for one in found if _plain(table.io, one.path) not in kept and _inside(table, one.path)]
    for one in gone:
        check()
        leftovers.delete(table.io, [one.path])
    return len(gone)


def _inside(table: Table, path: str) -> bool:
    return any(path.startswith(f"{table.location().rstrip('/')}/{folder}/") for folder in FOLDERS)


def _alone(catalog: Catalog, table: Table) -> None:
    """Raise `NotSwept` where another table of the namespace has its files here, or its folders are elsewhere."""
    location = table.location().rstrip("/") + "/"
    name = table.name()
    for setting in ("write.data.path", "write.metadata.path"):
        if setting in table.properties:
            raise NotSwept(f"the table sets {setting}: its folders are not its own location's")
    for identifier in catalog.list_tables(name[:-1]):
        if identifier[-1] == name[-1]:
            continue
        try:
            other = catalog.load_table(identifier).location().rstrip("/") + "/"
        except NoSuchTableError:
            continue
        if other.startswith(location) or location.startswith(other):
            raise NotSwept(f"table {'.'.join(identifier)} has its files in the same location")


def _files(io: FileIO, location: str, check: Callable[[], None]) -> Iterator[Orphan]:
    """Yield every file of the table's folders, a folder at a time."""
    if not isinstance(io, PyArrowFileIO):
        raise NotSwept("files can be listed only through pyiceberg's PyArrowFileIO: leave `py-io-impl` unset")
    scheme, netloc, root = io.parse_location(location.rstrip("/"), io.properties)
    filesystem = io.fs_by_scheme(scheme, netloc)
    waiting = [f"{root}/{folder}" for folder in FOLDERS]
    while waiting:
        check()
        for info in filesystem.get_file_info(FileSelector(waiting.pop(), allow_not_found=True)):
            if info.type == FileType.Directory:
                waiting.append(info.path)
            elif info.type == FileType.File and info.base_name != HINT:
                written = info.mtime if isinstance(info.mtime, datetime) else None
                full = location.rstrip("/") + info.path.removeprefix(root)
                yield Orphan(full, info.size or 0, written.timestamp() if written is not None else float("inf"))


def _plain(io: FileIO, path: str) -> str:
    """Return a path as the store has it: a catalog may write one place in two ways (`file:/a`, `file:///a`)."""
    assert isinstance(io, PyArrowFileIO)  # noqa: S101 `_files` has raised otherwise
    return io.parse_location(path, io.properties)[2]


def _kept(table: Table, check: Callable[[], None]) -> frozenset[str]:
    """Return what the table refers to, and upkeep's own files with what they list: those have their own end."""
    metadata, io = table.metadata, table.io
    held = collect.held(metadata, io, check)
    paths = {table.metadata_location, *held.lists, *held.manifests, *held.files}
    paths |= {entry.metadata_file for entry in metadata.metadata_log}
    paths |= {one.statistics_path for one in metadata.statistics}
    paths |= {one.statistics_path for one in metadata.partition_statistics}
    paths |= {journals.path_of(metadata, slot) for slot in journals.SLOTS}
    book = journals.load(metadata, io)
    for batch in book.batches:
        paths.add(journals.path_of(metadata, batch.name))
        paths |= set(journals.read_batch(metadata, io, batch))
    paths |= set(book.known.values())
    return frozenset(_plain(io, path) for path in paths)
