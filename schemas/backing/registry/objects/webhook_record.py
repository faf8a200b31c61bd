"""A webhook as stored and as shown: the row, the record, OpenMetadata's entity; finding one.

Lives here: reading. Changes are in webhooks.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import Connection, Row, Select, select

from schemas import names
from schemas.backing.registry.changes import HIDDEN
from schemas.backing.registry.objects import webhook_references, webhook_secrets
from schemas.backing.registry.outbound_tables import WEBHOOKS
from schemas.backing.registry.record import Record
from schemas.definitions import entity_version
from schemas.definitions.webhook import MASK, MAX_DEFINITION_BYTES, WebhookDefinition, WebhookStatus
from schemas.errors import Refused
from schemas.reasons import Reason

_W = WEBHOOKS.c


class Include(StrEnum):
    """Which webhooks are meant: OpenMetadata's parameter `include`."""

    NON_DELETED = "non-deleted"
    DELETED = "deleted"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class WebhookRecord(Record[WebhookDefinition]):
    """A webhook; its definition holds no secret, `signs` tells whether there is one. `entity_version` in tenths.

    `failure` and `change` as shown; `owner` is the contact that owns it as it is now, None = none of ours.
    """

    status: WebhookStatus
    deleted: bool
    entity_version: int
    failure: Mapping[str, Any] | None
    change: Mapping[str, Any] | None
    updated_by: str
    signs: bool
    owner: Mapping[str, Any] | None = None

    @property
    def tenant(self) -> str:
        """Return the tenant, which a webhook always has."""
        return self.tenant_id or ""

    @property
    def full_name(self) -> str:
        """Return the fullyQualifiedName."""
        return f"{self.tenant}.{self.name}"

    def to_wire(self) -> dict[str, Any]:
        """Return the entity (spec section 10) but for `href`, which depends on how the API is reached."""
        given = self.definition.to_wire()
        config = {**given["webhookConfig"], "secretKey": MASK if self.signs else None}
        return {
            "id": self.id,
            "name": self.name,
            "fullyQualifiedName": self.full_name,
            "displayName": given["displayName"],
            "description": given["description"],
            "webhookType": given["webhookType"],
            "status": self.status.value,
            "enabled": given["enabled"],
            "batchSize": given["batchSize"],
            "eventFilters": given["eventFilters"],
            "webhookConfig": config,
            "failureDetails": self.failure,
            "owner": given["owner"] if self.owner is None else {**given["owner"], **self.owner},
            "tags": given["tags"],
            "domain": given["domain"],
            "version": entity_version.shown(self.entity_version),
            "updatedAt": self.updated_at_ms,
            "updatedBy": self.updated_by,
            "changeDescription": self.change,
            "deleted": self.deleted,
            "extension": given["extension"],
            "fallback": given["fallback"],
        }


def entity() -> Select[Any]:
    """Return the query of webhooks; its column `signs` tells whether they have a secret."""
    return select(WEBHOOKS, webhook_secrets.has(_W.id).label("signs"))


def rows_of(tenant: str, include: Include) -> Select[Any]:
    """Return the query of a tenant's webhooks."""
    query = entity().where(_W.tenant_id == tenant)
    return query if include is Include.ALL else query.where(_W.deleted.is_(include is Include.DELETED))


def named(connection: Connection, tenant: str, id_or_name: str, include: Include) -> Row[Any]:
    """Return the row with this id, name or full name; raise `Refused(not_found)` in words that tell a soft delete."""
    by_id = names.is_uuid(id_or_name)
    wanted = _W.id == id_or_name.lower() if by_id else _W.name == id_or_name.removeprefix(f"{tenant}.")
    row = connection.execute(rows_of(tenant, Include.ALL).where(wanted)).first()
    if row is None:
        raise Refused(Reason.NOT_FOUND, f"no webhook {id_or_name[:80]!r} here")
    if row.deleted and include is Include.NON_DELETED:
        raise Refused(Reason.NOT_FOUND, f"webhook {row.name!r} is deleted: see it with ?include=deleted, or restore it")
    if not row.deleted and include is Include.DELETED:
        raise Refused(Reason.NOT_FOUND, f"webhook {row.name!r} is not deleted")
    return row


def definition_of(row: Row[Any]) -> WebhookDefinition:
    """Return the definition of a row; no secret is in it."""
    return WebhookDefinition.model_validate_json(row.definition)


def record(connection: Connection, row: Row[Any]) -> WebhookRecord:
    """Return a row of `entity()` as a record."""
    return records(connection, (row,))[0]


def records(connection: Connection, rows: tuple[Row[Any], ...]) -> tuple[WebhookRecord, ...]:
    """Return rows of `entity()` as records; their owners are read in one query."""
    definitions = [definition_of(row) for row in rows]
    owners = webhook_references.known_owners(connection, [each.owner for each in definitions])
    return tuple(_record(row, each, owners) for row, each in zip(rows, definitions, strict=True))


def _record(row: Row[Any], definition: WebhookDefinition, owners: Mapping[str, Row[Any]]) -> WebhookRecord:
    owner = owners.get(definition.owner.id or "") if definition.owner is not None else None
    return WebhookRecord(
        id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        version=row.version,
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms,
        definition=definition,
        status=WebhookStatus(row.status),
        deleted=row.deleted,
        entity_version=row.entity_version,
        failure=None if row.failure is None else orjson.loads(row.failure),
        change=None if row.change_description is None else orjson.loads(row.change_description),
        updated_by=row.updated_by,
        signs=bool(row.signs),
        owner=webhook_references.shown(owner, row.tenant_id),
    )


def stored(definition: WebhookDefinition) -> str:
    """Return the text of a definition without secret; raise `Refused(invalid_definition)` past its bound."""
    text = definition.model_dump_json(by_alias=True)
    if len(text.encode()) > MAX_DEFINITION_BYTES:
        raise Refused(Reason.INVALID_DEFINITION, f"a webhook has at most {MAX_DEFINITION_BYTES} bytes as JSON",
                      errors=(("", "too large"),))  # fmt: skip
    return text


def hidden(of: WebhookRecord) -> dict[str, Any]:
    """Return what changes are told of: the definition, whether it signs, its state."""
    told = of.definition.to_wire()
    told["webhookConfig"]["secretKey"] = HIDDEN if of.signs else None
    return {**told, "status": of.status.value, "deleted": of.deleted}
