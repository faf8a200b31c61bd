"""Tenants: made once, never renamed, disabled instead of removed: an id is retired for ever (rule 25)."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select, update

from schemas import names, topics
from schemas.backing.registry.objects.repository import Rim, page_of
from schemas.backing.registry.objects.topics import reserve
from schemas.backing.registry.record import Actor, Page, PageRequest, Record
from schemas.backing.registry.tables import TENANTS
from schemas.definitions.key import TenantDefinition
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.change import FieldChange, Op


@dataclass(frozen=True, slots=True)
class Tenants:
    """The repository of tenants."""

    rim: Rim

    def create(self, tenant_id: str, *, actor: Actor) -> Record[TenantDefinition]:
        """Make a tenant; raises `Refused`: invalid_name, name_taken (also by a retired id), topic_name_taken."""
        names.tenant(tenant_id)
        now = self.rim.now_ms()
        with self.rim.database.change() as connection:
            if connection.execute(select(TENANTS.c.id).where(TENANTS.c.id == tenant_id)).first() is not None:
                raise Refused(Reason.NAME_TAKEN, f"tenant {tenant_id!r} exists, or existed: ids are never used again")
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

    def delete(self, tenant_id: str, *, actor: Actor) -> None:
        """Disable a tenant: its keys and URLs stop working with the next snapshot; raises `Refused(not_found)`."""
        disable = (
            update(TENANTS)
            .where(TENANTS.c.id == tenant_id, TENANTS.c.disabled.is_(False))
            .values(disabled=True, version=TENANTS.c.version + 1, updated_at_ms=self.rim.now_ms())
            .returning(TENANTS.c.version)
        )
        with self.rim.database.change() as connection:
            row = connection.execute(disable).first()
            if row is None:
                raise Refused(Reason.NOT_FOUND, f"no tenant {tenant_id[:80]!r}")
            entity, fields = ("tenant", tenant_id, tenant_id), (FieldChange("/disabled", old=False, new=True),)
            self.rim.changes.append(
                connection, actor, entity, Op.DELETED, tenant=tenant_id, version=row.version, fields=fields
            )


def _record(row: Row[Any]) -> Record[TenantDefinition]:
    definition = TenantDefinition(id=row.id)
    return Record(row.id, row.id, row.id, row.version, row.created_at_ms, row.updated_at_ms, definition)
