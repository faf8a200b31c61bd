"""The job `sinks.sweep_table`: look for orphans in a stream's tables, and delete them if that is asked.

Lives here: the job. Arguments: `streamId`, `namespace`, `table`, `delete`, `olderThanHours`. What an orphan is:
sinks/upkeep/orphans.py. The tables of a split stream are swept one after another.
"""

import time
from collections.abc import Callable
from typing import Any

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table

from sinks.split import known
from sinks.table import state
from sinks.upkeep import orphans

SHOWN = 100
ALIVE_S = 20.0


def sweep(
    catalog: Catalog, arguments: dict[str, Any], alive: Callable[[float], None], now_s: Callable[[], float]
) -> dict[str, Any]:
    """Return `{tables, files, bytes, deleted, shown, notSwept}`; only tables that the stream owns are looked at.

    `alive` is called with the share done every 20 s; it may raise to end the job. Blocks on catalog and storage.
    """
    namespace, stream_id = str(arguments["namespace"]), str(arguments["streamId"])
    before_s = now_s() - float(arguments["olderThanHours"]) * 3600
    tables, not_swept = _tables(catalog, namespace, str(arguments["table"]), stream_id)
    files = size = deleted = 0
    shown: list[str] = []
    told_at = [time.monotonic()]
    for number, table in enumerate(tables):

        def check(share: float = number / len(tables)) -> None:
            if time.monotonic() - told_at[0] > ALIVE_S:
                told_at[0] = time.monotonic()
                alive(share)

        try:
            found = orphans.find(catalog, table, before_s, check)
        except orphans.NotSwept as error:
            not_swept.append(f"{table.name()[-1]}: {error.message}")
            continue
        files, size = files + len(found), size + sum(one.bytes for one in found)
        cut = table.location().rstrip("/").rpartition("/")[0] + "/"
        shown += [one.path.removeprefix(cut) for one in found[: max(0, SHOWN - len(shown))]]
        if arguments["delete"] and state.owner(table.metadata) == stream_id:
            deleted += orphans.delete(table, found, check)
    return {
        "tables": [table.name()[-1] for table in tables],
        "files": files,
        "bytes": size,
        "deleted": deleted,
        "shown": shown,
        "notSwept": not_swept,
    }


def _tables(catalog: Catalog, namespace: str, name: str, stream_id: str) -> tuple[list[Table], list[str]]:
    """Return the stream's tables, and why others that it names are left out."""
    try:
        own = catalog.load_table((namespace, name))
    except NoSuchTableError:
        return [], [f"{name}: the table does not exist"]
    found, left = [], []
    for one in (name, *(member.table for member in known.members(own.metadata))):
        try:
            table = own if one == name else catalog.load_table((namespace, one))
        except NoSuchTableError:
            continue
        if state.owner(table.metadata) == stream_id:
            found.append(table)
        else:
            left.append(f"{one}: the table belongs to another stream, or to none of ours")
    return found, left
