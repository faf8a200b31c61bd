"""The job `sinks.drop_tables`: drop every table of ours in a deleted tenant's namespaces, and the namespaces.

Lives here: the job. Argument: `tenant`. Tables of streams deleted long ago go as well; tables of others stay.
"""

import time
from collections.abc import Callable
from typing import Any

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NamespaceNotEmptyError, NoSuchNamespaceError, NoSuchTableError

from schemas import logs
from sinks.table import state
from sinks.upkeep import collect

log = logs.logger(__name__)
_DROPPED = "dropped:"
GRACE_S = 3.0
"""From mark to end, as of one table: longer than views need to learn what is gone."""


def drop_all(
    catalog: Catalog, tenant: str, alive: Callable[[float], None], sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """Drop the tables; return `{dropped, left}` by name. Done again it drops what is left. Takes 3 s or more.

    `alive` is called with the share done before each table; it may raise to end the job.
    """
    ours, left = [], []
    spaces = [space for space in catalog.list_namespaces() if _owns(tenant, space[0])]
    for identifier in [table for space in spaces for table in catalog.list_tables(space)]:
        alive(0.0)
        if _marked(catalog, identifier):
            ours.append(identifier)
        else:
            left.append(".".join(identifier))
    if ours:
        sleep(GRACE_S)  # a tail that still runs is fenced by the mark
    for done, identifier in enumerate(ours, 1):
        try:
            table = catalog.load_table(identifier)
            collect.forget(table.metadata, table.io)
            catalog.purge_table(identifier)
        except NoSuchTableError:
            log.info("table_gone_already", table=".".join(identifier))
        alive(done / (len(ours) + 1))
    for space in spaces:
        try:
            catalog.drop_namespace(space)
        except NamespaceNotEmptyError:
            log.info("namespace_stays", namespace=".".join(space))
        except NoSuchNamespaceError:
            continue
    return {"dropped": sorted(".".join(identifier) for identifier in ours), "left": sorted(left)}


def _owns(tenant: str, namespace: str) -> bool:
    """Tell whether a namespace is a tenant's: tenants have no `__` in their ids."""
    return namespace == tenant or namespace.startswith(f"{tenant}__")


def _marked(catalog: Catalog, identifier: tuple[str, ...]) -> bool:
    """Mark a table as dropped; False when it is not one of ours."""
    try:
        table = catalog.load_table(identifier)
    except NoSuchTableError:
        return True
    owner = state.owner(table.metadata)
    if owner is None:
        return False
    if not owner.startswith(_DROPPED):
        with table.transaction() as change:
            change.set_properties({state.OWNER: f"{_DROPPED}{owner}"})
    return True
