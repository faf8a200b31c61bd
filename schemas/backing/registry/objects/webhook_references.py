"""What a webhook points to, where it is ours: a contact as owner, another webhook as fallback.

Lives here: the look-ups when a webhook is written and when it is shown. What is not ours (domains, people whom an
external catalogue knows) is kept as given. Stored: id, type and names; what else is shown is read anew each time.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, Row, select

from schemas import names
from schemas.backing.registry.outbound_tables import CONTACTS, WEBHOOKS
from schemas.definitions.webhook import MAX_WEBHOOKS, EntityReference, WebhookDefinition
from schemas.errors import Refused
from schemas.reasons import Reason

WEBHOOK = "webhook"
_PEOPLE = frozenset({"user", "team"})


def resolved(connection: Connection, tenant: str, own_id: str, definition: WebhookDefinition) -> WebhookDefinition:
    """Return the definition with its references as they are stored; raise `Refused(invalid_definition)`."""
    return definition.model_copy(
        update={
            "owner": _owner(connection, tenant, definition.owner),
            "fallback": _fallback(connection, tenant, own_id, definition),
        }
    )


def known_owners(connection: Connection, owners: Iterable[EntityReference | None]) -> Mapping[str, Row[Any]]:
    """Return the contacts that owners name, by id."""
    ids = {each.id for each in owners if each is not None and each.id is not None}
    if not ids:
        return {}
    return {row.id: row for row in connection.execute(select(CONTACTS).where(CONTACTS.c.id.in_(sorted(ids))))}


def shown(contact: Row[Any] | None, tenant: str) -> Mapping[str, Any] | None:
    """Return what an owner's reference shows of the contact as it is now; None where it is none of the tenant's."""
    if contact is None or contact.tenant_id != tenant:
        return None
    told = orjson.loads(contact.definition)
    return {
        "type": told["type"],
        "name": contact.name,
        "fullyQualifiedName": contact.name,
        "displayName": told["displayName"],
        "deleted": False,
    }


def users_of(connection: Connection, tenant: str, webhook_id: str) -> tuple[str, ...]:
    """Return the webhooks whose fallback is this one by name; deleted ones say so."""
    query = select(WEBHOOKS.c.name, WEBHOOKS.c.deleted, WEBHOOKS.c.definition).where(
        WEBHOOKS.c.tenant_id == tenant, WEBHOOKS.c.definition.contains(webhook_id, autoescape=True)
    )
    found = [row for row in connection.execute(query) if _fallback_id(row.definition) == webhook_id]
    return tuple(sorted(f"{row.name} (deleted)" if row.deleted else row.name for row in found))


def _owner(connection: Connection, tenant: str, given: EntityReference | None) -> EntityReference | None:
    if given is None or given.type not in _PEOPLE:
        return given
    ours = select(CONTACTS).where(CONTACTS.c.tenant_id == tenant)
    row = None
    if given.id is not None:
        row = connection.execute(ours.where(CONTACTS.c.id == given.id)).first()
    name = given.name or given.fully_qualified_name
    if row is None and given.id is None and name is not None:
        row = connection.execute(ours.where(CONTACTS.c.name == name)).first()
    if row is None:
        return given
    kind = str(orjson.loads(row.definition)["type"])
    return EntityReference(id=row.id, type=kind, name=row.name)


def _fallback(
    connection: Connection, tenant: str, own_id: str, definition: WebhookDefinition
) -> EntityReference | None:
    given = definition.fallback
    if given is None:
        return None
    if given.type != WEBHOOK:
        raise _refused(f"a fallback is a {WEBHOOK!r}, not a {given.type[:40]!r}", "/fallback/type")
    named = given.id or given.name or given.fully_qualified_name or ""
    name = named.removeprefix(f"{tenant}.")
    column = WEBHOOKS.c.id if names.is_uuid(named) else WEBHOOKS.c.name
    query = select(WEBHOOKS).where(WEBHOOKS.c.tenant_id == tenant, WEBHOOKS.c.deleted.is_(False))
    row = connection.execute(query.where(column == (named.lower() if names.is_uuid(named) else name))).first()
    if (row is not None and row.id == own_id) or name == definition.name:
        raise _refused("a webhook is not its own fallback")
    if row is None:
        raise _refused(f"the tenant has no webhook {named[:80]!r}: name one by id or name")
    _no_cycle(connection, row, own_id)
    return EntityReference(id=row.id, type=WEBHOOK, name=row.name, fully_qualified_name=f"{tenant}.{row.name}")


def _no_cycle(connection: Connection, row: Row[Any], own_id: str) -> None:
    first, following = row.name, _fallback_id(row.definition)
    for _ in range(MAX_WEBHOOKS):
        if following is None:
            return
        if following == own_id:
            raise _refused(f"the fallback of {first!r} leads back to this webhook: a circle would never end")
        found = connection.execute(select(WEBHOOKS.c.definition).where(WEBHOOKS.c.id == following)).scalar()
        following = None if found is None else _fallback_id(found)


def _fallback_id(definition: str) -> str | None:
    given = orjson.loads(definition).get("fallback")
    return None if given is None else given["id"]


def _refused(message: str, pointer: str = "/fallback") -> Refused:
    return Refused(Reason.INVALID_DEFINITION, f"{pointer}: {message}", errors=((pointer, message),))
