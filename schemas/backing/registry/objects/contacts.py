"""Contacts: people and teams that webhooks are sent to as admins, owners and followers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from schemas.backing.registry.changes import diff
from schemas.backing.registry.objects.repository import Rim, alive, begins, expect, find, page_of, taken
from schemas.backing.registry.outbound_tables import CONTACTS
from schemas.backing.registry.record import Actor, Page, PageRequest, Record
from schemas.definitions.contact import MAX_CONTACTS, ContactDefinition
from schemas.definitions.notification import ContactView
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.change import FieldChange, Op

ContactRecord = Record[ContactDefinition]
_C = CONTACTS.c


@dataclass(frozen=True, slots=True)
class Contacts:
    """The repository of contacts."""

    rim: Rim

    def create(self, tenant: str, definition: ContactDefinition, *, actor: Actor) -> ContactRecord:
        """Make a contact. Raises `Refused`: not_found (tenant), name_taken, too_many_contacts."""
        now = self.rim.now_ms()
        with self.rim.database.change() as connection:
            alive(connection, tenant)
            taken(connection, CONTACTS, tenant, definition.name)
            held = connection.execute(select(func.count()).where(_C.tenant_id == tenant)).scalar_one()
            if held >= MAX_CONTACTS:
                raise Refused(Reason.TOO_MANY_CONTACTS, f"the tenant has {held} contacts, as many as it may")
            row = connection.execute(
                insert(CONTACTS)
                .values(
                    id=self.rim.new_id(),
                    tenant_id=tenant,
                    name=definition.name,
                    definition=definition.model_dump_json(by_alias=True),
                    version=1,
                    created_at_ms=now,
                    updated_at_ms=now,
                )
                .returning(*_C)
            ).one()
            self._log(connection, row, actor, Op.CREATED, diff(None, definition.to_wire()))
        return _record(row)

    def get(self, tenant: str, id_or_name: str) -> ContactRecord:
        """Return a contact; raises `Refused(not_found)`."""
        with self.rim.database.read() as connection:
            return _record(find(connection, CONTACTS, tenant, id_or_name))

    def list(self, tenant: str, page: PageRequest, prefix: str = "") -> Page[ContactRecord]:
        """Return the contacts of a tenant by name; those whose name begins so, or all."""
        query = select(CONTACTS).where(_C.tenant_id == tenant)
        if prefix:
            query = query.where(begins(_C.name, prefix))
        with self.rim.database.read() as connection:
            return page_of(connection, query, _C.name, _C.id, page, _record)

    def all(self, tenant: str) -> tuple[ContactView, ...]:
        """Return the contacts of a tenant by id: a bounded number."""
        query = select(CONTACTS).where(_C.tenant_id == tenant).order_by(_C.id)
        with self.rim.database.read() as connection:
            return tuple(ContactView(row.id, row.tenant_id, _definition(row)) for row in connection.execute(query))

    def update(
        self, tenant: str, id_or_name: str, definition: ContactDefinition, *, if_match: int | None = None, actor: Actor
    ) -> ContactRecord:
        """Replace a contact. Raises `Refused`: not_found, precondition_failed, name_taken."""
        with self.rim.database.change() as connection:
            row = find(connection, CONTACTS, tenant, id_or_name)
            expect(row, if_match)
            taken(connection, CONTACTS, tenant, definition.name, but=row.id)
            fields = diff(_definition(row).to_wire(), definition.to_wire())
            if not fields:
                return _record(row)
            changed = update(CONTACTS).where(_C.id == row.id)
            changed = changed.values(
                name=definition.name,
                definition=definition.model_dump_json(by_alias=True),
                version=row.version + 1,
                updated_at_ms=self.rim.now_ms(),
            )
            row = connection.execute(changed.returning(*_C)).one()
            self._log(connection, row, actor, Op.UPDATED, fields)
        return _record(row)

    def delete(self, tenant: str, id_or_name: str, *, if_match: int | None = None, actor: Actor) -> None:
        """Remove a contact; entities that it owns keep its name. Raises `Refused`: not_found, precondition_failed."""
        with self.rim.database.change() as connection:
            row = find(connection, CONTACTS, tenant, id_or_name)
            expect(row, if_match)
            connection.execute(delete(CONTACTS).where(_C.id == row.id))
            self._log(connection, row, actor, Op.DELETED, diff(_definition(row).to_wire(), None))

    def _log(self, connection: Connection, row: Row[Any], actor: Actor, op: Op, fields: Iterable[FieldChange]) -> None:
        entity = ("contact", row.id, row.name)
        self.rim.changes.append(connection, actor, entity, op, tenant=row.tenant_id, version=row.version, fields=fields)


def _definition(row: Row[Any]) -> ContactDefinition:
    return ContactDefinition.model_validate_json(row.definition)


def _record(row: Row[Any]) -> ContactRecord:
    return Record(
        id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        version=row.version,
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms,
        definition=_definition(row),
    )
