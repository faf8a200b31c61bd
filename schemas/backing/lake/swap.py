"""A commit to a SQL catalog by what the table at hand says, instead of reading it again.

Lives here: the next metadata file of a table, and the statement that puts it in place of the one before. Not here: when
a commit is tried again (sinks/table/commit.py), connections (sql.py).
pyiceberg reads and parses the metadata file again for each commit and copies all of it twice. Metadata files never
change and their names never come back, so where the catalog still names the file that the table was read from, what
is at hand is what is there: the swap is the proof. Where it names another, pyiceberg's own way decides.
https://iceberg.apache.org/spec/#metastore-tables
"""

from pyiceberg.catalog import MetastoreCatalog
from pyiceberg.catalog.sql import IcebergTables
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import StagedTable, Table
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.update import (
    AddSnapshotUpdate,
    TableRequirement,
    TableUpdate,
    _apply_table_update,
    _TableMetadataUpdateContext,
    _update_table_metadata_log,
)
from sqlalchemy import Update, bindparam, update

SWAP: Update = (
    update(IcebergTables.__table__)  # type: ignore[arg-type]  # a Table, declared as FromClause
    .where(
        IcebergTables.catalog_name == bindparam("catalog"),
        IcebergTables.table_namespace == bindparam("namespace"),
        IcebergTables.table_name == bindparam("table"),
        IcebergTables.metadata_location == bindparam("before"),
    )
    .values(metadata_location=bindparam("after"), previous_metadata_location=bindparam("before"))
)
"""One row where the table still stands at `before`, none elsewhere."""


def swappable(table: Table, requirements: tuple[TableRequirement, ...], updates: tuple[TableUpdate, ...]) -> bool:
    """Tell whether a commit is a snapshot on a table that meets what it asks for, as far as the table at hand says."""
    if isinstance(table, StagedTable) or not any(isinstance(one, AddSnapshotUpdate) for one in updates):
        return False
    try:
        for requirement in requirements:
            requirement.validate(table.metadata)
    except CommitFailedException:
        return False
    return True


def following(table: Table, updates: tuple[TableUpdate, ...]) -> TableMetadata:
    """Return a table's metadata after `updates` that add a snapshot; parts that stay are shared, not copied."""
    context, made = _TableMetadataUpdateContext(), table.metadata
    for one in updates:
        made = _apply_table_update(one, made, context)
    made = _update_table_metadata_log(made, table.metadata_location, table.metadata.last_updated_ms)
    made.spec().check_compatible(made.schema())
    made.sort_order().check_compatible(made.schema())
    return made


def next_location(table: Table, metadata: TableMetadata) -> str:
    """Return the name of a table's next metadata file."""
    number = MetastoreCatalog._parse_metadata_version(table.metadata_location) + 1  # noqa: SLF001 see sinks/table
    return load_location_provider(metadata.location, metadata.properties).new_table_metadata_file_location(number)
