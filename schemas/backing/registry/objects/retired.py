"""The end of a tenant in the registry: disabled at once, emptied at last, its id kept for ever (rule 25).

Lives here: rows only, each step one transaction that may be done again. Not here: the order of the steps, topics,
tables and the stage's memory (sinks/jobs/tenants). What stays: the id, its topic names, its jobs, the log of changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Row, delete, select, update
from sqlalchemy import Table as SqlTable

from schemas.backing.registry import jobs
from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.outbound_tables import CONTACTS, LEASES, WEBHOOKS
from schemas.backing.registry.record import Actor
from schemas.backing.registry.tables import (
    CHANGES,
    IDEMPOTENCY,
    JOBS,
    KEYS,
    METADATA,
    ROLES,
    SOURCES,
    STREAM_STATES,
    STREAMS,
    SUBJECTS,
    TALLIES,
    TENANTS,
    TOPIC_NAMES,
    TOPICS,
)
from schemas.definitions.job import DELETE_TENANT, DROP_TABLES, FORGET, Job, JobState
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.change import FieldChange, Op

KEPT: Mapping[str, str] = {
    "tenants": "the id is never used again",
    "topic_names": "nor are the names of its topics",
    "changes": "what was done, by whom",
    "jobs": "the deletion itself can be read; other jobs go, their results show events",
    LEASES.name: "they are no tenant's",
}
"""Tables whose rows of a deleted tenant stay, and why. A table that is neither here nor emptied fails a test."""
_UNDER = {
    TALLIES: (TALLIES.c.source_id, SOURCES),
    STREAM_STATES: (STREAM_STATES.c.stream_id, STREAMS),
    IDEMPOTENCY: (IDEMPOTENCY.c.key_id, KEYS),
}
"""Tables of a tenant's objects that no foreign key empties with them."""
_TOLD = {"source": SOURCES, "stream": STREAMS, "key": KEYS, "subject": SUBJECTS, "role": ROLES, "webhook": WEBHOOKS,
         "contact": CONTACTS}  # fmt: skip
_CANCELLED = {"message": "the tenant is being deleted"}


