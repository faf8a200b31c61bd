"""Outbound webhooks: the entity with its versions and secrets; its deliveries are in ../outbound.

Lives here: the changes, each one transaction with its row in the log of changes. A soft delete is `updated` there, with
`/deleted` false to true, a restore the way back; `deleted` is the end. A status that notify sets is a change too
(`/status`), but no version of the entity.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from schemas.backing.registry.changes import HIDDEN, diff
from schemas.backing.registry.objects import webhook_references, webhook_secrets, webhook_status, webhook_versions
from schemas.backing.registry.objects.repository import Rim, alive, begins, expect
from schemas.backing.registry.objects.webhook_record import (
    Include,
    WebhookRecord,
    definition_of,
    entity,
    hidden,
    named,
    record,
    records,
    rows_of,
    stored,
)
from schemas.backing.registry.outbound_tables import WEBHOOKS
from schemas.backing.registry.record import Actor, Page, PageRequest, cursor_read, cursor_text
from schemas.backing.registry.tables import TENANTS
from schemas.backing.registry.vault import Vault
from schemas.definitions import entity_version
from schemas.definitions.notification import FailureDetails, WebhookView
from schemas.definitions.webhook import MAX_WEBHOOKS, WebhookDefinition, WebhookStatus
from schemas.errors import Refused
from schemas.reasons import Reason
from schemas.wire.change import FieldChange, Op
from schemas.wire.entity_event import Delta, Description

_W = WEBHOOKS.c
_SECRET = "webhookConfig.secretKey"  # noqa: S105 the name of a member


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The repository of webhooks. `overlap_s`: how long a replaced secret signs beside the new one."""

    rim: Rim
    vault: Vault

    def create(self, tenant: str, definition: WebhookDefinition, *, actor: Actor) -> WebhookRecord:
        """Make a webhook. Raises `Refused`: not_found (tenant), name_taken, too_many_webhooks, invalid_definition."""
        now, webhook_id = self.rim.now_ms(), self.rim.new_id()
        with self.rim.database.change() as connection:
            alive(connection, tenant)
            _room(connection, tenant, definition.name)
            kept = webhook_references.resolved(connection, tenant, webhook_id, definition.without_secret())
            connection.execute(
                insert(WEBHOOKS).values(
                    id=webhook_id,
                    tenant_id=tenant,
                    name=kept.name,
                    definition=stored(kept),
                    status=webhook_status.of(enabled=kept.enabled).value,
                    deleted=False,
                    entity_version=entity_version.FIRST,
                    updated_by=actor.id,
                    version=1,
                    created_at_ms=now,
                    updated_at_ms=now,
                )
            )
            self._put_secret(connection, webhook_id, definition, overlap_s=0)
            made = self._made(connection, webhook_id)
            self._log(connection, made, actor, Op.CREATED, diff(None, hidden(made)))
        return made

    def get(self, tenant: str, id_or_name: str, include: Include = Include.NON_DELETED) -> WebhookRecord:
        """Return a webhook by id, name or full name; raises `Refused(not_found)`."""
        with self.rim.database.read() as connection:
            return record(connection, named(connection, tenant, id_or_name, include))

    def list(
        self,
        tenant: str,
        page: PageRequest,
        wanted: Callable[[WebhookRecord], bool] = lambda _record: True,
        *,
        prefix: str = "",
        include: Include = Include.NON_DELETED,
    ) -> Page[WebhookRecord]:
        """Return the webhooks of a tenant by name that are `wanted`: a tenant has a bounded number of them."""
        query = rows_of(tenant, include).order_by(_W.name)
        if prefix:
            query = query.where(begins(_W.name, prefix))
        if page.cursor is not None:
            query = query.where(_W.name > cursor_read(page.cursor, str)[0])
        with self.rim.database.read() as connection:
            return _page(connection, query, page.limit, wanted)

    def update(
        self,
        tenant: str,
        id_or_name: str,
        definition: WebhookDefinition,
        *,
        overlap_s: float,
        if_match: int | None = None,
        actor: Actor,
    ) -> WebhookRecord:
        """Replace a definition; nothing changed, nothing is written. `enabled` anew begins anew: active, no failure.

        Raises `Refused`: not_found, precondition_failed, immutable (name), invalid_definition.
        """
        with self.rim.database.change() as connection:
            row = named(connection, tenant, id_or_name, Include.NON_DELETED)
            expect(row, if_match)
            before = record(connection, row)
            if definition.name != before.name:
                raise Refused(Reason.IMMUTABLE, "/name: a webhook's name is its address: change displayName, or make "
                              "another webhook", errors=(("/name", "never changes"),))  # fmt: skip
            kept = webhook_references.resolved(connection, tenant, before.id, definition.without_secret())
            rotated = self._put_secret(connection, before.id, definition, overlap_s=overlap_s)
            values: dict[str, Any] = {"definition": stored(kept)}
            if kept.enabled != before.definition.enabled:
                values |= {"status": webhook_status.of(enabled=kept.enabled).value, "failure": None}
            return self._changed(connection, before, values, actor, rotated=rotated)

    def remove(self, tenant: str, id_or_name: str, *, if_match: int | None = None, actor: Actor) -> WebhookRecord:
        """Delete softly: disabled, shown when asked for, restorable. Raises `Refused`: not_found, in_use, ..."""
        with self.rim.database.change() as connection:
            row = named(connection, tenant, id_or_name, Include.NON_DELETED)
            expect(row, if_match)
            _unused(connection, row)
            values = {"deleted": True, "status": WebhookStatus.DISABLED.value}
            return self._changed(connection, record(connection, row), values, actor)

    def restore(self, tenant: str, id_or_name: str, *, if_match: int | None = None, actor: Actor) -> WebhookRecord:
        """Take a soft delete back; one that is not deleted stays as it is. Raises `Refused`: not_found, ..."""
        with self.rim.database.change() as connection:
            row = named(connection, tenant, id_or_name, Include.ALL)
            expect(row, if_match)
            before = record(connection, row)
            if not before.deleted:
                return before
            kept = webhook_references.resolved(connection, tenant, before.id, before.definition)
            status = webhook_status.of(enabled=kept.enabled).value
            values = {"deleted": False, "status": status, "failure": None, "definition": stored(kept)}
            return self._changed(connection, before, values, actor)

    def delete(self, tenant: str, id_or_name: str, *, if_match: int | None = None, actor: Actor) -> WebhookRecord:
        """Remove a webhook with its versions, secrets and deliveries; return what it was.

        Raises `Refused`: not_found, precondition_failed, in_use.
        """
        with self.rim.database.change() as connection:
            row = named(connection, tenant, id_or_name, Include.ALL)
            expect(row, if_match)
            _unused(connection, row)
            gone = record(connection, row)
            connection.execute(delete(WEBHOOKS).where(_W.id == row.id))
            self._log(connection, gone, actor, Op.DELETED, diff(hidden(gone), None))
        return replace(gone, deleted=True)

    def versions(self, tenant: str, id_or_name: str, page: PageRequest) -> Page[Mapping[str, Any]]:
        """Return the versions of a webhook, deleted or not, newest first; raises `Refused(not_found)`."""
        with self.rim.database.read() as connection:
            row = named(connection, tenant, id_or_name, Include.ALL)
            return webhook_versions.page_of(connection, row.id, page)

    def version(self, tenant: str, id_or_name: str, number: str) -> Mapping[str, Any]:
        """Return what a webhook, deleted or not, was at a version (`0.3`); raises `Refused(not_found)`."""
        with self.rim.database.read() as connection:
            row = named(connection, tenant, id_or_name, Include.ALL)
            return webhook_versions.one(connection, row.id, number)

    def active(self) -> tuple[WebhookView, ...]:
        """Return every webhook that is not deleted, of tenants that live, secrets decrypted: for notify alone."""
        living = TENANTS.c.disabled.is_(False) & (TENANTS.c.id == _W.tenant_id)
        query = select(WEBHOOKS).where(_W.deleted.is_(False), living).order_by(_W.tenant_id, _W.id)
        with self.rim.database.read(snapshot=True) as connection:
            secrets = webhook_secrets.alive(connection, self.vault, self.rim.now_ms())
            return tuple(
                WebhookView(
                    id=row.id,
                    tenant=row.tenant_id,
                    name=row.name,
                    definition=definition_of(row),
                    status=WebhookStatus(row.status),
                    created_at_ms=row.created_at_ms,
                    version=row.version,
                    entity_version=row.entity_version,
                    secrets=tuple(secrets.get(row.id, ())),
                )
                for row in connection.execute(query)
            )

    def set_status(
        self, connection: Connection, webhook_id: str, status: WebhookStatus, failure: FailureDetails | None
    ) -> bool:
        """Write what deliveries came to, in the caller's transaction; as `webhook_status.put` says."""
        return webhook_status.put(self.rim, connection, webhook_id, status, failure)

    def _changed(
        self, connection: Connection, before: WebhookRecord, values: Mapping[str, Any], actor: Actor, *,
        rotated: bool = False,
    ) -> WebhookRecord:  # fmt: skip
        """Write a change with its version and its row in the log; return the webhook as it is then."""
        changed = update(WEBHOOKS).where(_W.id == before.id)
        connection.execute(changed.values(**values))
        after = self._made(connection, before.id, keep=False)
        change = _described(before, after, rotated=rotated)
        if not change.names():
            return before
        ends = after.deleted and not before.deleted
        number = entity_version.following(
            before.entity_version, major=ends or entity_version.major(hidden(before), hidden(after))
        )
        stamps = {"version": before.version + 1, "updated_at_ms": self.rim.now_ms(), "updated_by": actor.id}
        told = orjson.dumps(change.to_wire()).decode()
        connection.execute(changed.values(entity_version=number, change_description=told, **stamps))
        after = self._made(connection, before.id)
        fields = diff(hidden(before), hidden(after))
        if rotated and before.signs and after.signs:
            fields = (*fields, FieldChange("/" + _SECRET.replace(".", "/"), HIDDEN, HIDDEN))
        self._log(connection, after, actor, Op.UPDATED, fields)
        return after

    def _put_secret(
        self, connection: Connection, webhook_id: str, definition: WebhookDefinition, *, overlap_s: float
    ) -> bool:
        return webhook_secrets.put(
            connection, self.rim, self.vault, webhook_id, definition.webhook_config, overlap_s=overlap_s
        )

    def _made(self, connection: Connection, webhook_id: str, *, keep: bool = True) -> WebhookRecord:
        """Return a webhook as it was just written; `keep` it as a version."""
        found = record(connection, connection.execute(entity().where(_W.id == webhook_id)).one())
        if keep:
            document = found.to_wire()
            webhook_versions.keep(connection, webhook_id, found.entity_version, document, found.updated_at_ms)
        return found

    def _log(
        self, connection: Connection, of: WebhookRecord, actor: Actor, op: Op, fields: tuple[FieldChange, ...]
    ) -> None:
        named_ = ("webhook", of.id, of.name)
        self.rim.changes.append(connection, actor, named_, op, tenant=of.tenant_id, version=of.version, fields=fields)


