"""`/keys`: API keys. The text is answered once, at creation; the registry keeps its digest only.

A key bound to a tenant with `keys:admin` makes and sees keys of that tenant; what it makes without a `tenantId` is its
own tenant's, never a key for all.
"""

from typing import Any

from ingress.api import paging
from ingress.api.call import Answer, Call
from ingress.api.resources import shapes
from ingress.api.routes import Route, Scope
from schemas.backing.registry import Record
from schemas.definitions.base import Definition
from schemas.definitions.key import KeyDefinition, Permission
from schemas.errors import Refused
from schemas.reasons import Reason

_ADMIN = Permission.KEYS_ADMIN


class KeyAnswer(shapes.Stamped):
    """An API key, without its text; `tenantId` null = it acts for any tenant."""

    name: str
    permissions: list[Permission]


class KeyCreated(KeyAnswer):
    """An API key with its text, shown this once."""

    key: str


class KeyPage(Definition):
    """One page of keys."""

    items: list[KeyAnswer]
    next_cursor: str | None


async def list_keys(call: Call) -> Answer:
    """List keys: all for an admin key, those of a tenant when one is named or the key has one."""
    page = await call.threads.run(call.env.registry.keys.list, call.page, tenant=call.tenant or None)
    return Answer(paging.page([_wire(record) for record in page.items], page.next_cursor))


async def create_key(call: Call) -> Answer:
    """Create a key and show its text once."""
    wanted = call.given(KeyDefinition)
    if call.key.tenant is not None:
        if wanted.tenant_id not in {None, call.key.tenant}:
            raise Refused(Reason.FORBIDDEN, "this key belongs to one tenant: it makes keys of that tenant only")
        wanted = wanted.model_copy(update={"tenant_id": call.key.tenant})
    record, text = await call.threads.run(call.env.registry.keys.create, wanted, actor=call.actor)
    await call.env.view.refresh()
    headers = {"Location": f"/api/v1/keys/{record.id}"}
    return Answer({**_wire(record), "key": text}, version=record.version, secret=True, headers=headers)


async def get_key(call: Call) -> Answer:
    """Show a key, without its text."""
    record = await _own(call)
    return Answer(_wire(record), version=record.version)


async def delete_key(call: Call) -> Answer:
    """Revoke a key."""
    record = await _own(call)
    await call.threads.run(call.env.registry.keys.delete, record.id, actor=call.actor)
    await call.env.view.refresh()
    return Answer()


async def _own(call: Call) -> Record[KeyDefinition]:
    record = await call.threads.run(call.env.registry.keys.get, call.named("id"))
    if call.tenant not in {"", record.tenant_id}:
        raise Refused(Reason.NOT_FOUND, "no such key")
    return record


def _wire(record: Record[KeyDefinition]) -> dict[str, Any]:
    return {
        "id": record.id,
        "tenantId": record.tenant_id,
        "name": record.definition.name,
        "permissions": sorted(permission.value for permission in record.definition.permissions),
        "version": record.version,
        "createdAt": shapes.instant(record.created_at_ms),
        "updatedAt": shapes.instant(record.updated_at_ms),
    }


ROUTES = (
    Route("GET", "/keys", list_keys, "List API keys", _ADMIN, KeyPage, query=shapes.PAGE, scope=Scope.SERVER),
    Route("POST", "/keys", create_key, "Create an API key; its text is shown once", _ADMIN, KeyCreated, status=201,
          takes=KeyDefinition, scope=Scope.SERVER,
          example={"tenantId": "acme", "permissions": ["ingestion:write"], "name": "edge"}),
    Route("GET", "/keys/{id}", get_key, "Show an API key", _ADMIN, KeyAnswer, scope=Scope.SERVER),
    Route("DELETE", "/keys/{id}", delete_key, "Revoke an API key", _ADMIN, None, status=204, scope=Scope.SERVER),
)  # fmt: skip
