"""Jobs: rows that the owning process claims with a lease; heavy work never runs in a request.

Lives here: the queue. Not here: what a job does (streams/jobs, sinks/jobs). Implements ports.JobQueue.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Row, and_, case, insert, or_, select, update

from schemas.backing.registry.changes import diff
from schemas.backing.registry.objects.repository import Rim, alive, page_of
from schemas.backing.registry.record import Actor, Page, PageRequest
from schemas.backing.registry.tables import JOBS
from schemas.definitions.job import Job, JobState
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.change import Op

MAX_ATTEMPTS = 5
_LOST = {"error": f"its worker stopped {MAX_ATTEMPTS} times before it was done; see the log of that process"}


@dataclass(frozen=True, slots=True)
class Jobs:
    """The repository and the queue of jobs."""

    rim: Rim

    def create(
        self,
        tenant: str,
        kind: str,
        arguments: Mapping[str, Any],
        *,
        actor: Actor,
        told: Mapping[str, Any] | None = None,
    ) -> Job:
        """Queue a job; raises `Refused(not_found)` for a tenant that is not there. `told`: what the audit log shows."""
        with self.rim.database.change() as connection:
            alive(connection, tenant)
            return queued(self.rim, connection, tenant, kind, arguments, actor, told)

    def follow(self, tenant: str, kind: str, arguments: Mapping[str, Any], *, actor: Actor) -> Job:
        """Queue a part of a tenant's deletion; the tenant is disabled by then."""
        with self.rim.database.change() as connection:
            return queued(self.rim, connection, tenant, kind, arguments, actor)

    def get(self, tenant: str, job_id: str) -> Job:
        """Return a job of a tenant, "" = of any; raises `Refused(not_found)`."""
        with self.rim.database.read() as connection:
            query = select(JOBS).where(JOBS.c.id == job_id)
            if tenant:
                query = query.where(JOBS.c.tenant_id == tenant)
            row = connection.execute(query).first()
        if row is None:
            raise Refused(Reason.NOT_FOUND, f"no job {job_id[:80]!r}")
        return read(row)

    def list(self, tenant: str, page: PageRequest) -> Page[Job]:
        """Return the jobs of a tenant, newest first."""
        query = select(JOBS).where(JOBS.c.tenant_id == tenant)
        with self.rim.database.read() as connection:
            return page_of(connection, query, JOBS.c.created_at_ms, JOBS.c.id, page, read, newest_first=True)

    def claim(self, kinds: Sequence[str], owner: str, lease_s: float) -> Job | None:
        """Take the oldest queued job of one of `kinds`, or one whose lease has run out; None if there is none.

        A job that was taken five times in a row and got no further becomes failed instead.
        """
        now = self.rim.now_ms()
        free = or_(
            JOBS.c.state == JobState.QUEUED.value,
            and_(JOBS.c.state == JobState.RUNNING.value, JOBS.c.lease_until_ms < now),
        )
        query = select(JOBS).where(JOBS.c.kind.in_(list(kinds)), free).order_by(JOBS.c.created_at_ms, JOBS.c.id)
        with self.rim.database.write() as connection:
            while True:
                row = connection.execute(query.limit(1).with_for_update(skip_locked=True)).first()
                if row is None:
                    return None
                if row.attempts < MAX_ATTEMPTS:
                    return read(self._take(connection, row, owner, now + int(lease_s * 1000)))
                values = {"state": JobState.FAILED.value, "result": orjson.dumps(_LOST).decode(), "updated_at_ms": now}
                connection.execute(update(JOBS).where(JOBS.c.id == row.id).values(**values))

    def progress(
        self, job_id: str, owner: str, share: float, lease_s: float, so_far: Mapping[str, Any] | None = None
    ) -> bool:
        """Renew the lease and store the share done (0..1); False when the job is no longer this owner's.

        `so_far`: the result until now, which whoever takes the job over finds in it.
        """
        share = min(1.0, max(0.0, share))
        values: dict[str, Any] = {
            "progress": share,
            "lease_until_ms": self.rim.now_ms() + int(lease_s * 1000),
            "attempts": case((JOBS.c.progress < share, 1), else_=JOBS.c.attempts),
        }
        if so_far is not None:
            values["result"] = orjson.dumps(dict(so_far)).decode()
        return self._own(job_id, owner, values)

    def finish(self, job_id: str, owner: str, result: Mapping[str, Any], *, failed: bool = False) -> bool:
        """Store the result; False when the job is no longer this owner's."""
        state = JobState.FAILED if failed else JobState.SUCCEEDED
        values: dict[str, Any] = {"state": state.value, "result": orjson.dumps(dict(result)).decode()}
        return self._own(job_id, owner, values if failed else {**values, "progress": 1.0})

    def _own(self, job_id: str, owner: str, values: Mapping[str, Any]) -> bool:
        mine = and_(JOBS.c.id == job_id, JOBS.c.owner == owner, JOBS.c.state == JobState.RUNNING.value)
        statement = update(JOBS).where(mine).values(updated_at_ms=self.rim.now_ms(), **values)
        with self.rim.database.write() as connection:
            return connection.execute(statement).rowcount == 1

    def _take(self, connection: Connection, row: Row[Any], owner: str, lease_until_ms: int) -> Row[Any]:
        values = {
            "state": JobState.RUNNING.value,
            "owner": owner,
            "lease_until_ms": lease_until_ms,
            "attempts": row.attempts + 1,
            "updated_at_ms": self.rim.now_ms(),
        }
        return connection.execute(update(JOBS).where(JOBS.c.id == row.id).values(**values).returning(*JOBS.c)).one()


def queued(
    rim: Rim,
    connection: Connection,
    tenant: str,
    kind: str,
    arguments: Mapping[str, Any],
    actor: Actor,
    told: Mapping[str, Any] | None = None,
) -> Job:
    """Write a new job and its entry in the log of changes into the transaction of `change()`."""
    now = rim.now_ms()
    made = insert(JOBS).values(
        id=rim.new_id(),
        tenant_id=tenant,
        kind=kind,
        arguments=orjson.dumps(dict(arguments)).decode(),
        state=JobState.QUEUED.value,
        progress=0.0,
        lease_until_ms=0,
        attempts=0,
        created_at_ms=now,
        updated_at_ms=now,
    )
    row = connection.execute(made.returning(*JOBS.c)).one()
    rim.changes.append(connection, actor, ("job", row.id, kind), Op.CREATED, tenant=tenant, fields=diff(None, told))
    return read(row)


def read(row: Row[Any]) -> Job:
    """Return the job of a row."""
    return Job(
        id=row.id,
        tenant_id=row.tenant_id,
        kind=row.kind,
        arguments=orjson.loads(row.arguments),
        state=JobState(row.state),
        progress=row.progress,
        result=None if row.result is None else orjson.loads(row.result),
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms,
        attempts=row.attempts,
    )
