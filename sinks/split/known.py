"""Which tables a split stream has: what its own table says, and how one more comes to be.

Lives here: the catalog's side. The stream's own table names every type's table in a property, written after the table
was made and before any table of the stream moves past the type's first record. Rules 17, 18.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException, NoSuchNamespaceError, NoSuchTableError
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import TableMetadata

from schemas.errors import Transient
from sinks.split.plan import table_names
from sinks.table import create, state
from sinks.table.partitions import Arrangement

TYPE = "hookberg.event-type"
"""Property of a type's table: which type."""
MEMBER = "hookberg.split."
"""Prefix of a property of the stream's own table, before the name of a type's table."""
_TRIES = 8


@dataclass(frozen=True, slots=True)
class Member:
    """A type's table; `start`: where it begins. Earlier records of its type there are none, or they are in the own."""

    event_type: str
    table: str
    start: state.Offsets


def members(metadata: TableMetadata) -> list[Member]:
    """Return the tables of types that a stream's own table names, by table name; what cannot be read is left out."""
    found = []
    for key, text in sorted(metadata.properties.items()):
        if key.startswith(MEMBER):
            said = json.loads(text)
            found.append(Member(said["type"], key.removeprefix(MEMBER), state.parse(json.dumps(said["start"]))))
    return found


def members_of(catalog: Catalog, own: create.Identifier, owner_id: str) -> list[Member]:
    """Return the tables of types of a stream by its own table; none while there is none, or it is not the stream's."""
    try:
        metadata = catalog.load_table(own).metadata
    except (NoSuchTableError, NoSuchNamespaceError):
        return []
    return members(metadata) if state.owner(metadata) in {owner_id, f"dropped:{owner_id}"} else []


def facts(event_type: str) -> Mapping[str, str]:
    """Return the properties that a type's table is made with."""
    return {TYPE: event_type}


def take(
    catalog: Catalog,
    own: create.Identifier,
    owner_id: str,
    event_type: str,
    start: state.Offsets,
    schema: Schema,
    arrangement: Arrangement,
) -> Member | None:
    """Return a type's table, made to begin at `start` if there is none; None: its names are all other tables'.

    Blocks on the catalog; raises what it raises.
    """
    for name in table_names(own[1], event_type):
        try:
            table = create.take(
                catalog, (own[0], name), schema, owner_id, lambda: start, arrangement, extra=facts(event_type)
            )
        except create.Foreign:
            continue
        properties = table.metadata.properties
        if properties.get(TYPE) == event_type:
            return Member(event_type, name, state.parse(properties.get(state.START + owner_id, "{}")))
    return None


def name(catalog: Catalog, own: create.Identifier, made: Sequence[Member]) -> None:
    """Write types' tables into the stream's own, whose writer commits at the same time. Raises `Transient`."""
    for _attempt in range(_TRIES):
        table = catalog.load_table(own)
        new = {
            MEMBER + one.table: json.dumps(
                {"type": one.event_type, "start": one.start}, sort_keys=True, separators=(",", ":")
            )
            for one in made
            if MEMBER + one.table not in table.metadata.properties
        }
        if not new:
            return
        try:
            with table.transaction() as change:
                change.set_properties(new)
        except CommitFailedException:
            continue
        return
    raise Transient(f"table {'.'.join(own)} is being changed by others all the time")
