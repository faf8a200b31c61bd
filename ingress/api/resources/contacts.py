"""`/contacts`: people and teams that webhooks are sent to as admins, owners and followers."""

from typing import Any

from ingress.api import merge_patch, paging, reading
from ingress.api.again import again
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes, webhook_wire
from ingress.api.routes import Query, Route
from schemas.backing.registry import ContactRecord
from schemas.definitions.base import Definition
from schemas.definitions.contact import MAX_NAME, ContactDefinition
from schemas.definitions.key import Permission
from schemas.errors import Refused
from schemas.reasons import Reason

_READ, _WRITE = Permission.WEBHOOKS_READ, Permission.WEBHOOKS_WRITE
_PREFIX = Query("q", "string", "those whose name begins so", maximum=MAX_NAME)
_REFUSED = (Reason.NAME_TAKEN, Reason.TOO_MANY_CONTACTS)
_EXAMPLE = {"name": "Data team", "type": "team", "follows": ["table:acme.*"], "endpoint": "https://chat.example/hook"}


class ContactAnswer(shapes.Stamped):
    """A contact; without `endpoint` it is told of by a log line alone."""

    name: str
    type: str
    display_name: str | None
    admin: bool
    teams: list[str]
    follows: list[str]
    endpoint: str | None
    href: str


class ContactPage(Definition):
    """One page of contacts."""

    items: list[ContactAnswer]
    next_cursor: str | None


async def list_contacts(call: Call) -> Answer:
    """List contacts by name."""
    contacts = call.env.registry.contacts
    page = await call.threads.run(contacts.list, call.tenant, call.page, call.query.get("q", ""))
    return Answer(paging.page([wire(call, record) for record in page.items], page.next_cursor))


async def create_contact(call: Call) -> Answer:
    """Make a contact."""
    return await _create(call, call.given(ContactDefinition))


async def get_contact(call: Call) -> Answer:
    """Show a contact."""
    record = await _find(call)
    return Answer(wire(call, record), version=record.version)


async def put_contact(call: Call) -> Answer:
    """Make a contact of this name, or replace it."""
    named = _named(call)
    try:
        record = await _find(call)
    except Refused as exc:
        if exc.reason is not Reason.NOT_FOUND:
            raise
        record = None
    name = record.name if record is not None else named
    definition = reading.definition(ContactDefinition, shapes.with_name(call.value, name))
    if record is None:
        if call.if_match is not None:
            raise Refused(Reason.PRECONDITION_FAILED, "there is no such contact")
        return await _create(call, definition)
    if call.create_only:
        raise Refused(Reason.PRECONDITION_FAILED, "the contact exists")
    return await _update(call, record, definition)


async def patch_contact(call: Call) -> Answer:
    """Change members of a contact."""
    return await again(call, _patch)


async def _patch(call: Call) -> Answer:
    record = await _find(call)
    value = merge_patch.apply(record.definition.to_wire(), call.value)
    return await _update(call, record, reading.definition(ContactDefinition, value))


async def delete_contact(call: Call) -> Answer:
    """Delete a contact; what it owns keeps its name."""
    record = await _find(call)
    expected = call.expected(record.version)
    contacts = call.env.registry.contacts
    await call.threads.run(contacts.delete, call.tenant, record.id, if_match=expected, actor=call.actor)
    return Answer()


def _named(call: Call) -> str:
    """Return the id or name of the path; names may be of any script."""
    value = call.path["id"]
    if len(value) > MAX_NAME or not value.isprintable():
        raise Refused(Reason.NOT_FOUND, "id: no contact has such a name")
    return value


async def _find(call: Call) -> ContactRecord:
    return await call.threads.run(call.env.registry.contacts.get, call.tenant, _named(call))


async def _create(call: Call, definition: ContactDefinition) -> Answer:
    webhook_wire.check_endpoint(call, "/endpoint", definition.endpoint)
    record = await call.threads.run(call.env.registry.contacts.create, call.tenant, definition, actor=call.actor)
    headers = {"Location": f"/api/v1/contacts/{record.id}"}
    return Answer(wire(call, record), status=201, version=record.version, headers=headers)


async def _update(call: Call, record: ContactRecord, definition: ContactDefinition) -> Answer:
    expected = call.expected(record.version)
    webhook_wire.check_endpoint(call, "/endpoint", definition.endpoint)
    contacts = call.env.registry.contacts
    updated = await call.threads.run(
        contacts.update, call.tenant, record.id, definition, if_match=expected, actor=call.actor
    )
    return Answer(wire(call, updated), status=200, version=updated.version)


def wire(call: Call, record: ContactRecord) -> dict[str, Any]:
    """Return a contact as answered."""
    return {
        "id": record.id,
        "tenantId": record.tenant_id,
        **record.definition.to_wire(),
        "version": record.version,
        "createdAt": shapes.instant(record.created_at_ms),
        "updatedAt": shapes.instant(record.updated_at_ms),
        "href": webhook_wire.href(call, "contacts", record.id),
    }


ROUTES = (
    Route("GET", "/contacts", list_contacts, "List contacts", _READ, ContactPage, query=(_PREFIX, *shapes.PAGE)),
    Route("POST", "/contacts", create_contact, "Make a contact", _WRITE, ContactAnswer, status=201,
          takes=ContactDefinition, refusals=_REFUSED, example=_EXAMPLE),
    Route("GET", "/contacts/{id}", get_contact, "Show a contact", _READ, ContactAnswer),
    Route("PUT", "/contacts/{id}", put_contact, "Make or replace a contact by name", _WRITE, ContactAnswer,
          takes=ContactDefinition, refusals=_REFUSED, also={201: ContactAnswer}, example=_EXAMPLE),
    Route("PATCH", "/contacts/{id}", patch_contact, "Change a contact", _WRITE, ContactAnswer,
          takes=ContactDefinition, refusals=_REFUSED),
    Route("DELETE", "/contacts/{id}", delete_contact, "Delete a contact; what it owns keeps its name", _WRITE, None,
          status=204),
)  # fmt: skip