def _room(connection: Connection, tenant: str, name: str) -> None:
    """Refuse a name that is taken, also by a deleted webhook, and one webhook too many."""
    held = select(_W.deleted).where(_W.tenant_id == tenant, _W.name == name)
    found = connection.execute(held).first()
    if found is not None and found.deleted:
        raise Refused(Reason.NAME_TAKEN, f"a deleted webhook is named {name!r}: restore it with PUT "
                      "/api/v1/webhooks/restore, or remove it with DELETE ?hardDelete=true")  # fmt: skip
    if found is not None:
        raise Refused(Reason.NAME_TAKEN, f"a webhook named {name!r} exists")
    count = connection.execute(select(func.count()).where(_W.tenant_id == tenant)).scalar_one()
    if count >= MAX_WEBHOOKS:
        raise Refused(Reason.TOO_MANY_WEBHOOKS, f"the tenant has {count} webhooks, deleted ones among them, as many as "
                      "it may: remove one with ?hardDelete=true")  # fmt: skip


def _unused(connection: Connection, row: Row[Any]) -> None:
    users = webhook_references.users_of(connection, row.tenant_id, row.id)
    if users:
        raise Refused(Reason.IN_USE, f"it is the fallback of {', '.join(users[:5])}: give these another one, or remove "
                      "them with ?hardDelete=true")  # fmt: skip


def _page(
    connection: Connection, query: Select[Any], limit: int, wanted: Callable[[WebhookRecord], bool]
) -> Page[WebhookRecord]:
    """Return the first of what is wanted, read so many at a time."""
    found: list[WebhookRecord] = []
    some = records(connection, tuple(connection.execute(query.limit(limit + 1))))
    while some:
        found += filter(wanted, some)
        if len(found) > limit or len(some) <= limit:
            break
        some = records(connection, tuple(connection.execute(query.where(_W.name > some[-1].name).limit(limit + 1))))
    more = cursor_text(found[limit - 1].name, "") if len(found) > limit else None
    return Page(tuple(found[:limit]), more)


def _described(before: WebhookRecord, after: WebhookRecord, *, rotated: bool) -> Description:
    """Return OpenMetadata's changeDescription; the status follows from the rest and is left out."""
    old, new = hidden(before), hidden(after)
    del old["status"], new["status"]
    told = entity_version.described(old, new, before.entity_version)
    if rotated and before.signs and after.signs:
        told = replace(told, updated=(*told.updated, Delta(_SECRET, HIDDEN, HIDDEN)))
    return told
