"""Tenants: made once, never renamed, never removed: an id is retired for ever (rule 25). How one ends: retired.py."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select

from schemas import names, topics
from schemas.backing.registry.objects.repository import Rim, page_of
from schemas.backing.registry.objects.topics import reserve
from schemas.backing.registry.record import Actor, Page, PageRequest, Record
from schemas.backing.registry.tables import TENANTS
from schemas.definitions.key import TenantDefinition
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.change import Op


@dataclass(frozen=True, slots=True)
class Tenants:
    """The repository of tenants."""

    rim: Rim

    def create(self, tenant_id: str, *, actor: Actor) -> Record[TenantDefinition]:
        """Make a tenant; raises `Refused`: invalid_name, name_taken, tenant_retired, topic_name_taken."""
        names.tenant(tenant_id)
        now = self.rim.now_ms()
        with self.rim.database.change() as connection:
            found = connection.execute(select(TENANTS.c.disabled).where(TENANTS.c.id == tenant_id)).first()
            if found is not None and found.disabled:
                raise Refused(
                    Reason.TENANT_RETIRED, f"tenant {tenant_id!r} was deleted: its id is never used again, take another"
                )
            if found is not None:
                raise Refused(Reason.NAME_TAKEN, f"tenant {tenant_id!r} exists")
            reserve(connection, topics.ledger(tenant_id), topics.table(tenant_id))
            row = connection.execute(
                insert(TENANTS)
                .values(id=tenant_id, disabled=False, version=1, created_at_ms=now, updated_at_ms=now)
                .returning(*TENANTS.c)
            ).one()
            entity = ("tenant", tenant_id, tenant_id)
            self.rim.changes.append(connection, actor, entity, Op.CREATED, tenant=tenant_id)
        return _record(row)

    def get(self, tenant_id: str) -> Record[TenantDefinition]:
        """Return a tenant that is not disabled; raises `Refused(not_found)`."""
        query = select(TENANTS).where(TENANTS.c.id == tenant_id, TENANTS.c.disabled.is_(False))
        with self.rim.database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise Refused(Reason.NOT_FOUND, f"no tenant {tenant_id[:80]!r}")
        return _record(row)

    def list(self, page: PageRequest) -> Page[Record[TenantDefinition]]:
        """Return the tenants that are not disabled, by id."""
        query = select(TENANTS).where(TENANTS.c.disabled.is_(False))
        with self.rim.database.read() as connection:
            return page_of(connection, query, TENANTS.c.id, TENANTS.c.id, page, _record)


def _record(row: Row[Any]) -> Record[TenantDefinition]:
    definition = TenantDefinition(id=row.id)
    return Record(row.id, row.id, row.id, row.version, row.created_at_ms, row.updated_at_ms, definition)
