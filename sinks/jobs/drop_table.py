"""The job `sinks.drop_table`: drop the table of a deleted stream, files included; and the turn of the writers' jobs.

Lives here: the job, claiming it and those of drop_tables.py and sweep_table.py. Arguments: `streamId`, `namespace`,
`table`. Only a table that this stream owns is dropped.
"""

import time
from collections.abc import Callable
from typing import Any

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError

from schemas import logs
from schemas.definitions.job import DROP_TABLES, SWEEP_TABLE
from schemas.errors import Transient
from schemas.ports import JobQueue
from sinks.jobs import drop_tables, sweep_table
from sinks.split.known import members
from sinks.table import state
from sinks.upkeep import collect

KIND = "sinks.drop_table"
LEASE_S = 120.0
GRACE_S = 3.0
"""From mark to end: longer than views need to learn that the stream is gone, so no tail makes the table anew."""
log = logs.logger(__name__)


def run_one(jobs: JobQueue, catalog: Catalog, owner: str, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Claim and do one job; False when there is none, or the registry is away. Blocks on catalog and storage."""
    try:
        job = jobs.claim([KIND, DROP_TABLES, SWEEP_TABLE], owner, LEASE_S)
    except Exception as error:  # noqa: BLE001 the data plane outlives the control plane
        log.warning("jobs_not_read", error=str(error))
        return False
    if job is None:
        return False
    job_id = job.id

    def alive(share: float) -> None:
        if not jobs.progress(job_id, owner, share, LEASE_S):
            raise Transient("another process took the job over")

    try:
        if job.kind == KIND:
            result, failed = drop(catalog, job.arguments, sleep)
        elif job.kind == SWEEP_TABLE:
            result, failed = sweep_table.sweep(catalog, job.arguments, alive, time.time), False
        else:
            result, failed = drop_tables.drop_all(catalog, str(job.arguments["tenant"]), alive, sleep), False
    except Exception as error:
        log.exception("drop_table_failed", job=job.id)
        result, failed = {"message": f"{type(error).__name__}: {error}"}, True
    jobs.finish(job.id, owner, result, failed=failed)
    return True


def drop(
    catalog: Catalog, arguments: dict[str, Any], sleep: Callable[[float], None] = time.sleep
) -> tuple[dict[str, Any], bool]:
    """Drop the table if the stream owns it, after those of its types where it is split (sinks/split).

    Returns the job's result and whether it failed. The stream's own table goes last: it names the others, so a job
    begun again goes on. Takes 3 s or more.
    """
    identifier, stream_id = (str(arguments["namespace"]), str(arguments["table"])), str(arguments["streamId"])
    try:
        table = catalog.load_table(identifier)
    except NoSuchTableError:
        return {"dropped": False, "message": "the table does not exist"}, False
    if state.owner(table.metadata) not in {stream_id, _mark(stream_id)}:
        return {"dropped": False, "message": "the table belongs to another stream, or to none of ours"}, True
    also = [(identifier[0], member.table) for member in members(table.metadata)]
    marked = [one for one in (identifier, *also) if _marked(catalog, one, stream_id)]
    sleep(GRACE_S)
    for one in reversed(marked):
        _end(catalog, one, stream_id)
    return {"dropped": True, **({"tables": len(marked)} if also else {})}, False


def _mark(stream_id: str) -> str:
    return f"dropped:{stream_id}"


def _marked(catalog: Catalog, identifier: tuple[str, str], stream_id: str) -> bool:
    """Take a table from its writer, which is fenced by this; False when it is not the stream's, or gone."""
    try:
        table = catalog.load_table(identifier)
    except NoSuchTableError:
        return False
    if state.owner(table.metadata) not in {stream_id, _mark(stream_id)}:
        return False
    with table.transaction() as change:
        change.set_properties({state.OWNER: _mark(stream_id)})
    return True


def _end(catalog: Catalog, identifier: tuple[str, str], stream_id: str) -> None:
    try:
        now = catalog.load_table(identifier)
    except NoSuchTableError:
        return  # another process took the job over when our lease had run out
    if state.owner(now.metadata) == _mark(stream_id):
        collect.forget(now.metadata, now.io)
        catalog.purge_table(identifier)
