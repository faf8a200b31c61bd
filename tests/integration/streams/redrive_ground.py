"""What tests of the redrive job stand on: the quarantine topic in the table's place, and a job in this process."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from schemas.backing.registry import SYSTEM, Registry, Vault
from schemas.definitions.job import REDRIVE, Job
from schemas.ports import JobQueue, OpenRows, QuarantineTable
from schemas.wire.quarantine import FAILED, OpenRow, payload_digest
from schemas.wire.quarantine import decode as read_quarantine
from streams.jobs.log import Log
from streams.jobs.redrive import Redriver
from streams.jobs.runner import JobRunner
from tests.integration.streams.stack import read_to_end
from tests.integration.streams.worker import FileRegistry, WallClock

LEASE_S = 0.3


class TopicTable:
    """Implements ports.QuarantineTable over the topics themselves: a table that holds everything at once."""

    def __init__(self, bootstrap: str, topics: list[str], partitions: int) -> None:
        self._bootstrap, self._topics, self._partitions = bootstrap, topics, partitions

    def held(self, _tenant: str) -> dict[tuple[str, int], int]:
        ids = Log({"bootstrap.servers": self._bootstrap}, self._topics, WallClock().monotonic).ids
        return {(ids[name], number): 1 << 40 for name in self._topics for number in range(self._partitions)}

    def rows(self, _tenant: str, query: Mapping[str, Any], alive: Callable[[], None]) -> OpenRows:
        records = read_to_end(self._bootstrap, self._topics, self._partitions)
        found = [read_quarantine(value) for one in records if isinstance(value := one.value(), bytes)]
        alive()
        resolved = {record.position for record in found if record.kind != FAILED}
        return sorted(
            OpenRow(
                one.position, one.event_id, one.source_id, one.reason, len(one.payload), payload_digest(one.payload),
                one.delivery_id,
            )
            for one in found
            if one.kind == FAILED and one.position not in resolved
            and (query["distinct"] or one.reason != "id_conflict")
            and query.get("reason") in (None, one.reason)
        )  # fmt: skip


def registry(folder: Path) -> Registry:
    """Open the registry that holds jobs, a file of the test's own."""
    return Registry(f"sqlite:///{folder / 'jobs.db'}", vault=Vault(bytes(32)), clock=WallClock())


def runner(
    bootstrap: str,
    folder: Path,
    queue: JobQueue,
    table: QuarantineTable,
    wrap: Callable[[Any], Any] = lambda log: log,
    portion: int = 2,
) -> JobRunner:
    """Return a runner of redrives over a stage's registry file; `wrap` stands before Kafka."""
    kafka, clock = {"bootstrap.servers": bootstrap}, WallClock()
    view = FileRegistry(folder / "registry.json")
    work = Redriver(view, table, lambda names: wrap(Log(kafka, names, clock.monotonic)), portion=portion)
    return JobRunner(queue, {REDRIVE: work}, "me", lease_s=LEASE_S, poll_s=0.01)


def redrive(bootstrap: str, folder: Path, tenant: str, table: QuarantineTable, **arguments: Any) -> Job:
    """Do one redrive in this process and return the job."""
    opened = registry(folder)
    try:
        job = opened.jobs.create(tenant, REDRIVE, {"limit": 1000} | arguments, actor=SYSTEM)
        assert runner(bootstrap, folder, opened.jobs, table).run_one()
        return opened.jobs.get(tenant, job.id)
    finally:
        opened.close()