@dataclass(frozen=True, slots=True)
class Remains:
    """What there is of a tenant: topic name -> (id, worker group of a raw topic), source ids, names spoken for."""

    topics: Mapping[str, tuple[str, str]]
    sources: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Retired:
    """The repository of what is left of tenants."""

    rim: Rim

    def begin(self, tenant: str, *, force: bool, drop_tables: bool, actor: Actor) -> Job:
        """Disable a tenant and queue its deletion; asked again, the same job, `force` and `dropTables` added to it.

        Keys and URLs stop working with the next snapshot. A deletion that failed is begun again. Raises
        `Refused(not_found)` for an id that never was a tenant's.
        """
        asked = {"force": force, "dropTables": drop_tables}
        with self.rim.database.change() as connection:
            row = connection.execute(select(TENANTS).where(TENANTS.c.id == tenant)).first()
            if row is None:
                raise Refused(Reason.NOT_FOUND, f"no tenant {tenant[:80]!r}")
            if not row.disabled:
                self._disable(connection, row, actor)
            found = connection.execute(
                select(JOBS).where(JOBS.c.tenant_id == tenant, JOBS.c.kind == DELETE_TENANT).limit(1)
            ).first()
            if found is None:
                return jobs.queued(self.rim, connection, tenant, DELETE_TENANT, asked, actor, asked)
            return self._again(connection, found, asked, actor)

    def wanted(self, job_id: str) -> Mapping[str, Any]:
        """Return what a deletion was asked for by now: `{force, dropTables}`."""
        with self.rim.database.read() as connection:
            found = connection.execute(select(JOBS.c.arguments).where(JOBS.c.id == job_id)).scalar()
        told: Mapping[str, Any] = orjson.loads(found) if found else {}
        return told

    def remains(self, tenant: str) -> Remains:
        """Return what the registry holds of a tenant's topics and sources now."""
        with self.rim.database.read() as connection:
            rows = connection.execute(select(TOPICS).where(TOPICS.c.tenant_id == tenant).order_by(TOPICS.c.name))
            topics = {row.name: (row.topic_id, row.group_name) for row in rows}
            ids = connection.execute(select(SOURCES.c.id).where(SOURCES.c.tenant_id == tenant).order_by(SOURCES.c.id))
            spoken = select(TOPIC_NAMES.c.name).where(TOPIC_NAMES.c.name.startswith(f"{tenant}.", autoescape=True))
            names = connection.execute(spoken.order_by(TOPIC_NAMES.c.name)).scalars()
            return Remains(topics, tuple(ids.scalars()), tuple(names))

    def resume(self, tenant: str, *, actor: Actor) -> None:
        """Let paused topics be processed: what was accepted gets its outcome before the tenant goes."""
        paused = (TOPICS.c.tenant_id == tenant) & TOPICS.c.paused.is_(True)
        with self.rim.database.change() as connection:
            if connection.execute(update(TOPICS).where(paused).values(paused=False)).rowcount:
                self._tell(connection, tenant, actor, "resumed")

    def stop_streams(self, tenant: str, *, actor: Actor) -> tuple[str, ...]:
        """Want every stream stopped; return the ids of those that ever ran."""
        running = (STREAMS.c.tenant_id == tenant) & (STREAMS.c.desired == "running")
        with self.rim.database.change() as connection:
            stopped = update(STREAMS).where(running).values(
                desired="stopped", version=STREAMS.c.version + 1, updated_at_ms=self.rim.now_ms()
            )  # fmt: skip
            for row in connection.execute(stopped.returning(*STREAMS.c)).all():
                field = FieldChange("/desired", "running", "stopped")
                entity = ("stream", row.id, row.name)
                self.rim.changes.append(
                    connection, actor, entity, Op.UPDATED, tenant=tenant, version=row.version, fields=(field,)
                )
            ran = select(STREAMS.c.id).where(STREAMS.c.tenant_id == tenant, STREAMS.c.generation > 0)
            return tuple(connection.execute(ran).scalars())

    def release(self, tenant: str, *, actor: Actor) -> None:
        """Take the tenant's topics out of the registry: the stage and the writers of its own tables let go of them."""
        with self.rim.database.change() as connection:
            if connection.execute(delete(TOPICS).where(TOPICS.c.tenant_id == tenant)).rowcount:
                self._tell(connection, tenant, actor, "released")

    def empty(self, tenant: str, *, actor: Actor) -> None:
        """Remove every row of a tenant, secrets included, but those of `KEPT`."""
        with self.rim.database.change() as connection:
            for kind, table in _TOLD.items():
                rows = connection.execute(select(table.c.id, table.c.name).where(table.c.tenant_id == tenant)).all()
                for row in rows:
                    self.rim.changes.append(connection, actor, (kind, row.id, row.name), Op.DELETED, tenant=tenant)
            for table, (column, owner) in _UNDER.items():
                own = select(owner.c.id).where(owner.c.tenant_id == tenant)
                connection.execute(delete(table).where(column.in_(own)))
            for table in _owned():
                connection.execute(delete(table).where(table.c.tenant_id == tenant))
            others = JOBS.c.kind.notin_([DELETE_TENANT, DROP_TABLES]) & JOBS.c.kind.not_like(f"{FORGET}.%")
            connection.execute(delete(JOBS).where(JOBS.c.tenant_id == tenant, others))

    def _disable(self, connection: Connection, row: Row[Any], actor: Actor) -> None:
        """Disable a tenant and end what runs for it: a job that runs notices at its next beat."""
        now = self.rim.now_ms()
        disabled = update(TENANTS).where(TENANTS.c.id == row.id)
        connection.execute(disabled.values(disabled=True, version=row.version + 1, updated_at_ms=now))
        open_ = JOBS.c.state.in_([JobState.QUEUED.value, JobState.RUNNING.value])
        ended = {"state": JobState.FAILED.value, "result": orjson.dumps(_CANCELLED).decode(), "updated_at_ms": now}
        connection.execute(update(JOBS).where(JOBS.c.tenant_id == row.id, open_).values(**ended))
        entity, field = ("tenant", row.id, row.id), FieldChange("/disabled", old=False, new=True)
        self.rim.changes.append(
            connection, actor, entity, Op.DELETED, tenant=row.id, version=row.version + 1, fields=(field,)
        )

    def _again(self, connection: Connection, row: Row[Any], asked: Mapping[str, bool], actor: Actor) -> Job:
        before = orjson.loads(row.arguments)
        after = {name: bool(before.get(name)) or wanted for name, wanted in asked.items()}
        failed = row.state == JobState.FAILED.value
        if row.state == JobState.SUCCEEDED.value or (after == before and not failed):
            return jobs.read(row)
        values: dict[str, Any] = {"arguments": orjson.dumps(after).decode(), "updated_at_ms": self.rim.now_ms()}
        if failed:
            values |= {"state": JobState.QUEUED.value, "attempts": 0, "lease_until_ms": 0}
        changed = update(JOBS).where(JOBS.c.id == row.id).values(**values).returning(*JOBS.c)
        fields = [FieldChange(f"/{name}", before.get(name), new) for name, new in after.items()]
        named = ("job", row.id, DELETE_TENANT)
        self.rim.changes.append(connection, actor, named, Op.UPDATED, tenant=row.tenant_id, fields=fields)
        return jobs.read(connection.execute(changed).one())

    def _tell(self, connection: Connection, tenant: str, actor: Actor, what: str) -> None:
        """Write down a step, which also gives the registry a new revision: views read it anew."""
        field = FieldChange("/topics", None, what)
        self.rim.changes.append(
            connection, actor, ("tenant", tenant, tenant), Op.UPDATED, tenant=tenant, fields=(field,)
        )


def _owned() -> list[SqlTable]:
    """Return the tables with rows of a tenant's own, children before their parents."""
    kept = {TENANTS, CHANGES, JOBS}
    return [table for table in reversed(METADATA.sorted_tables) if "tenant_id" in table.c and table not in kept]
