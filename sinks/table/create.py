"""Making a table, and taking one that exists: ours or nobody's.

Lives here: properties, location, partitioning and the owner check. The commit that creates a table holds the resolved
start of every partition (rule 18). A table without our owner property is never touched.
"""

from collections.abc import Callable, Mapping, Sequence

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.schema import Schema
from pyiceberg.table import Table

from schemas.errors import Poison
from schemas.reasons import Reason
from sinks.rows import stitch
from sinks.table import state
from sinks.table.partitions import Arrangement, arranged, order_of, spec_of
from sinks.table.schema import name_in

KEEP_METADATA = 5
METRICS = ("received_at", "event_time", "event_id", "vendor_event_id", "event_type")
BY_DAY = Arrangement()
Identifier = tuple[str, str]


class Foreign(Poison):
    """The table exists and is not this stream's."""

    def __init__(self, identifier: Identifier, owner: str | None) -> None:
        whose = "was made by someone else" if owner is None else f"belongs to {owner}"
        super().__init__(
            Reason.TABLE_FOREIGN,
            f"table {'.'.join(identifier)} {whose}: name another targetTable, or drop the table",
        )


def properties(owner_id: str, start: state.Offsets, metrics: Sequence[str] = METRICS) -> dict[str, str]:
    """Return the properties of a new table; measured choices: see README.md here."""
    return {
        "format-version": "2",
        "write.parquet.compression-codec": "zstd",
        "write.parquet.row-group-limit": "100000",
        "write.metadata.delete-after-commit.enabled": "true",
        "write.metadata.previous-versions-max": str(KEEP_METADATA),
        "commit.retry.num-retries": "0",
        "write.delete.isolation-level": "snapshot",
        "write.update.isolation-level": "snapshot",
        "write.metadata.metrics.default": "none",
        **{f"write.metadata.metrics.column.{name}": "full" for name in metrics},
        state.OWNER: owner_id,
        state.OFFSETS + owner_id: state.dump(start),
        state.START + owner_id: state.dump(start),
    }


def take(
    catalog: Catalog,
    identifier: Identifier,
    schema: Schema,
    owner_id: str,
    start: Callable[[], state.Offsets],
    arrangement: Arrangement = BY_DAY,
    *,
    extra: Mapping[str, str] | None = None,
) -> Table:
    """Return the table, made if it does not exist and cut and sorted as wanted.

    Raises `Foreign`, and what the catalog raises when it is away or somebody else has changed the table just now.
    `start` is asked only when the table must be made. Whoever loses a race, or does not hear the answer, reads the
    table again: the property decides.
    """
    extra = {state.SORTED: ", ".join(map(str, arrangement.orders)), **(extra or {})}
    metrics = [name_in(schema, name) for name in METRICS]
    metrics += [name for name in (stitch.SEQUENCE,) if name in schema.column_names]
    try:
        table = catalog.load_table(identifier)
    except NoSuchTableError:
        props = {**properties(owner_id, start(), metrics), **extra}
        table = _make(catalog, identifier, schema, props, arrangement)
    if state.owner(table.metadata) != owner_id:
        raise Foreign(identifier, state.owner(table.metadata))
    return arranged(table, arrangement, schema)


def _make(
    catalog: Catalog, identifier: Identifier, schema: Schema, props: dict[str, str], arrangement: Arrangement
) -> Table:
    try:
        catalog.create_namespace(identifier[0])
    except NamespaceAlreadyExistsError:
        pass
    except Exception:
        if not catalog.namespace_exists(identifier[0]):
            raise
    try:
        return catalog.create_table(
            identifier,
            schema,
            partition_spec=spec_of(schema, arrangement.cuts),
            sort_order=order_of(schema, arrangement.orders),
            properties=props,
        )
    except TableAlreadyExistsError:
        return catalog.load_table(identifier)
    except Exception as error:  # noqa: BLE001 unknown outcome (rule 20)
        try:
            return catalog.load_table(identifier)
        except NoSuchTableError:
            raise error from None
